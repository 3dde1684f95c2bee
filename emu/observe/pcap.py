# SPDX-License-Identifier: GPL-2.0-only
"""Write and read classic pcap: Ethernet frames of one capture point, with their times.

A file is a header of 24 octets, then for each frame a header of 16 and its
octets. What is written here is little endian and has nanoseconds; both byte
orders, and microseconds, are read.

Source: draft-ietf-opsawg-pcap.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from emu.errors import OutputError
from emu.observe.record import (
    LINK_TYPE_ETHERNET,
    MAX_CAPTURED_OCTETS,
    CapturedFrame,
    link_type_name,
)
from emu.observe.source import OctetSource, fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

_SECOND: Final = 1_000_000_000
_MAGIC_NS: Final = 0xA1B23C4D

MAGICS: Final = {
    b"\x4d\x3c\xb2\xa1": ("<", _SECOND),
    b"\xa1\xb2\x3c\x4d": (">", _SECOND),
    b"\xd4\xc3\xb2\xa1": ("<", 1_000_000),
    b"\xa1\xb2\xc3\xd4": (">", 1_000_000),
}
"""First four octets of a file: `struct`'s sign for its byte order, and ticks a second."""

_FILE_HEADER: Final = struct.Struct("<IHHiIII")
_FRAME_HEADER: Final = struct.Struct("<IIII")
_BATCH: Final = 4096  # pieces that `write_all` collects for one write


class PcapWriter:
    """A classic pcap file, nanosecond resolution.

    Of a frame only its time and its octets are kept, whatever its point.

    Args:
        stream: where to; only `write` is used.
        link_type: what every frame begins with, as a LINKTYPE_ number.

    Raises:
        OutputError: (from `write`, `write_all`) the time is before 1970 or after
            2106, or the frame is larger than 262144 octets.
    """

    def __init__(self, stream: BinaryIO, *, link_type: int = LINK_TYPE_ETHERNET) -> None:
        self._stream = stream
        stream.write(_FILE_HEADER.pack(_MAGIC_NS, 2, 4, 0, 0, MAX_CAPTURED_OCTETS, link_type))

    def write(self, frame: CapturedFrame) -> None:
        """Write one frame, in one piece."""
        self.write_all((frame,))

    def write_all(self, frames: Iterable[CapturedFrame]) -> None:
        """Write frames, two thousand or so at a time.

        If one of them is refused, those before it have been written.
        """
        pieces: list[bytes] = []
        append, pack = pieces.append, _FRAME_HEADER.pack
        try:
            for frame in frames:
                octets = frame.octets
                captured = len(octets)
                original = captured if frame.wire_length is None else frame.wire_length
                if not captured <= original or captured > MAX_CAPTURED_OCTETS:
                    raise _refusal(frame)
                try:
                    append(pack(*divmod(frame.time_ns, _SECOND), captured, original))
                except struct.error:
                    raise _refusal(frame) from None
                append(octets)
                if len(pieces) >= _BATCH:
                    batch = b"".join(pieces)
                    pieces.clear()
                    self._stream.write(batch)
        finally:
            self._stream.write(b"".join(pieces))


def _refusal(frame: CapturedFrame) -> OutputError:
    size = len(frame.octets) if frame.wire_length is None else frame.wire_length
    return OutputError(
        f"pcap holds no frame at {frame.time_ns} ns with {len(frame.octets)} of {size} octets captured"
    )


def read_pcap(stream: BinaryIO | OctetSource) -> Iterator[CapturedFrame]:
    """Yield the frames of a classic pcap file.

    Args:
        stream: the file from its first octet on; a pipe will do.

    Raises:
        CaptureFileError: (on the way) the file is truncated or corrupt, or its
            link type is not Ethernet.
    """
    source = stream if isinstance(stream, OctetSource) else OctetSource(stream)
    magic = source.peek(4)
    if magic not in MAGICS:
        raise fault(0, "the magic number of a pcap file", magic.hex(" ") or "the end of the file")
    order, ticks = MAGICS[magic]
    _check_header(order, source.take(24, "a file header"))
    layout = struct.Struct(order + "IIII")
    while not source.at_end():
        start = source.offset
        seconds, fraction, captured, original = layout.unpack(source.take(16, "a frame header"))
        if fraction >= ticks:
            raise fault(start + 4, f"a fraction of a second below {ticks}", str(fraction))
        if captured > MAX_CAPTURED_OCTETS:
            raise fault(start + 8, f"at most {MAX_CAPTURED_OCTETS} octets captured", str(captured))
        if original < captured:
            raise fault(start + 12, f"a frame of {captured} octets or more, as captured", str(original))
        yield CapturedFrame(
            seconds * _SECOND + fraction * (_SECOND // ticks),
            0,
            source.take(captured, "a frame"),
            wire_length=None if original == captured else original,
        )


def _check_header(order: str, octets: bytes) -> None:
    major, minor, _, _, _, link_word = struct.unpack(order + "HHiIII", octets[4:])
    if (major, minor) != (2, 4):
        raise fault(4, "pcap version 2.4", f"{major}.{minor}")
    link_type, extras = link_word & 0xFFFF, link_word >> 16
    if extras:  # the length of a frame check sequence, or bits without a meaning
        raise fault(20, "a link type without flags", f"{link_word:#010x}")
    if link_type != LINK_TYPE_ETHERNET:
        raise fault(20, f"link type {link_type_name(LINK_TYPE_ETHERNET)}", link_type_name(link_type))
