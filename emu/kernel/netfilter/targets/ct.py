# SPDX-License-Identifier: GPL-2.0-only
"""`-j CT` and `-j NOTRACK`: what connection tracking shall do. Source: net/netfilter/xt_CT.c."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import attrs

from emu.kernel.netfilter.conntrack.entry import CtInfo
from emu.kernel.netfilter.verdict import Verdict

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet
    from emu.kernel.skb import Skb


def _untrack(packet: Packet) -> None:
    """Mark the packet as untracked, unless it has a connection from its way over the loopback."""
    if not _is_decided(packet.skb):
        packet.skb.ctinfo = CtInfo.UNTRACKED


def _is_decided(skb: Skb) -> bool:
    """Return whether an earlier rule, or the loopback, has said how to track the packet."""
    return skb.connection is not None or skb.ctinfo is CtInfo.UNTRACKED or skb.zones != (0, 0)


@attrs.frozen
class Notrack:
    """`-j NOTRACK`: leave the packet alone; the older spelling of `-j CT --notrack`."""

    def apply(self, packet: Packet) -> Verdict | None:
        """Mark it as untracked, and go on."""
        _untrack(packet)
        return None


class ZoneScope(enum.Enum):
    """For which of a connection's tuples a zone counts."""

    BOTH = "--zone"
    ORIGINAL = "--zone-orig"
    REPLY = "--zone-reply"


@attrs.frozen
class Zone:
    """A conntrack zone; `number` None for the lower 16 bits of the packet's mark."""

    number: int | None
    scope: ZoneScope = ZoneScope.BOTH


@attrs.frozen
class Track:
    """Track the packet in a certain way.

    Attributes:
        zone: the zone its connection is in, None for the default one.
        helper: name of a helper: not modelled.
        timeout: name of a timeout policy: not modelled.
        events: the events that listeners shall get, by name: without effect here, they get all.
        expectation_events: likewise, of expectations, which are not modelled.
        untracked: `--notrack`: leave it alone, whatever else is said.
    """

    zone: Zone | None = None
    helper: str = ""
    timeout: str = ""
    events: tuple[str, ...] = ()
    expectation_events: tuple[str, ...] = ()
    untracked: bool = False

    def apply(self, packet: Packet) -> Verdict | None:
        """Have it tracked so, unless an earlier rule or the loopback has decided that; go on."""
        if self.untracked:
            _untrack(packet)
            return None
        if self.helper or self.timeout:
            return Verdict.UNKNOWN
        skb, zone = packet.skb, self.zone
        if zone is None or _is_decided(skb):
            return None
        number = skb.mark & 0xFFFF if zone.number is None else zone.number
        skb.zones = (
            0 if zone.scope is ZoneScope.REPLY else number,
            0 if zone.scope is ZoneScope.ORIGINAL else number,
        )
        return None
