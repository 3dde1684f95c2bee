# SPDX-License-Identifier: GPL-2.0-only
"""SCTP, as tcpdump prints it. Source: RFC 9260 §3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.observe.tcpdump.part import Part

PROTOCOL: Final = 132
HEADER_LENGTH: Final = 12

_DATA, _INIT, _INIT_ACK, _SACK = range(4)
_CHUNKS: Final = {
    _DATA: "DATA",
    _INIT: "INIT",
    _INIT_ACK: "INIT ACK",
    _SACK: "SACK",
    4: "HB REQ",
    5: "HB ACK",
    6: "ABORT",
    7: "SHUTDOWN",
    8: "SHUTDOWN ACK",
    9: "OP ERR",
    10: "COOKIE ECHO",
    11: "COOKIE ACK",
    12: "ECN ECHO",
    13: "CWR",
    14: "SHUTDOWN COMPLETE",
}
_MIN_LENGTHS: Final = {_DATA: 16, _INIT: 20, _INIT_ACK: 20, _SACK: 16}


def words(part: Part) -> Iterator[str]:
    """Yield what a packet of 12 octets or more says behind its ports: its chunks, one after the other."""
    yield "sctp"
    at, count = HEADER_LENGTH, 0
    while at < part.length:
        count += 1
        number = f"{',' if count > 1 else ''} ({count}) "
        if part.length - at < 4:
            yield f"{number}[chunk descriptor cut off at end of packet]"
            return
        kind, flags, length = part.number(at, 1), part.number(at + 1, 1), part.number(at + 2, 2)
        if length < 4:
            yield f"{number}[Bad chunk length {length}, < size of chunk descriptor]"
            return
        part.take(at, length)
        yield f"{number}[{_CHUNKS.get(kind, f'Unknown chunk type: 0x{kind:x}')}] "
        if length < _MIN_LENGTHS.get(kind, 4):
            yield f"bogus chunk length {length}]"
            return
        yield from _chunk(part.after(at, part.protocol).within(length), kind, flags)
        at += length + -length % 4


def _chunk(part: Part, kind: int, flags: int) -> Iterator[str]:
    match kind:
        case 0:
            yield "".join(mark for bit, mark in ((4, "(U)"), (2, "(B)"), (1, "(E)")) if flags & bit)
            yield " " if flags & 7 else ""
            yield f"[TSN: {part.number(4, 4)}] [SID: {part.number(8, 2)}] [SSEQ {part.number(10, 2)}] "
            yield f"[PPID 0x{part.number(12, 4):x}] "
        case 1 | 2:
            yield f"[init tag: {part.number(4, 4)}] [rwnd: {part.number(8, 4)}] [OS: {part.number(12, 2)}] "
            yield f"[MIS: {part.number(14, 2)}] [init TSN: {part.number(16, 4)}] "
        case 3:
            gaps, duplicates = part.number(12, 2), part.number(14, 2)
            acknowledged = part.number(4, 4)
            yield f"[cum ack {acknowledged}] [a_rwnd {part.number(8, 4)}] "
            yield f"[#gap acks {gaps}] [#dup tsns {duplicates}] "
            for number in range(gaps):
                start, end = (acknowledged + part.number(16 + 4 * number + side, 2) for side in (0, 2))
                yield f"\n\t\t[gap ack block #{number + 1}: start = {start}, end = {end}] "
            for number in range(duplicates):
                yield f"\n\t\t[dup TSN #{number + 1}: {part.number(16 + 4 * (gaps + number), 4)}] "
