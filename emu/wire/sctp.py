# SPDX-License-Identifier: GPL-2.0-only
"""SCTP: the common header, chunks, and what stands in them (RFC 9260 §3).

A packet is a header of 12 octets and chunks behind it, each filled up to a
multiple of 4 octets. The checksum is CRC-32C over all of it; no address is part
of it, so a router that changes addresses alone need not touch it.
"""

from __future__ import annotations

import enum
import struct
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from emu.errors import HeaderError
from emu.wire.crc32c import sctp_checksum

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PROTOCOL: Final = 132
HEADER_LENGTH: Final = 12
CHUNK_HEADER: Final = 4
DATA_HEADER: Final = 16
"""Octets of a DATA chunk before its payload."""

T_BIT: Final = 1
"""Flag of ABORT and SHUTDOWN COMPLETE: the tag is the one that the receiver itself uses."""

END: Final = 1
BEGIN: Final = 2
UNORDERED: Final = 4
"""Flags of DATA: the last, the first fragment of a message; one that may overtake others."""

_HEADER: Final = struct.Struct("!HHII")
_TYPE_LENGTH: Final = struct.Struct("!HH")
_CHUNK: Final = struct.Struct("!BBH")
_INIT: Final = struct.Struct("!IIHHI")
_DATA: Final = struct.Struct("!IHHI")
_SACK: Final = struct.Struct("!IIHH")
_GAP: Final = struct.Struct("!HH")
_TSN: Final = struct.Struct("!I")


class ChunkType(enum.IntEnum):
    """Types of chunks (RFC 9260 §3.2)."""

    DATA = 0
    INIT = 1
    INIT_ACK = 2
    SACK = 3
    HEARTBEAT = 4
    HEARTBEAT_ACK = 5
    ABORT = 6
    SHUTDOWN = 7
    SHUTDOWN_ACK = 8
    ERROR = 9
    COOKIE_ECHO = 10
    COOKIE_ACK = 11
    SHUTDOWN_COMPLETE = 14


class ParameterType(enum.IntEnum):
    """Types of the parameters of INIT and INIT ACK (RFC 9260 §3.3.2.1, §3.3.3.1)."""

    HEARTBEAT_INFO = 1
    IPV4_ADDRESS = 5
    IPV6_ADDRESS = 6
    STATE_COOKIE = 7
    UNRECOGNIZED = 8
    COOKIE_PRESERVATIVE = 9
    HOST_NAME = 11
    SUPPORTED_ADDRESS_TYPES = 12


class CauseCode(enum.IntEnum):
    """Why an ERROR or ABORT was sent (RFC 9260 §3.3.10)."""

    INVALID_STREAM = 1
    STALE_COOKIE = 3
    UNRECOGNIZED_CHUNK = 6
    INVALID_MANDATORY_PARAMETER = 7
    NO_USER_DATA = 9
    RESTART_WITH_NEW_ADDRESSES = 11
    USER_ABORT = 12
    PROTOCOL_VIOLATION = 13


