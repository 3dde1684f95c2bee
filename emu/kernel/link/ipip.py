# SPDX-License-Identifier: GPL-2.0-only
"""An IPIP device: IPv4 packets inside IPv4 packets, with nothing between (RFC 2003).

    transmit: a packet --> who is at the other end? --> an outer header, and out once more
    receive:  protocol 4 --> which device has these ends? --> the packet inside, by the backlog

With a `remote` the other end is always that one. Without, the tunnel reaches whoever
the route says (`ip route add 10.244.2.0/24 via 192.168.0.2 dev tunl0 onlink`): the
route's next hop is the other end, so the routing decision stays with the packet.

No frame on such a device has a link header. Inside emu it has one of zeros, which
no capture shows and no counter counts.

Known differences from Linux: `external` (metadata), MPLS and IPv6 inside, and groups
as remotes are not there. A tunnel with a `remote` that errors came back for does not
pass them on to the senders (`err_count`). Where a module `ipip` is loaded Linux has a
`tunl0` in every namespace, down; here only where somebody made it. Written after the
kernel's source; no recording of a real tunnel has judged it.

Source: net/ipv4/ipip.c, net/ipv4/ip_tunnel.c, net/ipv4/tunnel4.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from emu.kernel import icmp, ip_tunnel, path, routing
from emu.kernel.drops import DropReason
from emu.kernel.effects import Backlog
from emu.kernel.link import ecn
from emu.kernel.link.device import ETHERNET_MTU
from emu.kernel.netfilter.conntrack.entry import Status
from emu.kernel.skb import Metadata, Skb
from emu.wire import ethernet
from emu.wire.addresses import ANY_IP4, ZERO_MAC, IpAddress
from emu.wire.frame import Frame
from emu.wire.icmp import FRAGMENTATION_NEEDED, PORT_UNREACHABLE, UNREACHABLE
from emu.wire.ipv4 import IPIP, MIN_HEADER

if TYPE_CHECKING:
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.routing import RouteDecision
    from emu.wire.ipv4 import Ipv4

HEADROOM: Final = MIN_HEADER  # the outer header
FALLBACK: Final = "tunl0"
"""The device that the module makes, and that takes what no other one takes."""


@attrs.define(eq=False)
class Ipip:
    """The link of an IPIP device, with the options of `ip tunnel add ... mode ipip`.

    Attributes:
        local: outer source address; unspecified, routing chooses one.
        remote: outer destination; unspecified, it is the next hop of a packet's route.
        device: name of the device that outer packets leave by, empty for any.
        ttl: of the outer header; 0 for that of the packet inside.
        tos: of the outer header, its ECN bits aside.
        tos_inherit: instead, that of the packet inside.
        pmtudisc: outer packets always have DF set; otherwise when the packet inside has.
    """

    kind: ClassVar[str] = "ipip"

    local: IpAddress = ANY_IP4
    remote: IpAddress = ANY_IP4
    device: str = ""
    ttl: int = 0
    tos: int = 0
    tos_inherit: bool = False
    pmtudisc: bool = False
    _is_sending: bool = attrs.field(default=False, init=False)

    def transmit(self, net: Namespace, device: Device, frame: Frame) -> None:
        """Wrap the packet in `frame` and send it to the other end. Source: `ip_tunnel_xmit`."""
        if self._is_sending:
            net.drop(frame, DropReason.RECURSION_LIMIT, "the way to the other end leads here", device.name)
            return
        self._is_sending = True
        try:
            self._send(net, device, frame)
        finally:
            self._is_sending = False

    def _send(self, net: Namespace, device: Device, frame: Frame) -> None:
        packet = frame.octets[ethernet.HEADER_LENGTH :]
        if len(packet) < MIN_HEADER or packet[0] >> 4 != 4:
            _lose(net, device, frame, DropReason.NOT_SPECIFIED, "no packet of IPv4")
            return
        skb = _inner(frame, packet)
        dst = self.remote if self.remote != ANY_IP4 else _next_hop(skb)
        if dst is None:
            _lose(net, device, frame, DropReason.NOT_SPECIFIED, "no route says who is at the other end")
            return
        tos = skb.header.tos if self.tos_inherit else self.tos
        try:
            way = routing.route_output(net, dst, src=self.local, oif=self.device, tos=tos & ~ecn.ECN_MASK)
        except OSError as error:
            _lose(net, device, frame, DropReason.IP_OUTNOROUTES, f"to {dst}: {error.strerror}")
            return
        if way.device is device:
            _lose(net, device, frame, DropReason.RECURSION_LIMIT, f"the way to {dst} leads here")
            return
        df = self.pmtudisc or skb.header.df
        if self._is_too_big(net, device, skb, way, dst, df=df):
            device.counters.tx_dropped += 1
            return
        if net.recorder is not None:
            net.note(frame, "ipip", f"{device.name}: sent to {dst}")
        outer = ip_tunnel.Outer(
            self.local if self.local != ANY_IP4 else way.src,
            dst,
            IPIP,
            packet,
            ttl=self.ttl or skb.header.ttl,
            tos=ecn.encapsulate(tos, skb.header.tos),
            df=df and not path.is_mtu_locked(net, way, dst),
        )
        ip_tunnel.send(net, way, outer, frame)

    def _is_too_big(
        self, net: Namespace, device: Device, skb: Skb, way: RouteDecision, dst: bytes, *, df: bool
    ) -> bool:
        """Tell the sender if the packet does not fit and may not be cut. Source: `tnl_update_pmtu`."""
        inside = skb.route
        if df:
            mtu = path.path_mtu(net, way, dst) - HEADROOM
        else:
            mtu = device.mtu if inside is None else path.path_mtu(net, inside, skb.header.dst)
        if inside is not None:
            path.learn_mtu(net, skb.header.dst, mtu)
        if not skb.header.df or len(skb.packet) <= mtu:
            return False
        icmp.send_error(net, _as_sent(skb), UNREACHABLE, FRAGMENTATION_NEEDED, mtu)
        net.drop(skb, DropReason.PKT_TOO_BIG, f"{len(skb.packet)} octets, DF set, MTU {mtu}", device.name)
        return True


def add(net: Namespace, name: str, link: Ipip, *, mtu: int | None = None) -> Device:
    """Make an IPIP device, down and without addresses, and return it.

    Args:
        net: the namespace.
        name: of the device.
        link: its options.
        mtu: None for what the device below leaves; source: `ip_tunnel_bind_dev`.

    Raises:
        UnknownNameError: the name is taken.
    """
    if mtu is None:
        lower = net.devices.get(link.device)
        if lower is None and link.remote != ANY_IP4:
            lower = _way_out(net, link)
        mtu = (ETHERNET_MTU if lower is None else lower.mtu) - HEADROOM
    device = net.add_device(name, link, ZERO_MAC, mtu=mtu)
    device.arp = device.has_link_header = False
    return device


def _way_out(net: Namespace, link: Ipip) -> Device | None:
    try:
        return routing.route_output(net, link.remote, src=link.local).device
    except OSError:
        return None


def _inner(frame: Frame, packet: bytes) -> Skb:
    skb = Skb(packet, frame.packet_id, frame.trail)
    skb.take(frame.metadata)
    if isinstance(frame.metadata, Metadata):
        skb.route = frame.metadata.route
    return skb


def _next_hop(skb: Skb) -> IpAddress | None:
    return None if skb.route is None else skb.route.next_hop


def _as_sent(skb: Skb) -> Skb:
    """Return the packet with the source that its sender knows. Source: `icmp_ndo_send`."""
    connection = skb.connection
    if connection is None or not connection.status & Status.SRC_NAT:
        return skb
    copy = skb.clone()
    original = connection.tuples[skb.ctinfo.direction].src
    if original != copy.header.src:
        copy.rewrite_network(12, original)
    return copy


def _lose(net: Namespace, device: Device, frame: Frame, reason: DropReason, detail: str) -> None:
    device.counters.tx_dropped += 1
    net.drop(frame, reason, detail, device.name)


# --- in ---


def receive(net: Namespace, skb: Skb) -> bool:
    """Take a packet of protocol 4 for this host; return whether anybody here knows the protocol.

    Source: `tunnel4_rcv`, `ipip_tunnel_rcv`.
    """
    tunnels = _tunnels(net)
    if not tunnels:
        return False
    found = _lookup(tunnels, skb.header.dst, skb.header.src)
    if found is None:
        icmp.send_error(net, skb, UNREACHABLE, PORT_UNREACHABLE)
        net.drop(skb, DropReason.NOT_SPECIFIED, f"no tunnel to {skb.src}")
        return True
    _decapsulate(net, skb, found)
    return True


def _tunnels(net: Namespace) -> list[tuple[Device, Ipip]]:
    return [(device, device.link) for device in net.devices.values() if isinstance(device.link, Ipip)]


def _lookup(tunnels: list[tuple[Device, Ipip]], local: bytes, remote: bytes) -> Device | None:
    """Return the device that has these ends, the one that says most. Source: `ip_tunnel_lookup`."""
    for ends in ((local, remote), (ANY_IP4, remote), (local, ANY_IP4), (ANY_IP4, ANY_IP4)):
        for device, link in tunnels:
            if device.up and (link.local, link.remote) == ends:
                return device
    return None


def _decapsulate(net: Namespace, skb: Skb, device: Device) -> None:
    """Let the packet inside come in by `device`. Source: `ip_tunnel_rcv`."""
    packet = skb.payload
    if len(packet) < MIN_HEADER:
        net.drop(skb, DropReason.PKT_TOO_SMALL, "no whole IP header inside", device.name)
        return
    updated = ecn.decapsulate(ethernet.NO_HEADER + packet, skb.header.tos)
    if updated is None:
        net.drop(skb, DropReason.IP_TUNNEL_ECN, "", device.name)
        return
    if net.recorder is not None:
        net.note(skb, "ipip", f"{device.name}: from {skb.src}")
    net.emit(Backlog(device.name, Frame(updated, skb.packet_id, skb.trail, skb.marked())))


def error(net: Namespace, quoted: Ipv4, mtu: int) -> None:
    """Hear that an outer packet did not fit, if `mtu` is not 0. Source: `ipip_err`."""
    if mtu and _lookup(_tunnels(net), quoted.src, quoted.dst) is not None:
        path.learn_mtu(net, quoted.dst, mtu)
