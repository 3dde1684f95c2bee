# SPDX-License-Identifier: GPL-2.0-only
"""`ipset`: sets made, changed, asked and listed.

What ipset says on standard error though it succeeded (`Warning: 10.0.0.1 is in
set a.`) is left out.
"""

from __future__ import annotations

from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Final, assert_never

from emu.errors import CommandError
from emu.kernel.netfilter.ipset.errors import IpSetError
from emu.tools.ipset import arguments, elements, listing, restore
from emu.tools.ipset.arguments import (
    Change,
    Create,
    Destroy,
    Flush,
    Quit,
    Rename,
    Restore,
    Say,
    Settings,
    Show,
    Swap,
)
from emu.tools.ipset.words import FAILED, complaint, refused, wrong

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from emu.apps.commands.action import Action
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.ipset.element import Entry
    from emu.kernel.netfilter.ipset.sets import IpSet
    from emu.tools.ipset.arguments import Arguments, Command
    from emu.tools.ipset.restore import Line

_BATCHED: Final = frozenset({"add", "del"})


class AbsentError(CommandError):
    """What `ipset test` was asked for is not in the set."""


def prepare(argv: Sequence[str]) -> Action:
    """Read the arguments of `ipset` and return what they ask for.

    Raises:
        CommandError: they make no sense, or something is not modelled.
    """
    try:
        asked = arguments.parse(argv)
        if isinstance(asked.command, Restore):
            raise wrong("restore needs a file; standard input is not modelled")
    except CommandError as error:
        quiet = Settings(quiet=not {"-q", "-quiet"}.isdisjoint(argv))
        raise _muted(complaint(error), quiet) from None
    return partial(run, asked=asked)


def run(net: Namespace, asked: Arguments) -> str:
    """Do what is asked."""
    try:
        return perform(net, asked.command, asked.settings)
    except AbsentError as error:
        raise _muted(error, asked.settings) from None
    except CommandError as error:
        raise _muted(complaint(error), asked.settings) from None


def _muted(error: CommandError, settings: Settings) -> CommandError:
    return CommandError("", error.status, stdout=error.stdout) if settings.quiet else error


# --- one command ---


def perform(net: Namespace, command: Command, settings: Settings, entry: Entry | None = None) -> str:
    """Do `command` and return what is printed.

    Args:
        net: the namespace.
        command: what to do.
        settings: what holds for it.
        entry: what a `Change` is about, where that is known.

    Raises:
        CommandError: it is refused; without the program's name before it.
    """
    verb = type(command).__name__.lower()
    try:
        match command:
            case Create(name, spec):
                net.netfilter.ipsets.create(name, spec, exist=settings.exist)
            case Change():
                verb = command.verb
                _change(net, command, settings, entry)
            case Show(verb, name):
                return _show(net, verb, name, settings)
            case Say(text):
                return text
            case Quit() | Restore():
                return ""
            case _:
                _rearrange(net, command)
    except IpSetError as error:
        raise refused(error, verb) from None
    return ""


def _rearrange(net: Namespace, command: Destroy | Flush | Rename | Swap) -> None:
    sets = net.netfilter.ipsets
    match command:
        case Destroy(name):
            if name is None:
                sets.destroy_all()
            else:
                sets.destroy(name)
        case Flush(name):
            for known in sets if name is None else (sets.find(name),):
                known.flush()
        case Rename(name, to):
            sets.rename(name, to)
        case Swap(name, other):
            sets.swap(name, other)
        case _:
            assert_never(command)


def _change(net: Namespace, command: Change, settings: Settings, entry: Entry | None) -> None:
    known = net.netfilter.ipsets.find(command.name)
    if entry is None:
        entry = command.entry(known.spec)
    match command.verb:
        case "add":
            known.add(entry, net.now, exist=settings.exist)
        case "del":
            known.delete(entry, net.now, exist=settings.exist)
        case _:
            if not known.test(entry, net.now):
                shown = elements.render_entry(known.spec, entry)
                raise AbsentError(f"{shown} is NOT in set {command.name}.", FAILED)


def _show(net: Namespace, verb: str, name: str | None, settings: Settings) -> str:
    sets = net.netfilter.ipsets
    shown = list(sets) if name is None else [sets.find(name)]
    if settings.only_names:
        return "".join(f"{known.name}\n" for known in shown)
    if (settings.output or verb) == "save":
        return listing.render_save(shown, net.now, is_sorted=settings.is_sorted)
    return "\n".join(_list(net, known, settings) for known in shown)


def _list(net: Namespace, known: IpSet, settings: Settings) -> str:
    references = net.netfilter.ipsets.references(known.name)
    return listing.render_list(known, references, net.now, terse=settings.terse, is_sorted=settings.is_sorted)


# --- a file ---


def restore_file(net: Namespace, text: str, *, exist: bool = False) -> str:
    """Do what a file for `ipset restore` says, up to its first fault, and return what is printed.

    Lines that add to one set (or delete from it) go to the kernel together: of
    those, what stands before a line that cannot be read is not done either.

    Args:
        net: the namespace.
        text: the file.
        exist: what is there already, or is missing already, is no fault.

    Raises:
        CommandError: a line cannot be read, or is refused.
    """
    specs = {known.name: known.spec for known in net.netfilter.ipsets}
    printed: list[str] = []
    for batch in _batches(_up_to_fault(restore.scan(text, specs))):
        if batch[-1].error is not None:
            error = restore.explain(batch[-1])
            raise CommandError(str(error), error.status, stdout="".join(printed))
        for line in batch:
            if line.command is None:
                continue
            try:
                printed.append(_perform_line(net, line, exist=exist))
            except CommandError as error:
                raise CommandError(str(error), error.status, stdout="".join(printed)) from None
            if isinstance(line.command, Quit) or _verb(line) == "test":
                return "".join(printed)  # ipset reads no further
    return "".join(printed)


def _perform_line(net: Namespace, line: Line, *, exist: bool) -> str:
    settings = line.settings
    settings.exist = settings.exist or exist
    try:
        return perform(net, line.command or Quit(), settings, line.entry)
    except AbsentError:
        raise
    except CommandError as error:
        raise complaint(error, line.number) from None


def _verb(line: Line) -> str:
    return line.command.verb if isinstance(line.command, Change) else ""


def _up_to_fault(lines: Iterable[Line]) -> Iterator[Line]:
    for line in lines:
        yield line
        if line.error is not None:
            return


def _batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Yield lines that go to the kernel together; a faulty line ends those it stands behind."""
    number, before = 0, ("", "")

    def batch_of(line: Line) -> int:
        nonlocal number, before
        if line.error is not None and before != ("", ""):
            return number
        verb = _verb(line)
        here = (
            (verb, line.command.name) if verb in _BATCHED and isinstance(line.command, Change) else ("", "")
        )
        if here != before or here == ("", ""):
            number += 1
        before = here
        return number

    for _, batch in groupby(lines, batch_of):
        yield list(batch)
