# SPDX-License-Identifier: GPL-2.0-only
"""The exceptions of emu: all of them mean that somebody gave wrong input.

A frame that cannot go on is never one of these; it ends in a `Drop` with a
reason (`emu.kernel.drops`). A system call that fails raises `OSError` with the
kernel's errno, as it would for a program on Linux.

    EmuError
     +-- AddressError          text that is no address, prefix or MAC address
     +-- HeaderError           octets that hold no such header
     +-- FrameSyntaxError      a frame written as hexadecimal or Scapy expression is wrong
     +-- CaptureFileError      a capture file is truncated, corrupt or of another kind
     +-- FilterError           a capture filter is wrong, or nothing here can compile it
     +-- DocumentError         a document has faults; all of them are in it
     +-- CommandError          a modelled command was refused, as the real tool refuses
     +-- RulesError            a text of rules has faults; all of them are in it
     +-- SysctlError           no such name below /proc/sys/net, or a value it refuses
     +-- CableError            a cable's latency, bandwidth or loss is out of range
     +-- EndPointError         who asks or is asked is not said as it has to be
     +-- ExpectationError      a line that says what is expected is wrong; all its faults are in it
     +-- UnknownNameError      no such namespace, interface or target
     +-- StormError            the budget of events is spent: frames go round in circles
     +-- OutputError           a file could not be written
"""

from __future__ import annotations

import difflib
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class EmuError(Exception):
    """Base of all errors that wrong input causes."""


class AddressError(EmuError, ValueError):
    """A text is no MAC address, IP address or prefix."""


class HeaderError(EmuError, ValueError):
    """The octets are too short for, or contradict, the header asked for."""


class FrameSyntaxError(EmuError, ValueError):
    """A frame given as `hex:` text or as a Scapy expression cannot be read."""


class CaptureFileError(EmuError, ValueError):
    """A pcap or pcapng file is truncated, corrupt, or not Ethernet."""


class FilterError(EmuError, ValueError):
    """A pcap filter expression is wrong, or libpcap is missing."""


class CommandError(EmuError):
    """A modelled command (`ip`, `bridge`, ...) failed.

    `str()` of it is what the real tool prints on standard error; `stdout` what
    it had printed before, and `status` its exit status.
    """

    def __init__(self, message: str, status: int = 2, *, stdout: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.stdout = stdout


class Complaint(NamedTuple):
    """One thing wrong in a text of rules.

    `line` is counted from 1. `message` is in the words of the tool that would
    refuse it, `status` what that tool would end with, and `hint` says more
    where the tool says little.
    """

    line: int
    message: str
    hint: str = ""
    status: int = 2

    def __str__(self) -> str:
        message = self.message.rstrip()
        if message and self.hint:
            return f"{message} ({self.hint})"
        return message or self.hint


class RulesError(EmuError):
    """A text of rules has faults. `str()` of it has one line for each, sorted by line."""

    def __init__(self, complaints: Iterable[Complaint]) -> None:
        self.complaints = tuple(sorted(complaints))
        super().__init__("\n".join(f"line {one.line}: {one}" for one in self.complaints))


class SysctlError(EmuError):
    """A name below `/proc/sys/net` does not exist, or refuses a value.

    `str()` of it is what `sysctl` prints behind its own name.
    """


class CableError(EmuError, ValueError):
    """A setting of a cable is out of range."""


class EndPointError(EmuError, ValueError):
    """An end point of a question (`NAME:PORT/PROTOCOL`) is wrong."""


class ExpectationError(EmuError, ValueError):
    """A line of `expect` is wrong. `str()` of it has all its faults."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))


class UnknownNameError(EmuError, LookupError):
    """A namespace, interface or target is named that does not exist."""


class StormError(EmuError):
    """More events happened than the budget allows, as in a bridge loop."""


class JobError(EmuError):
    """A process that worked beside this one was ended."""


class OutputError(EmuError):
    """A file or folder cannot be written."""


class Fault(NamedTuple):
    """One thing wrong in a document, with its place.

    `line` is counted from 1; `path` reads like `$.links[0].a.mac`. Named tuples
    sort by place, and need nothing that would make `emu --help` slower.
    """

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.path}: {self.message}"


class DocumentError(EmuError):
    """A document has faults. `str()` of it has one line for each, sorted by line."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(faults))
        super().__init__("\n".join(map(str, self.faults)))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'mtu'?` if one of the `known` words is close to `word`, or else nothing.

    Among equally close ones the one with the same letters wins. Only the first
    hundreds of words are looked at: comparing is slow.
    """
    words = list(islice(known, 500))
    swapped = [other for other in words if sorted(other) == sorted(word)]
    close = swapped or difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
