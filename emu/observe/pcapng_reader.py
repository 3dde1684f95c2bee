# SPDX-License-Identifier: GPL-2.0-only
"""Read pcapng files of any origin, as long as their frames are Ethernet.

Both byte orders, any number of sections, time stamps of any resolution, and the
packet blocks of old are read. What is wrong is said with its place; nothing
malformed is passed over, and no block makes us take more than 16 MiB at once.

Source: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.observe import pcapng
from emu.observe.pcapng import NameTable, Record, Section, TlsSecrets
from emu.observe.record import (
    LINK_TYPE_ETHERNET,
    CapturedFrame,
    CapturePoint,
    Direction,
    link_type_name,
)
from emu.observe.source import OctetSource, fault
from emu.wire.addresses import IpAddress, MacAddress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from emu.errors import CaptureFileError

_OLD_PACKET, _SIMPLE_PACKET = 2, 3
_SECOND: Final = 1_000_000_000
_MICROSECONDS: Final = 6  # the resolution of an interface that states none


def read_pcapng(stream: BinaryIO | OctetSource) -> Iterator[Record]:
    """Yield what a pcapng file holds, in its order.

    Blocks of other kinds are passed over. `CapturedFrame.point` counts the
    `CapturePoint`s of the whole file, over all its sections. A simple packet
    block has no time; its frame is at 0.

    Args:
        stream: the file from its first octet on; a pipe will do.

    Raises:
        CaptureFileError: (on the way) the file is truncated or corrupt, or a
            frame is of another link type than Ethernet.
    """
    source = stream if isinstance(stream, OctetSource) else OctetSource(stream)
    points = 0
    section: _SectionReader | None = None
    while section is None or not source.at_end():
        if source.peek(4) == pcapng.MAGIC:
            if section:
                section.finish()
                points += len(section.interfaces)
            section = _SectionReader(source, points)
        elif section is None:
            raise fault(source.offset, "a pcapng section header", source.peek(4).hex(" ") or "the end")
        record = section.next_record()
        if record is not None:
            yield record
    section.finish()


class _Interface(NamedTuple):
    """What it takes to understand the frames of one interface."""

    link_type: int
    snap_length: int
    ticks_per_second: int
    offset_seconds: int

    def time_ns(self, ticks: int) -> int:
        return ticks * _SECOND // self.ticks_per_second + self.offset_seconds * _SECOND


class _Block:
    """The inside of one block, read from front to back."""

    def __init__(self, order: str, start: int, octets: bytes) -> None:
        self._order = order
        self._start = start
        self._octets = octets
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._octets) - self._at

    def fields(self, layout: str, what: str) -> tuple[int, ...]:
        return struct.unpack(self._order + layout, self.take(struct.calcsize("=" + layout), what))

    def take(self, count: int, what: str) -> bytes:
        if count > self.left:
            raise self.fault(f"{count} octets of {what}", f"only {self.left} before the end of the block")
        self._at += count
        return self._octets[self._at - count : self._at]

    def take_padded(self, count: int, what: str) -> bytes:
        return self.take(count + (-count & 3), what)[:count]

    def items(self, what: str) -> Iterator[tuple[int, bytes]]:
        """Yield code and value of each option or name record up to the end mark, which may lack."""
        while self.left:
            code, length = self.fields("HH", what)
            value = self.take_padded(length, what)
            if code == pcapng.END:
                return
            yield code, value

    def options(self) -> Iterator[tuple[int, bytes]]:
        yield from self.items("an option")
        if self.left:
            raise self.fault("the end of the block behind its options", f"{self.left} octets")

    def integer(self, layout: str, value: bytes, what: str) -> int:
        if len(value) != struct.calcsize("=" + layout):
            raise self.fault(f"{struct.calcsize('=' + layout)} octets of {what}", str(len(value)))
        number: int = struct.unpack(self._order + layout, value)[0]
        return number

    def text(self, value: bytes, what: str) -> str:
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise self.fault(f"{what} in UTF-8", repr(value[:40])) from None

    def fault(self, expected: str, found: str) -> CaptureFileError:
        return fault(self._start + self._at, expected, found)


class _SectionReader:
    """One section, whose header is what comes next in `source`.

    Args:
        source: the file.
        points_before: interfaces in the sections before this one.
    """

    def __init__(self, source: OctetSource, points_before: int) -> None:
        self.interfaces: list[_Interface] = []
        self._source = source
        self._points_before = points_before
        self._end: int | None = None  # where the header says that the section ends
        magic = source.peek(12)[8:]
        if len(magic) == 4 and magic not in (b"\x4d\x3c\x2b\x1a", b"\x1a\x2b\x3c\x4d"):
            raise fault(source.offset + 8, "the byte-order magic 1a2b3c4d, either way round", magic.hex())
        self._order = ">" if magic.startswith(b"\x1a") else "<"

    def next_record(self) -> Record | None:
        """Return what the next block is, None for one that does not concern us."""
        kind, block = self._next_block()
        match kind:
            case pcapng.ENHANCED_PACKET:
                number, high, low, captured, original = block.fields("IIIII", "a packet header")
                return self._frame(block, number, high << 32 | low, captured, original)
            case pcapng.INTERFACE_DESCRIPTION:
                return self._point(block)
            case pcapng.SECTION_HEADER:
                return self._section(block)
            case pcapng.NAME_RESOLUTION:
                return _names(block)
            case pcapng.DECRYPTION_SECRETS:
                return _secrets(block)
            case _ if kind == _OLD_PACKET:
                number, _, high, low, captured, original = block.fields("HHIIII", "a packet header")
                return self._frame(block, number, high << 32 | low, captured, original)
            case _ if kind == _SIMPLE_PACKET:
                return self._simple_frame(block)
            case _:
                return None

    def finish(self) -> None:
        """Check that the section is as long as its header says."""
        if self._end is not None and self._end != self._source.offset:
            raise fault(self._source.offset, f"the section to end at octet {self._end}", "its end here")

    def _next_block(self) -> tuple[int, _Block]:
        start = self._source.offset
        kind, length = struct.unpack(self._order + "II", self._source.take(8, "a block header"))
        if length % 4 or not 12 <= length <= pcapng.MAX_BLOCK:
            expected = f"a block length that is a multiple of 4, from 12 to {pcapng.MAX_BLOCK}"
            raise fault(start + 4, expected, str(length))
        octets = self._source.take(length - 12, "a block")
        (again,) = struct.unpack(self._order + "I", self._source.take(4, "a block's length"))
        if again != length:
            raise fault(self._source.offset - 4, f"the block's length {length} again", str(again))
        return kind, _Block(self._order, start + 8, octets)

    def _section(self, block: _Block) -> Section:
        _, major, minor, length = block.fields("IHHq", "a section header")
        if major != 1 or minor not in (0, 2):
            raise block.fault("pcapng version 1.0", f"{major}.{minor}")
        if length != -1:
            self._end = self._source.offset + length
        application, comments = "", []
        for code, value in block.options():
            if code == pcapng.COMMENT:
                comments.append(block.text(value, "a comment"))
            elif code == pcapng.SECTION_APPLICATION:
                application = block.text(value, "an application's name")
        return Section(application, tuple(comments))

    def _point(self, block: _Block) -> CapturePoint:
        link_type, _, snap_length = block.fields("HHI", "an interface description")
        name = description = ""
        mac, resolution, offset_seconds = None, _MICROSECONDS, 0
        for code, value in block.options():
            match code:
                case pcapng.INTERFACE_NAME:
                    name = block.text(value, "an interface's name")
                case pcapng.INTERFACE_TEXT:
                    description = block.text(value, "an interface's description")
                case pcapng.INTERFACE_MAC:
                    if len(value) != 6:
                        raise block.fault("6 octets of MAC address", str(len(value)))
                    mac = MacAddress(value)
                case pcapng.INTERFACE_RESOLUTION:
                    resolution = block.integer("B", value, "time stamp resolution")
                case pcapng.INTERFACE_FCS_LENGTH if any(value):
                    raise block.fault("frames without a check sequence", "one at the end of each")
                case pcapng.INTERFACE_TIME_OFFSET:
                    offset_seconds = block.integer("q", value, "time stamp offset")
        ticks = 1 << (resolution & 0x7F) if resolution & 0x80 else 10**resolution
        self.interfaces.append(_Interface(link_type, snap_length, ticks, offset_seconds))
        return CapturePoint(name, description, mac, link_type)

    def _frame(self, block: _Block, number: int, ticks: int, captured: int, original: int) -> CapturedFrame:
        interface = self._interface(block, number)
        if original < captured:
            raise block.fault(f"a packet of {captured} octets or more, as captured", str(original))
        octets = block.take_padded(captured, "packet data")
        direction, packet_id, comments = Direction.UNKNOWN, None, []
        for code, value in block.options():
            if code == pcapng.COMMENT:
                comments.append(block.text(value, "a comment"))
            elif code == pcapng.PACKET_FLAGS:
                flags = block.integer("I", value, "packet flags")
                if flags & 3 == 3:
                    raise block.fault("direction 0 to 2", "3")
                if flags >> 5 & 15:
                    raise block.fault("a frame without its check sequence", f"{flags >> 5 & 15} octets of it")
                direction = Direction(flags & 3)
            elif code == pcapng.PACKET_ID:
                packet_id = block.integer("Q", value, "packet id")
        return CapturedFrame(
            interface.time_ns(ticks),
            self._points_before + number,
            octets,
            direction,
            packet_id,
            tuple(comments),
            None if original == captured else original,
        )

    def _simple_frame(self, block: _Block) -> CapturedFrame:
        interface = self._interface(block, 0)
        (original,) = block.fields("I", "a packet's length")
        captured = min(original, interface.snap_length or original)
        octets = block.take_padded(captured, "packet data")
        if block.left:
            raise block.fault("the end of the block behind its packet", f"{block.left} octets")
        return CapturedFrame(
            0, self._points_before, octets, wire_length=None if original == captured else original
        )

    def _interface(self, block: _Block, number: int) -> _Interface:
        if number >= len(self.interfaces):
            known = len(self.interfaces)
            raise block.fault(f"one of the {known} interfaces described so far", f"number {number}")
        interface = self.interfaces[number]
        if interface.link_type != LINK_TYPE_ETHERNET:
            expected = f"frames of link type {link_type_name(LINK_TYPE_ETHERNET)}"
            raise block.fault(expected, link_type_name(interface.link_type))
        return interface


def _names(block: _Block) -> NameTable:
    names: list[tuple[IpAddress, str]] = []
    for code, value in block.items("a name record"):
        if code not in (pcapng.NAME_IPV4, pcapng.NAME_IPV6):
            continue
        width = 4 if code == pcapng.NAME_IPV4 else 16
        address, (*texts, rest) = IpAddress(value[:width]), value[width:].split(b"\0")
        if not texts or rest:
            raise block.fault("an address and names that end in NUL", repr(value[:40]))
        names += [(address, block.text(text, "a name")) for text in texts]
    for _ in block.options():
        pass  # which server the names are from
    return NameTable(tuple(names))


def _secrets(block: _Block) -> TlsSecrets | None:
    kind, length = block.fields("II", "a secrets header")
    secrets = block.take_padded(length, "secrets")
    return TlsSecrets(secrets) if kind == pcapng.TLS_KEY_LOG else None
