# SPDX-License-Identifier: GPL-2.0-only
"""Write pcapng, the capture format of Wireshark.

A file is a row of blocks: a section header, one block for each capture point,
then frames, names and TLS secrets in any order. What is written here is little
endian and has nanoseconds; `pcapng_reader` reads anything the format allows.

Source: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from emu.errors import OutputError
from emu.observe.record import MAX_CAPTURED_OCTETS, CapturedFrame, CapturePoint

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

    from emu.wire.addresses import IpAddress

MAGIC: Final = b"\x0a\x0d\x0d\x0a"  # reads the same in both byte orders

SECTION_HEADER: Final = 0x0A0D0D0A
INTERFACE_DESCRIPTION: Final = 1
NAME_RESOLUTION: Final = 4
ENHANCED_PACKET: Final = 6
DECRYPTION_SECRETS: Final = 10

# Options. Their numbers begin anew in each kind of block.
END: Final = 0
COMMENT: Final = 1
SECTION_APPLICATION: Final = 4
INTERFACE_NAME: Final = 2
INTERFACE_TEXT: Final = 3
INTERFACE_MAC: Final = 6
INTERFACE_RESOLUTION: Final = 9
INTERFACE_FCS_LENGTH: Final = 13
INTERFACE_TIME_OFFSET: Final = 14
PACKET_FLAGS: Final = 2
PACKET_ID: Final = 5

# Records of a name resolution block.
NAME_IPV4: Final = 1
NAME_IPV6: Final = 2

MAX_BLOCK: Final = 1 << 24  # what Wireshark takes, too
TLS_KEY_LOG: Final = 0x544C534B
_BYTE_ORDER: Final = 0x1A2B3C4D
_NANOSECONDS: Final = 9

_PADDING: Final = (b"", b"\0", b"\0\0", b"\0\0\0")
_PACKET_HEAD: Final = struct.Struct("<IIIIIII")
_LENGTH: Final = struct.Struct("<I")
_FLAGS_AND_LENGTH: Final = struct.Struct("<HHIII")
_ID_AND_LENGTH: Final = struct.Struct("<HHQII")
_FLAGS_ID_AND_LENGTH: Final = struct.Struct("<HHIHHQII")
_BATCH: Final = 4096  # pieces that `write_all` collects for one write, a thousand frames or so


@attrs.frozen
class Section:
    """The head of a section: who wrote it, and remarks about the whole of it."""

    application: str = ""
    comments: tuple[str, ...] = ()


@attrs.frozen
class NameTable:
    """Names for addresses, which Wireshark shows in place of them."""

    names: tuple[tuple[IpAddress, str], ...]


@attrs.frozen
class TlsSecrets:
    """Lines of an NSS key log, with which Wireshark decrypts TLS."""

    key_log: bytes


Record: TypeAlias = Section | CapturePoint | NameTable | TlsSecrets | CapturedFrame


class PcapngWriter:
    """A pcapng file of one section, written as its parts become known.

    A capture point must be added before its first frame, names and secrets at
    best before the frames that need them. Nothing is flushed or closed here.

    Args:
        stream: where to; only `write` is used.
        application: who writes, like `emu 0.1.0`.
        comment: a remark about the whole file.

    Raises:
        OutputError: (from any method) a value does not fit the format.
    """

    def __init__(self, stream: BinaryIO, *, application: str, comment: str = "") -> None:
        self._stream = stream
        self._points = 0
        options = (_text(COMMENT, comment) if comment else b"") + _text(SECTION_APPLICATION, application)
        self._block(SECTION_HEADER, struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1), options)

    def add_point(self, point: CapturePoint) -> int:
        """Write `point` and return the number that its frames refer to it by."""
        options = _text(INTERFACE_NAME, point.name)
        if point.description:
            options += _text(INTERFACE_TEXT, point.description)
        if point.mac is not None:
            options += _option(INTERFACE_MAC, point.mac)
        options += _option(INTERFACE_RESOLUTION, bytes((_NANOSECONDS,)))
        self._block(
            INTERFACE_DESCRIPTION, struct.pack("<HHI", point.link_type, 0, MAX_CAPTURED_OCTETS), options
        )
        self._points += 1
        return self._points - 1

    def add_names(self, names: Iterable[tuple[IpAddress, str]]) -> None:
        """Write names for addresses of either family."""
        records: list[bytes] = []
        size = 0
        for address, name in names:
            encoded = _utf8(name)
            if b"\0" in encoded:
                raise OutputError(f"the name {name!r} has a NUL in it")
            kind = NAME_IPV4 if address.family == 4 else NAME_IPV6
            record = _option(kind, address + encoded + b"\0")
            if size + len(record) > MAX_BLOCK // 2:
                self._block(NAME_RESOLUTION, b"".join(records) + bytes(4))
                records, size = [], 0
            records.append(record)
            size += len(record)
        if records:
            self._block(NAME_RESOLUTION, b"".join(records) + bytes(4))

    def add_secrets(self, key_log: bytes) -> None:
        """Write lines of an NSS key log (`CLIENT_RANDOM ...`)."""
        padding = _PADDING[-len(key_log) & 3]
        self._block(DECRYPTION_SECRETS, struct.pack("<II", TLS_KEY_LOG, len(key_log)) + key_log + padding)

    def write(self, frame: CapturedFrame) -> None:
        """Write one frame, in one piece."""
        pieces: list[bytes] = []
        self._append(pieces, (frame,))
        self._stream.write(b"".join(pieces))

    def write_all(self, frames: Iterable[CapturedFrame]) -> None:
        """Write frames, a thousand or so at a time.

        If one of them is refused, those before it have been written.
        """
        pieces: list[bytes] = []
        try:
            self._append(pieces, frames)
        finally:
            self._stream.write(b"".join(pieces))

    def _append(self, pieces: list[bytes], frames: Iterable[CapturedFrame]) -> None:
        """Append the blocks of `frames` to `pieces`, and write these out when they are many."""
        append = pieces.append
        pack_head, pack_length, points = _PACKET_HEAD.pack, _LENGTH.pack, self._points
        for time_ns, point, octets, direction, packet_id, comments, wire_length, _ in frames:
            captured = len(octets)
            original = captured if wire_length is None else wire_length
            if not 0 <= point < points or captured > MAX_CAPTURED_OCTETS or original < captured:
                raise _refusal(point, points, captured, original)
            tail = b"".join(map(_comment, comments)) if comments else b""
            total = 32 + captured + (-captured & 3) + len(tail)
            try:
                if packet_id is not None:
                    if direction:
                        total += 24
                        tail += _FLAGS_ID_AND_LENGTH.pack(
                            PACKET_FLAGS, 4, direction, PACKET_ID, 8, packet_id, END, total
                        )
                    else:
                        total += 16
                        tail += _ID_AND_LENGTH.pack(PACKET_ID, 8, packet_id, END, total)
                elif direction:
                    total += 12
                    tail += _FLAGS_AND_LENGTH.pack(PACKET_FLAGS, 4, direction, END, total)
                elif tail:
                    total += 4
                    tail += bytes(4) + pack_length(total)
                else:
                    tail = pack_length(total)
                append(
                    pack_head(
                        ENHANCED_PACKET, total, point, time_ns >> 32, time_ns & 0xFFFFFFFF, captured, original
                    )
                )
            except struct.error:
                raise OutputError(
                    f"pcapng holds no frame at {time_ns} ns with packet id {packet_id} and {original} octets"
                ) from None
            append(octets)
            append(_PADDING[-captured & 3])
            append(tail)
            if len(pieces) >= _BATCH:
                batch = b"".join(pieces)
                pieces.clear()
                self._stream.write(batch)

    def _block(self, kind: int, body: bytes, options: bytes = b"") -> None:
        if options:
            body += options + bytes(4)
        length = 12 + len(body)
        if length > MAX_BLOCK:
            raise OutputError(f"a block of {length} octets is more than the {MAX_BLOCK} that readers take")
        self._stream.write(struct.pack("<II", kind, length) + body + _LENGTH.pack(length))


def _option(code: int, value: bytes) -> bytes:
    if len(value) > 0xFFFF:
        raise OutputError(f"a text or name of {len(value)} octets is more than the 65535 of a pcapng option")
    return struct.pack("<HH", code, len(value)) + value + _PADDING[-len(value) & 3]


def _text(code: int, text: str) -> bytes:
    return _option(code, _utf8(text))


@lru_cache(maxsize=4096)
def _comment(text: str) -> bytes:
    """Return a remark about a frame as an option: few texts, over and over."""
    return _text(COMMENT, text)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise OutputError(f"{text!r} has no form in UTF-8") from None


def _refusal(point: int, points: int, captured: int, original: int) -> OutputError:
    if not 0 <= point < points:
        return OutputError(f"a frame refers to capture point {point}, of which there are {points}")
    if captured > MAX_CAPTURED_OCTETS:
        return OutputError(
            f"a frame of {captured} octets is more than the {MAX_CAPTURED_OCTETS} of a capture"
        )
    return OutputError(f"a frame of {original} octets cannot be captured with {captured}")
