# SPDX-License-Identifier: GPL-2.0-only
"""The text of `sysctl`: its arguments, what it prints, and files of settings.

Judged by sysctl of procps-ng 4.0.2. `sysctl.txt` of an imported node is the
output of `sysctl -a`, which `parse_settings` reads as well as `sysctl.conf`.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from emu.errors import CommandError
from emu.kernel.sysctl import dotted, path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.kernel.sysctl_names import Value


class Form(enum.Enum):
    """What is printed of a setting."""

    BOTH = "NAME = VALUE"
    VALUE = "VALUE"  # -n
    NAME = "NAME"  # -N


@attrs.frozen
class Read:
    """Print `name`, or all names below it if it is a directory."""

    name: str


@attrs.frozen
class Write:
    """Store `value`, text as it was given, and print it (unless `-q`)."""

    name: str
    value: str


@attrs.frozen
class Malformed:
    """An argument behind `-w` without `=`: complained of and passed over."""

    message: str = "command line(0): invalid syntax, continuing..."


Request: TypeAlias = Read | Write | Malformed


@attrs.frozen
class Arguments:
    """What `sysctl` is asked for.

    Attributes:
        requests: in their order; each failure is one message and the rest goes on.
        everything: print all names (`-a`).
        pattern: regular expression that names must match to be printed (`-r`).
        form: what to print of each.
        quiet: do not print what was written.
        ignore_unknown: say nothing of names that do not exist.
    """

    requests: tuple[Request, ...] = ()
    everything: bool = False
    pattern: str | None = None
    form: Form = Form.BOTH
    quiet: bool = False
    ignore_unknown: bool = False


_FLAGS: Final = {
    "-a": "everything",
    "-A": "everything",
    "-X": "everything",
    "--all": "everything",
    "-w": "writing",
    "--write": "writing",
    "-q": "quiet",
    "--quiet": "quiet",
    "-e": "ignore_unknown",
    "--ignore": "ignore_unknown",
    "-n": "values",
    "--values": "values",
    "-N": "names",
    "--names": "names",
    "-o": "nothing",
    "-x": "nothing",
}


def parse(arguments: Sequence[str]) -> Arguments:
    """Return what the `arguments` of `sysctl` ask for.

    Options may stand anywhere and short ones together (`-nw`).

    Raises:
        CommandError: an unknown option, or nothing is asked.
    """
    flags: set[str] = set()
    pattern: str | None = None
    rest: list[str] = []
    words = _separate(arguments)
    for word in words:
        if word in {"-r", "--pattern"}:
            pattern = next(words, None)
            if pattern is None:
                raise CommandError(f"sysctl: option requires an argument -- '{word.lstrip('-')}'", status=1)
        elif word in _FLAGS:
            flags.add(_FLAGS[word])
        elif word.startswith("--"):
            raise CommandError(f"sysctl: unrecognized option '{word}'", status=1)
        elif word.startswith("-"):
            raise CommandError(f"sysctl: invalid option -- '{word[1:]}'", status=1)
        else:
            rest.append(word)
    everything = "everything" in flags
    if not rest and not everything:
        hint = "Try `sysctl --help' for more information."
        raise CommandError(f"sysctl: no variables specified\n{hint}", status=1)
    return Arguments(
        requests=() if everything else tuple(_request(word, writing="writing" in flags) for word in rest),
        everything=everything,
        pattern=pattern,
        form=Form.NAME if "names" in flags else Form.VALUE if "values" in flags else Form.BOTH,
        quiet="quiet" in flags,
        ignore_unknown="ignore_unknown" in flags,
    )


def _separate(arguments: Sequence[str]) -> Iterator[str]:
    """Yield `-n`, `-w` for `-nw` and `--pattern`, `x` for `--pattern=x`."""
    for word in arguments:
        if word.startswith("--"):
            option, is_joined, value = word.partition("=")
            yield option
            if is_joined:
                yield value
        elif word.startswith("-") and len(word) > 2:
            yield from _separate_short(word[1:])
        else:
            yield word


def _separate_short(letters: str) -> Iterator[str]:
    for place, letter in enumerate(letters):
        yield f"-{letter}"
        if letter == "r" and letters[place + 1 :]:
            yield letters[place + 1 :]
            return


def _request(word: str, *, writing: bool) -> Request:
    name, is_assignment, value = word.partition("=")
    if is_assignment:
        return Write(name.strip(), value.strip(" "))
    return Malformed() if writing else Read(word)


def render(name: str, value: Value, form: Form = Form.BOTH) -> str:
    """Return the line, without its end, that shows what `name` holds.

    Args:
        name: with dots or slashes.
        value: as `Sysctl.get` returns it; after a write, the text that was given.
        form: what is to be shown.
    """
    text = "\t".join(map(str, value)) if isinstance(value, tuple) else str(value)
    if form is Form.VALUE:
        return text
    shown = dotted(path(name))
    return shown if form is Form.NAME else f"{shown} = {text}"


def parse_settings(text: str) -> tuple[Write, ...]:
    """Return the settings in a `sysctl.conf` or in the output of `sysctl -a`.

    Empty lines, comments (`#`, `;`) and lines without `=` are passed over; a
    leading `-` ("ignore failure") is dropped.
    """
    settings = []
    for line in text.splitlines():
        name, is_assignment, value = line.strip().partition("=")
        if is_assignment and not name.startswith(("#", ";")):
            settings.append(Write(name.strip().removeprefix("-"), value.strip()))
    return tuple(settings)
