# SPDX-License-Identifier: GPL-2.0-only
"""A frame on its way: octets, and which packet they are."""

from __future__ import annotations


class Frame:
    """An Ethernet frame without FCS. Treat it as immutable: a rewrite makes a new one.

    A plain class with slots, because one is made at every hop.

    Attributes:
        octets: from the destination MAC address to the last octet of payload.
        packet_id: the same number at every hop of one packet, whatever is
            rewritten, encapsulated or fragmented on the way.
        trail: number of the last step that a recorder noted for this copy of
            the packet, 0 for none; what a trace's branches hang on.
        metadata: what the namespace knows of the packet beside its octets; it
            ends where the frame leaves the namespace.
    """

    __slots__ = ("metadata", "octets", "packet_id", "trail")

    def __init__(
        self, octets: bytes, packet_id: int = 0, trail: int = 0, metadata: object | None = None
    ) -> None:
        self.octets = octets
        self.packet_id = packet_id
        self.trail = trail
        self.metadata = metadata

    def copy(self) -> Frame:
        """Return a frame with the same octets that goes its own way, with a trail of its own."""
        return Frame(self.octets, self.packet_id, self.trail, self.metadata)

    def holding(self, octets: bytes) -> Frame:
        """Return what this frame becomes when its octets are others."""
        return Frame(octets, self.packet_id, self.trail, self.metadata)

    def __len__(self) -> int:
        return len(self.octets)

    def __bytes__(self) -> bytes:
        return self.octets

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frame) and other.octets == self.octets and other.packet_id == self.packet_id

    def __hash__(self) -> int:
        return hash((self.octets, self.packet_id))

    def __repr__(self) -> str:
        return f"Frame({self.octets.hex()}, packet_id={self.packet_id})"
