# SPDX-License-Identifier: GPL-2.0-only
"""A race of two packets: one is held between the look-up of its connection and the confirmation.

On a machine with several CPUs the packets of one socket, or of two, may be in
netfilter at the same time. Each looks its connection up and finds none, each is
translated by itself, and whoever is confirmed second may find its tuples taken.

    packet 1   look-up, NAT ........................... confirm: taken
    packet 2                 look-up, NAT, confirm

Here one CPU does everything, so it happens only where somebody asks for it: the
first packet of a connection is then held, by choice, behind what is under way
at the same instant. Only one whose connection is translated is: between others
no order makes a difference, since what they have in common they share.

Source: net/netfilter/nf_conntrack_core.c `__nf_conntrack_confirm`, `nf_ct_resolve_clash`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from emu.sim.choice import Timing
from emu.wire.ipv4 import TCP, UDP

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet

EVEN: Final = Fraction(1, 2)
_RACING: Final = frozenset((TCP, UDP))
_NAMES: Final = ("overtaken", "not overtaken")


@attrs.frozen
class Race:
    """That packets may be overtaken.

    Attributes:
        share: how often the first packet of a connection is.
        is_harsh: a loser of UDP that was translated otherwise than the winner is dropped, as up to
            Linux 5.6; since then its answers are translated back beside those of the winner.
    """

    is_still: ClassVar[bool] = True

    share: Fraction = EVEN
    is_harsh: bool = False

    def overtakes(self, packet: Packet) -> bool:
        """Return whether others are confirmed before `packet`, which begins a connection."""
        skb, net = packet.skb, packet.net
        is_routed = (
            skb.route is not None and packet.out_device is skb.route.device
        )  # and no bridge forwards it
        connection = skb.connection
        if not is_routed or connection is None or connection.protocol not in _RACING:
            return False
        if connection.reply == connection.original.invert():
            return False
        question = f"is the packet overtaken in {net.name} before its connection is confirmed?"
        return net.choice.pick(question, Timing((self.share, 1 - self.share)), _NAMES) == 0
