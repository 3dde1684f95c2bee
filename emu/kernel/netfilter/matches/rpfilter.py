# SPDX-License-Identifier: GPL-2.0-only
"""`-m rpfilter`: whether an answer would go back the way it came.

Source: net/ipv4/netfilter/ipt_rpfilter.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.kernel.fib import Flow, RouteType
from emu.wire.addresses import ANY_IP4, LIMITED_BROADCAST

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet


@attrs.frozen
class ReversePath:
    """The way back to the source leads by the device the packet came in by.

    Attributes:
        loose: any way back will do.
        valid_mark: the packet's mark is used in the look-up.
        accept_local: an address of this host may be the source.
        inverted: there is no such way.
    """

    loose: bool = False
    valid_mark: bool = False
    accept_local: bool = False
    inverted: bool = False

    def holds(self, packet: Packet) -> bool:
        """Return whether there is such a way, or is none."""
        return self._passes(packet) is not self.inverted

    def _passes(self, packet: Packet) -> bool:
        header, device = packet.skb.header, packet.in_device
        if device is None or device.is_loopback:
            return True
        src, dst = header.src, header.dst
        is_group = dst[0] >> 4 == 14
        if src == ANY_IP4 and (dst == LIMITED_BROADCAST or dst.startswith(b"\xe0\0\0")):
            return True
        flow = Flow(
            dst=src,
            src=ANY_IP4 if is_group or dst == LIMITED_BROADCAST else dst,
            mark=packet.skb.mark if self.valid_mark else 0,
            tos=header.tos,
        )
        found = packet.net.fib.lookup(flow)
        if found is None:
            return False
        if found.type is not RouteType.UNICAST and not (found.type is RouteType.LOCAL and self.accept_local):
            return False
        return self.loose or any(hop.device == device.name for hop in found.route.nexthops)
