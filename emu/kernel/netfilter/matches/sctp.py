# SPDX-License-Identifier: GPL-2.0-only
"""`-m sctp`: ports and chunks. Source: net/netfilter/xt_sctp.c."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.matches.transport import first_octets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.netfilter.matches.ports import PortRange
    from emu.kernel.netfilter.packet import Packet

_HEADER: Final = 12


class Extent(enum.Enum):
    """How many of the chunk types must be there; the values are `SCTP_CHUNK_MATCH_ANY` and so on."""

    ANY = 1
    ALL = 2
    ONLY = 4


@attrs.frozen
class Chunk:
    """A chunk type, whose flags under `mask` are `flags`."""

    type: int
    flags: int = 0
    mask: int = 0


@attrs.frozen
class Chunks:
    """`--chunk-types`.

    Attributes:
        extent: any one of them is there, all are, or nothing else is.
        chunks: the types, each once, in ascending order.
        inverted: it is not so.
    """

    extent: Extent
    chunks: tuple[Chunk, ...]
    inverted: bool = False

    def fits(self, packet: Packet) -> bool:
        """Return whether the packet's chunks are so, or are not; one cut short is dropped."""
        return self._fits(packet) is not self.inverted

    def _fits(self, packet: Packet) -> bool:
        wanted = {chunk.type: chunk for chunk in self.chunks}
        missing = set(wanted)
        for kind, flags in _chunks(packet):
            chunk = wanted.get(kind)
            if chunk is None or flags & chunk.mask != chunk.flags:
                if self.extent is Extent.ONLY:
                    return False
            elif self.extent is Extent.ANY:
                return True
            else:
                missing.discard(kind)
        if packet.hotdrop or self.extent is Extent.ANY:
            return False
        return self.extent is Extent.ONLY or not missing


def _chunks(packet: Packet) -> Iterator[tuple[int, int]]:
    """Yield type and flags of each chunk; one that is cut short, or has no length, has the packet dropped."""
    payload = packet.skb.payload
    at = _HEADER
    while True:
        length = int.from_bytes(payload[at + 2 : at + 4], "big")
        if len(payload) < at + 4 or not length:
            packet.hotdrop = True
            return
        yield payload[at], payload[at + 1]
        at += (length + 3) & ~3
        if at >= len(payload):
            return


@attrs.frozen
class Sctp:
    """Ports and chunks; what is None is not asked."""

    source: PortRange | None = None
    destination: PortRange | None = None
    chunks: Chunks | None = None

    def holds(self, packet: Packet) -> bool:
        """Return whether all of it is so; later fragments never fit."""
        header = first_octets(packet, _HEADER)
        if header is None:
            return False
        if self.source is not None and not self.source.has(int.from_bytes(header[:2], "big")):
            return False
        if self.destination is not None and not self.destination.has(int.from_bytes(header[2:4], "big")):
            return False
        return self.chunks is None or self.chunks.fits(packet)
