# SPDX-License-Identifier: GPL-2.0-only
"""`-m recent`: addresses that were seen, and when. Source: net/netfilter/xt_recent.c."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import attrs

from emu.kernel.netfilter.jiffies import HZ, jiffies

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet
    from emu.kernel.netfilter.recent import RecentEntry, RecentList


class Deed(enum.Enum):
    """What is done with the address."""

    SET = "--set"
    CHECK = "--rcheck"
    UPDATE = "--update"
    REMOVE = "--remove"


@attrs.frozen
class Recent:
    """Look an address up in a list, or enter it.

    Attributes:
        deed: what is done.
        name: of the list.
        seconds: it must have been seen within so many, 0 for ever.
        hits: so many times at least, 0 for once.
        reap: forget the oldest address if it was not seen within `seconds`.
        same_ttl: the packet has the TTL that the last one had.
        is_destination: the destination is looked up, instead of the source.
        mask: what of the address counts.
        inverted: it is not there; `SET` and `REMOVE` do as always.
    """

    deed: Deed
    name: str = "DEFAULT"
    seconds: int = 0
    hits: int = 0
    reap: bool = False
    same_ttl: bool = False
    is_destination: bool = False
    mask: bytes = b"\xff\xff\xff\xff"
    inverted: bool = False

    def holds(self, packet: Packet) -> bool:
        """Do it, and return whether the address was there (`SET`: always), or was not."""
        skb = packet.skb
        known = packet.net.netfilter.recent.table(self.name, self.hits)
        masked = int.from_bytes(skb.header.dst if self.is_destination else skb.header.src, "big")
        address = masked & int.from_bytes(self.mask, "big")
        ttl = skb.header.ttl
        if packet.oif and not skb.socket:  # as it was before it was forwarded
            ttl = (ttl + 1) & 0xFF
        now = jiffies(packet.net.now)
        entry = known.find(address, ttl if self.same_ttl else 0)
        if self.deed is Deed.SET:
            if entry is None:
                known.enter(address, ttl, now)
            else:
                known.update(entry, ttl, now)
            return not self.inverted
        if entry is None:
            return self.inverted
        if self.deed is Deed.REMOVE:
            known.remove(entry)
            return not self.inverted
        return self._check(known, entry, ttl, now)

    def _check(self, known: RecentList, entry: RecentEntry, ttl: int, now: int) -> bool:
        since = now - self.seconds * HZ
        seen = sum(1 for stamp in entry.stamps if not self.seconds or stamp >= since)
        holds = (seen >= max(1, self.hits)) is not self.inverted
        updates = self.deed is Deed.UPDATE and holds
        if self.reap:
            known.reap(since, spared=entry if updates else None)
        if updates:
            known.update(entry, ttl, now)
        return holds
