# SPDX-License-Identifier: GPL-2.0-only
"""Files for `ipset restore`: a command on each line, as `ipset save` writes them.

A word may stand in double quotes, which end at the next one; blank lines and
lines that begin with `#` are passed over. What an element means depends on its
set, which the file makes itself or which is there before.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.errors import CommandError, EmuError
from emu.kernel.netfilter.ipset.errors import IpSetError, Refusal
from emu.tools.ipset.arguments import (
    Change,
    Command,
    Create,
    Destroy,
    Rename,
    Restore,
    Say,
    Settings,
    Swap,
)
from emu.tools.ipset.arguments import (
    parse as parse_arguments,
)
from emu.tools.ipset.words import complaint, misused, refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from emu.kernel.netfilter.ipset.element import Entry
    from emu.kernel.netfilter.ipset.spec import SetSpec

_WORD: Final = re.compile(r'\s*(?:"([^"]*)(?:"|(\Z))|([^\s]+))')
COMMIT: Final = "COMMIT"


class Line(NamedTuple):
    """A line of a file.

    Attributes:
        number: counted from 1.
        command: None if the line is faulty, or `COMMIT`.
        settings: what holds for it.
        entry: what the command is about, of a `Change`.
        error: what is wrong with the line.
    """

    number: int
    command: Command | None
    settings: Settings
    entry: Entry | None = None
    error: CommandError | None = None


class RestoreError(EmuError):
    """A file for `ipset restore` has faults.

    Attributes:
        faults: all of them, with their lines.
    """

    def __init__(self, faults: tuple[tuple[int, str], ...]) -> None:
        super().__init__("\n".join(f"line {line}: {message}" for line, message in faults))
        self.faults = faults


def parse(text: str, known: Mapping[str, SetSpec] | None = None) -> tuple[Line, ...]:
    """Return the lines of a file.

    Args:
        text: the file.
        known: the sets that are there before.

    Raises:
        RestoreError: some make no sense. What only the kernel refuses is not found here.
    """
    lines = tuple(scan(text, known or {}))
    faults = tuple((line.number, str(line.error)) for line in lines if line.error is not None)
    if faults:
        raise RestoreError(faults)
    return lines


def scan(text: str, known: Mapping[str, SetSpec]) -> Iterator[Line]:
    """Yield the lines of a file that ask for something, each with what is wrong with it."""
    specs = dict(known)
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if stripped == COMMIT:
            yield Line(number, None, Settings())
            continue
        try:
            command, settings = parse_arguments(split(stripped))
            entry = _understand(command, specs)
        except CommandError as error:
            yield Line(number, None, Settings(), error=error)
        else:
            yield Line(number, command, settings, entry)


def split(line: str) -> list[str]:
    """Return the words of a line; one whose quote does not end is dropped, with all that follows."""
    words = []
    for quoted, is_open, plain in (found.groups() for found in _WORD.finditer(line)):
        if is_open is None:
            words.append(plain if quoted is None else quoted)
    return words


def _understand(command: Command, specs: dict[str, SetSpec]) -> Entry | None:
    """Return what a `Change` is about, and keep in `specs` which sets there are."""
    match command:
        case Create(name, spec):
            specs[name] = spec
        case Destroy(name):
            if name is None:
                specs.clear()
            else:
                specs.pop(name, None)
        case Rename(name, other) | Swap(name, other) if name in specs:
            here, there = specs.pop(name), specs.pop(other, None)
            specs[other] = here
            if there is not None:
                specs[name] = there
        case Change(_, name):
            if name not in specs:
                raise refused(IpSetError(Refusal.NO_SUCH_SET), command.verb)
            return command.entry(specs[name])
        case Restore() | Say():
            verb = "restore" if isinstance(command, Restore) else "version"
            raise misused(f"Command `{verb}' is invalid in restore mode.")
    return None


def explain(line: Line) -> CommandError:
    """Return the complaint of a faulty line, as `ipset restore` prints it."""
    return complaint(line.error or CommandError("", 1), line.number)
