# SPDX-License-Identifier: GPL-2.0-only
"""`-j DNAT`, `SNAT`, `MASQUERADE`, `REDIRECT`, `NETMAP`: which end a connection gets.

Each works out a range and leaves the rest to `emu.kernel.netfilter.nat`. Source:
net/netfilter/xt_nat.c, nf_nat_masquerade.c, nf_nat_redirect.c, xt_NETMAP.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel import inetdev
from emu.kernel.fib import Scope
from emu.kernel.netfilter import nat
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.nat import Manip
from emu.kernel.netfilter.nat_range import NatRange
from emu.kernel.netfilter.verdict import Verdict
from emu.wire.addresses import ANY_IP4, IpAddress

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet

_LOCALHOST: Final = IpAddress(b"\x7f\0\0\1")
_ANY_PORT: Final = NatRange()
_CHANGES_DESTINATION: Final = (Hook.PREROUTING, Hook.OUTPUT)


@attrs.frozen
class Dnat:
    """Change the destination."""

    range: NatRange

    def apply(self, packet: Packet) -> Verdict | None:
        """Bind the connection to a destination of the range."""
        return nat.setup(packet, self.range, Manip.DST)


@attrs.frozen
class Snat:
    """Change the source."""

    range: NatRange

    def apply(self, packet: Packet) -> Verdict | None:
        """Bind the connection to a source of the range."""
        return nat.setup(packet, self.range, Manip.SRC)


@attrs.frozen
class Masquerade:
    """Change the source to an address of the device the packet leaves by; `ports` has no addresses."""

    ports: NatRange = _ANY_PORT

    def apply(self, packet: Packet) -> Verdict | None:
        """Bind the connection to the address that a packet of our own would have there.

        A source of 0.0.0.0 stays as it is; without an address of a fitting
        scope anywhere, the packet is dropped.
        """
        connection, device, net = packet.connection, packet.out_device, packet.net
        if connection is None or connection.original.src == ANY_IP4:
            return Verdict.ACCEPT
        route = packet.skb.route
        next_hop = packet.skb.dst if route is None else route.next_hop
        localnet = device is not None and net.sysctl.conf_or(device.name, "route_localnet")
        own = inetdev.select_source(
            net.devices.values(), device, next_hop, Scope.GLOBAL, route_localnet=bool(localnet)
        )
        if own is None:
            packet.because = f"MASQUERADE: {packet.oif} has no address"
            return Verdict.DROP
        connection.masquerade = packet.oif
        return nat.setup(packet, attrs.evolve(self.ports, min_address=own, max_address=own), Manip.SRC)


@attrs.frozen
class Redirect:
    """Change the destination to this host; `ports` has no addresses."""

    ports: NatRange = _ANY_PORT

    def apply(self, packet: Packet) -> Verdict | None:
        """Bind the connection to the first address of the device it came in by, our own to 127.0.0.1."""
        own = _LOCALHOST
        if packet.hook is not Hook.OUTPUT:
            device = packet.in_device
            if device is None or not device.addresses:
                packet.because = f"REDIRECT: {packet.iif} has no address"
                return Verdict.DROP
            own = device.addresses[0].address
        return nat.setup(packet, attrs.evolve(self.ports, min_address=own, max_address=own), Manip.DST)


@attrs.frozen
class Netmap:
    """Put another network in the place of the first bits of an address.

    Attributes:
        network: what they become; its other bits are nought.
        mask: which bits are replaced.
    """

    network: IpAddress
    mask: IpAddress

    def apply(self, packet: Packet) -> Verdict | None:
        """Bind the connection to the same host of the other network: on the way out its source is changed."""
        is_destination = packet.hook in _CHANGES_DESTINATION
        header = packet.skb.header
        old = int.from_bytes(header.dst if is_destination else header.src, "big")
        network, mask = int(self.network), int(self.mask)
        new = IpAddress.from_int(old & ~mask | network & mask, self.network.bits)
        return nat.setup(packet, NatRange(new, new), Manip.DST if is_destination else Manip.SRC)
