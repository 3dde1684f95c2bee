# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of `ipset`: a command, and options that may stand anywhere. Source: lib/ipset.c of 7.17."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import attrs

from emu.tools.ipset import create, entries
from emu.tools.ipset.words import misused, name, wrong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kernel.netfilter.ipset.element import Entry
    from emu.kernel.netfilter.ipset.spec import SetSpec


@attrs.frozen
class Create:
    """Make a set."""

    name: str
    spec: SetSpec


@attrs.frozen
class Change:
    """Add, delete or test an element: what it means depends on the set.

    Attributes:
        verb: `add`, `del` or `test`.
        name: of the set.
        element: as written.
        words: what stands behind it.
    """

    verb: str
    name: str
    element: str
    words: tuple[str, ...] = ()

    def entry(self, spec: SetSpec) -> Entry:
        """Return what it means for a set of `spec`.

        Raises:
            CommandError: nothing.
        """
        return entries.parse(self.verb, spec, self.element, self.words)


@attrs.frozen
class Destroy:
    """Remove a set, or all."""

    name: str | None = None


@attrs.frozen
class Flush:
    """Empty a set, or all."""

    name: str | None = None


@attrs.frozen
class Rename:
    """Call a set by another name."""

    name: str
    to: str


@attrs.frozen
class Swap:
    """Exchange two sets."""

    name: str
    other: str


@attrs.frozen
class Show:
    """Print a set, or all: `verb` is `list` or `save`."""

    verb: str
    name: str | None = None


@attrs.frozen
class Say:
    """Print a text."""

    text: str


@attrs.frozen
class Restore:
    """Do what a file says."""


@attrs.frozen
class Quit:
    """Stop."""


Command: TypeAlias = Create | Change | Destroy | Flush | Rename | Swap | Show | Say | Restore | Quit


@attrs.define
class Settings:
    """What holds for a command.

    Attributes:
        exist: what is there already, or is missing already, is no fault.
        quiet: say nothing of faults.
        output: `plain` or `save` if it was said how to print.
        is_sorted: elements are printed sorted.
        only_names: only the names of sets are printed.
        terse: no elements are printed.
    """

    exist: bool = False
    quiet: bool = False
    output: str = ""
    is_sorted: bool = False
    only_names: bool = False
    terse: bool = False


class Arguments(NamedTuple):
    """What `ipset` is asked for."""

    command: Command
    settings: Settings


_FLAGS: Final = {
    "-!": "exist",
    "-exist": "exist",
    "-q": "quiet",
    "-quiet": "quiet",
    "-s": "is_sorted",
    "-sorted": "is_sorted",
    "-n": "only_names",
    "-name": "only_names",
    "-t": "terse",
    "-terse": "terse",
}
_WITH_VALUE: Final = {"-o": "-o", "-output": "-o", "-f": "-f", "-file": "-f"}
_VERBS: Final = (
    ("create", "new", "-N"),
    ("add", "-A"),
    ("del", "-D"),
    ("test", "-T"),
    ("destroy", "-X"),
    ("list", "-L"),
    ("save", "-S"),
    ("restore", "-R"),
    ("flush", "-F"),
    ("rename", "-E"),
    ("swap", "-W"),
    ("help", "-h", "-H"),
    ("version", "-v", "-V"),
    ("quit",),
)
"""The commands in the order in which the beginning of a word is looked for, with their other names."""

_FULL: Final = frozenset(full for full, *_ in _VERBS)
_ONE_NAME: Final = frozenset({"destroy", "flush", "list", "save"})
_TWO: Final = frozenset({"create", "add", "del", "test", "rename", "swap"})
_HELP: Final = (
    "ipset v7.17\n\nUsage: ipset [options] COMMAND\n\nCommands: create, add, del, test, destroy, list, save, "
    "restore, flush, rename, swap, help, version, quit\n"
)
_VERSION: Final = "ipset v7.17, protocol version: 7\n"


def parse(argv: Sequence[str]) -> Arguments:
    """Return what the arguments of `ipset` ask for.

    Raises:
        CommandError: they make no sense, or something is not modelled.
    """
    settings = Settings()
    words = _take_options(argv, settings)
    if not words:
        raise misused("No command specified.")
    verb = _verb(words[0])
    return Arguments(_command(verb, words[1:]), settings)


def _take_options(argv: Sequence[str], settings: Settings) -> list[str]:
    """Set `settings`, and return the words that are left."""
    words = []
    rest = iter(argv)
    for word in rest:
        if word in _FLAGS:
            setattr(settings, _FLAGS[word], True)
        elif word in _WITH_VALUE:
            option = _WITH_VALUE[word]
            value = next(rest, None)
            if value is None:
                raise misused(f"Missing mandatory argument to option {option}")
            if option == "-f":
                raise wrong("option -file is not modelled")
            if value not in {"plain", "save"}:
                known = value == "xml"
                raise wrong(
                    "output mode 'xml' is not modelled" if known else f"unknown output mode '{value}'"
                )
            settings.output = value
        elif word in {"-r", "-resolve"}:
            raise wrong("option -resolve is not modelled")
        else:
            words.append(word)
    return words


def _verb(word: str) -> str:
    """Return the command that `word` names, or is the beginning of."""
    if word in _FULL:
        return word
    asked = word.removeprefix("--")
    for full, *others in _VERBS:
        if asked and (
            any(one.startswith(asked) for one in (full, *others) if one[0] != "-") or asked in others
        ):
            return full
    raise misused(f"No command specified: unknown argument {word}")


def _command(verb: str, words: Sequence[str]) -> Command:
    if verb in _TWO:
        return _command_of_two(verb, words)
    if verb in _ONE_NAME:
        if len(words) > 1:
            raise misused(f"Unknown argument {words[1]}")
        return _command_of_one(verb, name(words[0]) if words else None)
    match verb:
        case "restore":
            return Restore()
        case "quit":
            return Quit()
        case "version":
            return Say(_VERSION)
        case _:
            return Say(_HELP)


def _command_of_one(verb: str, called: str | None) -> Command:
    match verb:
        case "destroy":
            return Destroy(called)
        case "flush":
            return Flush(called)
        case _:
            return Show(verb, called)


def _command_of_two(verb: str, words: Sequence[str]) -> Command:
    if not words:
        raise misused(f"Missing mandatory argument to command {verb}")
    called = name(words[0])
    if len(words) == 1:
        raise misused(f"Missing second mandatory argument to command {verb}")
    second, rest = words[1], words[2:]
    match verb:
        case "create":
            return Create(called, create.parse(second, rest))
        case "rename" | "swap":
            if rest:
                raise misused(f"Unknown argument {rest[0]}")
            return Rename(called, name(second)) if verb == "rename" else Swap(called, name(second))
        case _:
            return Change(verb, called, second, tuple(rest))