class Sctp(NamedTuple):
    """The fields of the common header; `checksum` as its octets stand there."""

    sport: int
    dport: int
    tag: int
    checksum: int

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Return the header at the start of `octets`.

        Raises:
            HeaderError: fewer than 12 octets.
        """
        if len(octets) < HEADER_LENGTH:
            raise HeaderError(f"{len(octets)} octets hold no SCTP header")
        return cls._make(_HEADER.unpack_from(octets))


class Chunk(NamedTuple):
    """A chunk: its type, its flags, and what follows the 4 octets of its own header, without padding."""

    type: int
    flags: int = 0
    value: bytes = b""

    @property
    def size(self) -> int:
        """Octets that it takes in a packet, with its padding."""
        length = CHUNK_HEADER + len(self.value)
        return length + -length % 4

    def build(self) -> bytes:
        """Return its octets, filled up to a multiple of 4."""
        length = CHUNK_HEADER + len(self.value)
        return _CHUNK.pack(self.type, self.flags, length) + self.value + bytes(-length % 4)


def build(sport: int, dport: int, tag: int, chunks: Iterable[Chunk]) -> bytes:
    """Return a packet, its checksum done.

    Args:
        sport: source port.
        dport: destination port.
        tag: the verification tag, which the receiver chose; 0 with an INIT.
        chunks: what it carries, in this order.
    """
    packet = _HEADER.pack(sport, dport, tag, 0) + b"".join(chunk.build() for chunk in chunks)
    return packet[:8] + sctp_checksum(packet) + packet[12:]


def checksum_holds(packet: bytes) -> bool:
    """Return whether the checksum of `packet`, header and chunks, is right."""
    return packet[8:12] == sctp_checksum(packet)


def read_chunks(packet: bytes) -> Iterator[Chunk]:
    """Yield the chunks of `packet`, in order.

    Raises:
        HeaderError: a chunk says that it is shorter than its own header, or
            longer than what is left of the packet.
    """
    at, end = HEADER_LENGTH, len(packet)
    while at < end:
        if end - at < CHUNK_HEADER:
            raise HeaderError(f"{end - at} octets hold no chunk")
        kind, flags, length = _CHUNK.unpack_from(packet, at)
        if not CHUNK_HEADER <= length <= end - at:
            raise HeaderError(f"a chunk of {length} octets where {end - at} are left")
        yield Chunk(kind, flags, packet[at + CHUNK_HEADER : at + length])
        at += length + -length % 4


# --- what stands in chunks ---


class Parameter(NamedTuple):
    """A parameter of INIT or INIT ACK, or the cause in an ERROR or ABORT: both look alike."""

    type: int
    value: bytes = b""

    def build(self) -> bytes:
        """Return its octets without padding."""
        return _TYPE_LENGTH.pack(self.type, CHUNK_HEADER + len(self.value)) + self.value


def build_parameters(parameters: Iterable[Parameter]) -> bytes:
    """Return parameters one after the other: all but the last are filled up, that one by its chunk."""
    octets = b""
    for parameter in parameters:
        octets += bytes(-len(octets) % 4) + parameter.build()
    return octets


def read_parameters(octets: bytes) -> tuple[Parameter, ...]:
    """Return the parameters in `octets`, or the causes of an ERROR or ABORT.

    Raises:
        HeaderError: one is shorter than its header or longer than what is left.
    """
    found, at = [], 0
    while at < len(octets):
        left = len(octets) - at
        kind, length = _TYPE_LENGTH.unpack_from(octets, at) if left >= CHUNK_HEADER else (0, 0)
        if not CHUNK_HEADER <= length <= left:
            raise HeaderError(f"a parameter of {length} octets where {left} are left")
        found.append(Parameter(kind, octets[at + CHUNK_HEADER : at + length]))
        at += length + -length % 4
    return tuple(found)


class Init(NamedTuple):
    """What INIT and INIT ACK say.

    Attributes:
        tag: that its sender wants to find in what is sent to it, never 0.
        window: octets that it has room for.
        outbound: streams that it wants to send on, 1 or more.
        inbound: streams that it lets the other side send on, 1 or more.
        tsn: the number of its first DATA.
        parameters: what else it says.
    """

    tag: int
    window: int
    outbound: int
    inbound: int
    tsn: int
    parameters: tuple[Parameter, ...] = ()

    @classmethod
    def parse(cls, value: bytes) -> Self:
        """Return what the value of an INIT or INIT ACK says.

        Raises:
            HeaderError: it is cut short, or a parameter is malformed.
        """
        if len(value) < _INIT.size:
            raise HeaderError(f"an INIT of {len(value)} octets")
        tag, window, outbound, inbound, tsn = _INIT.unpack_from(value)
        return cls(tag, window, outbound, inbound, tsn, read_parameters(value[_INIT.size :]))

    def chunk(self, kind: ChunkType) -> Chunk:
        """Return it as an INIT or INIT ACK."""
        return Chunk(kind, 0, _INIT.pack(*self[:5]) + build_parameters(self.parameters))

    def parameter(self, kind: ParameterType) -> bytes | None:
        """Return the value of the first parameter of this type, None if there is none."""
        return next((one.value for one in self.parameters if one.type == kind), None)


class Data(NamedTuple):
    """What DATA says: a message, or a fragment of one, and its place.

    `identifier` is the payload protocol identifier, which is the program's affair.
    """

    tsn: int
    stream: int
    sequence: int
    identifier: int
    payload: bytes
    flags: int = BEGIN | END

    @classmethod
    def parse(cls, chunk: Chunk) -> Self:
        """Return what a DATA chunk says.

        Raises:
            HeaderError: it is cut short.
        """
        if len(chunk.value) < _DATA.size:
            raise HeaderError(f"a DATA chunk of {len(chunk.value)} octets")
        tsn, stream, sequence, identifier = _DATA.unpack_from(chunk.value)
        return cls(tsn, stream, sequence, identifier, chunk.value[_DATA.size :], chunk.flags)

    def chunk(self) -> Chunk:
        """Return it as a chunk."""
        return Chunk(ChunkType.DATA, self.flags, _DATA.pack(*self[:4]) + self.payload)


class Sack(NamedTuple):
    """What SACK says.

    Attributes:
        cumulative: the last TSN before the first that is missing.
        window: octets that its sender has room for.
        gaps: what came beyond: first and last, counted from `cumulative`.
        duplicates: TSNs that came again.
    """

    cumulative: int
    window: int
    gaps: tuple[tuple[int, int], ...] = ()
    duplicates: tuple[int, ...] = ()

    @classmethod
    def parse(cls, value: bytes) -> Self:
        """Return what the value of a SACK says.

        Raises:
            HeaderError: it is shorter than it says.
        """
        if len(value) < _SACK.size:
            raise HeaderError(f"a SACK of {len(value)} octets")
        cumulative, window, gaps, duplicates = _SACK.unpack_from(value)
        middle = _SACK.size + gaps * _GAP.size
        end = middle + duplicates * _TSN.size
        if len(value) < end:
            raise HeaderError(f"a SACK of {len(value)} octets, {end} are told")
        return cls(
            cumulative,
            window,
            tuple(_GAP.iter_unpack(value[_SACK.size : middle])),
            tuple(tsn for (tsn,) in _TSN.iter_unpack(value[middle:end])),
        )

    def chunk(self) -> Chunk:
        """Return it as a chunk."""
        octets = _SACK.pack(self.cumulative, self.window, len(self.gaps), len(self.duplicates))
        octets += b"".join(_GAP.pack(*gap) for gap in self.gaps)
        return Chunk(ChunkType.SACK, 0, octets + b"".join(map(_TSN.pack, self.duplicates)))


def shutdown(cumulative: int) -> Chunk:
    """Return a SHUTDOWN, which acknowledges all until `cumulative`."""
    return Chunk(ChunkType.SHUTDOWN, 0, _TSN.pack(cumulative))


def read_shutdown(value: bytes) -> int:
    """Return the TSN until which a SHUTDOWN acknowledges.

    Raises:
        HeaderError: it is cut short.
    """
    if len(value) < _TSN.size:
        raise HeaderError(f"a SHUTDOWN of {len(value)} octets")
    (cumulative,) = _TSN.unpack_from(value)
    return int(cumulative)


def abort(*causes: Parameter, tag_reflected: bool = False) -> Chunk:
    """Return an ABORT; `tag_reflected` says that the packet's tag is the one it answers."""
    return Chunk(ChunkType.ABORT, T_BIT if tag_reflected else 0, build_parameters(causes))


def error(*causes: Parameter) -> Chunk:
    """Return an ERROR."""
    return Chunk(ChunkType.ERROR, 0, build_parameters(causes))
