# SPDX-License-Identifier: GPL-2.0-only
"""A VXLAN device: an Ethernet that reaches over IP (RFC 7348).

    transmit: a frame --> to which remotes? --> for each: VXLAN, UDP, outer packet
    receive:  a datagram --> which device has its VNI? --> the frame, by the backlog

Known differences from Linux: no multicast groups, no IPv6 underneath, and no
answers on behalf of neighbours (`proxy`, `rsc`, `l2miss`). A remote that is this
host itself is reached by the loopback; Linux hands the frame over directly.
Source: drivers/net/vxlan/vxlan_core.c.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from emu.kernel import ip_tunnel, routing
from emu.kernel.drops import DropReason
from emu.kernel.effects import Backlog
from emu.kernel.facts import Encapsulated
from emu.kernel.link import ecn, flowhash
from emu.kernel.link.device import ETHERNET_MTU
from emu.kernel.link.fdb import Learned
from emu.kernel.link.vxlan_fdb import RemoteFdb
from emu.wire import ethernet, udp, vxlan
from emu.wire.addresses import ANY_IP4, ZERO_MAC, IpAddress, MacAddress
from emu.wire.frame import Frame
from emu.wire.ipv4 import DF as DF_FLAG

if TYPE_CHECKING:
    from emu.kernel.link.device import Device
    from emu.kernel.link.vxlan_fdb import Remote
    from emu.kernel.namespace import Namespace
    from emu.kernel.skb import Skb
    from emu.wire.vxlan import Vni

LINUX_PORT: Final = 8472  # Linux had it before IANA assigned 4789
HEADROOM: Final = 50  # outer IPv4 and UDP, VXLAN and inner Ethernet header

_HEADERS: Final = udp.HEADER_LENGTH + vxlan.HEADER_LENGTH
_INNER: Final = {ethernet.IPV4: 20, ethernet.IPV6: 40}  # what Linux wants to see of a packet inside


class Df(enum.Enum):
    """Whether outer packets have DF set."""

    UNSET = "unset"
    SET = "set"
    INHERIT = "inherit"


@attrs.define(eq=False)
class Vxlan:
    """The link of a VXLAN device, with the options of `ip link add ... type vxlan`.

    Attributes:
        vni: the network's number, 0 to 2**24 - 1.
        local: outer source address; unspecified, routing chooses one.
        device: name of the underlying device, empty for none: it gives the MTU.
        dstport: UDP port listened on, and sent to unless a remote has its own.
        learning: who is behind which remote is learned from what arrives.
        udpcsum: outer UDP checksums; without, they are 0.
        ttl: of the outer header; 0 for that of any packet of this host.
        ttl_inherit: instead, that of the inner packet.
        tos: of the outer header, its ECN bits aside.
        tos_inherit: instead, that of the inner packet.
        df: see `Df`.
        source_ports: least UDP source port and the one above the greatest;
            None for `net.ipv4.ip_local_port_range`.
        fdb: to which remotes frames go.
    """

    kind: ClassVar[str] = "vxlan"

    vni: Vni
    local: IpAddress = ANY_IP4
    device: str = ""
    dstport: int = LINUX_PORT
    learning: bool = True
    udpcsum: bool = True
    ttl: int = 0
    ttl_inherit: bool = False
    tos: int = 0
    tos_inherit: bool = False
    df: Df = Df.UNSET
    source_ports: tuple[int, int] | None = None
    fdb: RemoteFdb = attrs.field(factory=RemoteFdb)
    _is_sending: bool = attrs.field(default=False, init=False)

    def transmit(self, net: Namespace, device: Device, frame: Frame) -> None:
        """Send `frame` to each remote that its destination has. Source: `vxlan_xmit`."""
        if self._is_sending:
            net.drop(frame, DropReason.RECURSION_LIMIT, "the way to the remote leads here", device.name)
            return
        if len(frame.octets) < ethernet.HEADER_LENGTH:
            net.drop(frame, DropReason.PKT_TOO_SMALL, "no whole Ethernet header", device.name)
            return
        dst = frame.octets[:6]
        remotes = self.fdb.remotes_for(dst, net.now)
        if not remotes:
            device.counters.tx_dropped += 1
            net.drop(frame, DropReason.NO_TX_TARGET, str(MacAddress(dst)), device.name)
            return
        if net.recorder is not None:
            places = tuple(remote.dst for remote in remotes)
            net.note(frame, "vxlan", Encapsulated(device.name, self.vni, MacAddress(dst), places))
        self._is_sending = True
        try:
            for remote in remotes:
                copy = frame
                if len(remotes) > 1:
                    copy = frame.copy()
                self._send(net, device, copy, remote)
        finally:
            self._is_sending = False

    def _send(self, net: Namespace, device: Device, frame: Frame, remote: Remote) -> None:
        """Source: `vxlan_xmit_one`."""
        octets = frame.octets
        if remote.dst == ANY_IP4:
            device.counters.tx_dropped += 1
            net.drop(frame, DropReason.NO_TX_TARGET, "the remote is 0.0.0.0", device.name)
            return
        src = self.local
        if src == ANY_IP4:
            try:
                src = routing.route_output(net, remote.dst, oif=remote.device).src
            except OSError as error:
                net.drop(frame, DropReason.IP_OUTNOROUTES, str(error.strerror), device.name)
                return
        low, high = self.source_ports or net.sysctl.numbers("net.ipv4.ip_local_port_range")
        inner = ecn.inner_tos(octets)
        outer = ip_tunnel.Outer(
            src,
            remote.dst,
            udp.PROTOCOL,
            udp.build(
                src,
                remote.dst,
                flowhash.source_port(octets, net.flow_secret, low, high),
                remote.port or self.dstport,
                vxlan.build(self.vni if remote.vni is None else remote.vni, octets),
                with_checksum=self.udpcsum,
            ),
            ttl=_inner_ttl(octets) if self.ttl_inherit else self.ttl,
            tos=ecn.encapsulate(inner if self.tos_inherit else self.tos, inner),
            df=self.df is Df.SET or (self.df is Df.INHERIT and _inner_df(octets)),
        )
        ip_tunnel.output(net, outer, frame, device=remote.device)


def default_mtu(lower: Device | None) -> int:
    """Return the MTU of a VXLAN device on top of `lower` (None: of no device in particular)."""
    return ETHERNET_MTU if lower is None else lower.mtu - HEADROOM


def receive(net: Namespace, skb: Skb, datagram: bytes) -> bool:
    """Take a datagram if a VXLAN device listens on its port, and return whether one does.

    Args:
        net: the namespace.
        skb: the outer packet, for this host.
        datagram: UDP header and payload, the checksum found right or absent.

    Source: `vxlan_rcv`.
    """
    port = int.from_bytes(datagram[2:4], "big")
    listening = [
        (device, device.link)
        for device in net.devices.values()
        if isinstance(device.link, Vxlan) and device.up and device.link.dstport == port
    ]
    if not listening:
        return False
    if len(datagram) < _HEADERS:
        net.drop(skb, DropReason.PKT_TOO_SMALL, "no whole VXLAN header")
        return True
    header = vxlan.Vxlan.parse(datagram[udp.HEADER_LENGTH :])
    if not header.flags & vxlan.FLAG_VNI:
        net.drop(skb, DropReason.VXLAN_INVALID_HDR, "without the I flag")
        return True
    for device, link in listening:
        if link.vni == header.vni:
            _decapsulate(net, skb, datagram, device, link)
            return True
    net.drop(skb, DropReason.VXLAN_VNI_NOT_FOUND, f"VNI {header.vni}")
    return True


def _decapsulate(net: Namespace, skb: Skb, datagram: bytes, device: Device, link: Vxlan) -> None:
    header, octets = datagram[udp.HEADER_LENGTH : _HEADERS], datagram[_HEADERS:]
    refusal = _refusal(header, octets, device)
    if refusal is None and link.learning:
        refusal = _learn(net, skb, octets[6:12], device, link)
    if refusal is not None:
        net.drop(skb, *refusal, device.name)
        return
    wanted = _INNER.get(int.from_bytes(octets[12:14], "big"), 0)
    if len(octets) - ethernet.HEADER_LENGTH < wanted:
        net.drop(skb, DropReason.PKT_TOO_SMALL, "no whole IP header inside", device.name)
        return
    updated = ecn.decapsulate(octets, skb.header.tos)
    if updated is None:
        net.drop(skb, DropReason.IP_TUNNEL_ECN, "", device.name)
        return
    if net.recorder is not None:
        net.note(skb, "vxlan", f"{device.name}: VNI {link.vni} from {skb.src}")
    net.emit(Backlog(device.name, Frame(updated, skb.packet_id, skb.trail, skb.marked())))


def _refusal(header: bytes, octets: bytes, device: Device) -> tuple[DropReason, str] | None:
    """Return why `device` takes no such frame, None if it does."""
    if any(header[1:4]) or header[0] != vxlan.FLAG_VNI or header[7]:
        return DropReason.VXLAN_INVALID_HDR, "reserved bits are set"
    if len(octets) < ethernet.HEADER_LENGTH:
        return DropReason.PKT_TOO_SMALL, "no whole Ethernet header inside"
    if octets[6:12] == device.mac:
        return DropReason.LOCAL_MAC, str(device.mac)
    return None


def _learn(
    net: Namespace, skb: Skb, mac: bytes, device: Device, link: Vxlan
) -> tuple[DropReason, str] | None:
    """Learn from `skb` who is behind its source, or return why it is refused. Source: `vxlan_snoop`."""
    if mac[0] & 1 or mac == ZERO_MAC:
        return DropReason.MAC_INVALID_SOURCE, str(MacAddress(mac))
    learned = link.fdb.learn(mac, skb.header.src, net.now)
    if learned is None:
        return DropReason.VXLAN_ENTRY_EXISTS, str(MacAddress(mac))
    if net.recorder is not None and learned is not Learned.KNOWN:
        net.note(skb, "fdb", f"{MacAddress(mac)} {learned.value}: {device.name} {skb.src}")
    return None


def _inner_ttl(octets: bytes) -> int:
    """Return TTL or hop limit of the packet inside, 0 if it is no IP packet."""
    ethertype = int.from_bytes(octets[12:14], "big")
    if ethertype == ethernet.IPV4 and len(octets) > 22:
        return octets[22]
    return octets[21] if ethertype == ethernet.IPV6 and len(octets) > 21 else 0


def _inner_df(octets: bytes) -> bool:
    ethertype = int.from_bytes(octets[12:14], "big")
    if ethertype == ethernet.IPV4:
        return bool(int.from_bytes(octets[20:22], "big") & DF_FLAG)
    return ethertype == ethernet.IPV6
