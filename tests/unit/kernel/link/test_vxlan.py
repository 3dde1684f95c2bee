# SPDX-License-Identifier: GPL-2.0-only
"""Encapsulation and decapsulation, as found on Linux 6.18."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from emu.kernel import inetdev, netdev, rtnetlink
from emu.kernel.drops import DropReason
from emu.kernel.effects import Backlog, Drop, Transmit
from emu.kernel.link.fdb import FdbState, FdbWrite
from emu.kernel.link.veth import Veth
from emu.kernel.link.vxlan import Df, Vxlan, default_mtu
from emu.kernel.link.vxlan_fdb import Remote
from emu.kernel.nud import Nud
from emu.sim.time import START
from emu.wire import ethernet, ipv4, udp
from emu.wire.addresses import ANY_IP4, BROADCAST_MAC, ZERO_MAC, Interface, IpAddress, MacAddress
from emu.wire.frame import Frame
from emu.wire.ipv4 import Ipv4
from emu.wire.udp import Udp
from emu.wire.vxlan import Vni

if TYPE_CHECKING:
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace

ETH0 = MacAddress.parse("02:00:c0:a8:00:01")
VX = MacAddress.parse("02:00:00:00:09:01")
PEER = MacAddress.parse("02:00:00:00:09:02")
VNI9 = bytes.fromhex("0800000000000900")


def host(number: int) -> IpAddress:
    """Return an underlay address; 1 is the namespace's own."""
    return IpAddress(bytes((192, 168, 0, number)))


class Outer(NamedTuple):
    """An encapsulated frame, taken apart."""

    ip: Ipv4
    udp: Udp
    vxlan: bytes
    inner: bytes
    packet_id: int


@pytest.fixture
def vtep(net: Namespace) -> Namespace:
    """Return a namespace with 192.168.0.1/24 on `eth0`, all neighbours known, and `vx`, VNI 9, port 4789."""
    eth0 = net.add_device("eth0", Veth(), ETH0, mtu=1500)
    inetdev.add_address(net.fib, eth0, Interface.parse("192.168.0.1/24"))
    rtnetlink.set_up(net, eth0)
    for number in (2, 3, 4):
        mac = MacAddress(ETH0[:5] + bytes((number,)))
        net.neighbours.replace("eth0", host(number), mac, Nud.PERMANENT, START)
    link = Vxlan(Vni(9), local=host(1), device="eth0", dstport=4789)
    rtnetlink.set_up(net, net.add_device("vx", link, VX, mtu=1450))
    net.take_effects()
    return net


@pytest.fixture
def vx(vtep: Namespace) -> Device:
    """Return the VXLAN device."""
    return vtep.devices["vx"]


@pytest.fixture
def link(vx: Device) -> Vxlan:
    """Return what is particular to it."""
    assert isinstance(vx.link, Vxlan)
    return vx.link


def inner(tos: int = 0, *, dst: bytes = PEER, src: bytes = VX, ttl: int = 33, df: bool = False) -> bytes:
    """Return a frame of 54 octets with an IPv4 packet."""
    flags = ipv4.DF if df else 0
    packet = ipv4.build(1, b"\x0a\x09\0\1", b"\x0a\x09\0\2", bytes(20), tos=tos, ttl=ttl, fragment=flags)
    return ethernet.header(dst, src, ethernet.IPV4) + packet


def add(link: Vxlan, mac: MacAddress, remote: IpAddress) -> None:
    """Append a permanent remote."""
    link.fdb.write(mac, Remote(remote), FdbState.PERMANENT, START, FdbWrite.APPEND)


def send(net: Namespace, octets: bytes, device: str = "vx") -> list[Outer]:
    """Send a frame by the VXLAN device and return what leaves by `eth0`."""
    netdev.transmit(net, net.devices[device], Frame(octets, packet_id=5))
    outers = []
    for effect in net.take_effects():
        if isinstance(effect, Transmit):
            packet = effect.frame.octets[14:]
            parts = packet[28:36], packet[36:], effect.frame.packet_id
            outers.append(Outer(Ipv4.parse(packet), Udp.parse(packet[20:]), *parts))
    return outers


def arrive(
    net: Namespace, octets: bytes, *, header: bytes = VNI9, src: int = 2, tos: int = 0, port: int = 4789
) -> list[Backlog | Drop]:
    """Let a datagram with `header` and `octets` arrive on `eth0`."""
    datagram = udp.build(host(src), host(1), 5555, port, header + octets)
    packet = ipv4.build(ipv4.UDP, host(src), host(1), datagram, tos=tos)
    frame = Frame(ethernet.header(ETH0, PEER, ethernet.IPV4) + packet, packet_id=6)
    effects = net.receive("eth0", frame, START)
    return [effect for effect in effects if isinstance(effect, Backlog | Drop)]


def refusal(effects: list[Backlog | Drop]) -> DropReason:
    """Return the reason of the one drop."""
    (effect,) = effects
    assert isinstance(effect, Drop)
    return effect.reason


# --- out ---


def test_a_frame_is_carried_in_a_datagram_to_the_remote_of_its_destination(
    vtep: Namespace, link: Vxlan
) -> None:
    """Flag I and VNI, the frame as it was, TTL like any packet's, DF clear, the packet's number kept."""
    add(link, PEER, host(2))
    (outer,) = send(vtep, inner())
    assert (outer.ip.src, outer.ip.dst) == (host(1), host(2))
    assert (outer.ip.ttl, outer.ip.tos, outer.ip.df) == (64, 0, False)
    assert outer.udp.dport == 4789
    assert 32768 <= outer.udp.sport < 60999
    assert outer.vxlan == VNI9
    assert outer.inner == inner()
    assert outer.packet_id == 5


def test_a_broadcast_is_copied_to_all_remotes_of_the_zero_address(vtep: Namespace, link: Vxlan) -> None:
    """The first one entered gets its copy last; all have one source port."""
    for number in (2, 3, 4):
        add(link, ZERO_MAC, host(number))
    outers = send(vtep, inner(dst=BROADCAST_MAC))
    assert [outer.ip.dst for outer in outers] == [host(3), host(4), host(2)]
    assert len({outer.udp.sport for outer in outers}) == 1


def test_a_frame_that_has_no_remote_is_dropped(vtep: Namespace, vx: Device) -> None:
    """Unknown, and no entry of the zero address."""
    netdev.transmit(vtep, vx, Frame(inner(), 5))
    (effect,) = vtep.take_effects()
    assert isinstance(effect, Drop)
    assert effect.reason is DropReason.NO_TX_TARGET
    assert vx.counters.tx_dropped == 1


def test_a_remote_may_have_a_port_and_a_vni_of_its_own(vtep: Namespace, link: Vxlan) -> None:
    """`bridge fdb add ... port 1111 vni 77 via eth0`."""
    remote = Remote(host(2), port=1111, vni=Vni(77), device="eth0")
    link.fdb.write(PEER, remote, FdbState.PERMANENT, START, FdbWrite.ADD)
    (outer,) = send(vtep, inner())
    assert outer.udp.dport == 1111
    assert outer.vxlan == bytes.fromhex("0800000000004d00")


@pytest.mark.parametrize("wanted", [True, False])
def test_the_outer_checksum_is_right_or_absent(vtep: Namespace, link: Vxlan, *, wanted: bool) -> None:
    """As `udpcsum` says."""
    link.udpcsum = wanted
    add(link, PEER, host(2))
    (outer,) = send(vtep, inner())
    assert (outer.udp.checksum != 0) is wanted
    head = b"".join(number.to_bytes(2, "big") for number in outer.udp)
    assert udp.checksum_holds(host(1), host(2), head + outer.vxlan + outer.inner)


def test_the_outer_header_takes_what_it_inherits(vtep: Namespace, link: Vxlan) -> None:
    """TTL, DSCP and DF only if asked for; the ECN bits always."""
    add(link, PEER, host(2))
    sent = inner(0xB9, ttl=33, df=True)
    (outer,) = send(vtep, sent)
    assert (outer.ip.ttl, outer.ip.tos, outer.ip.df) == (64, 1, False)
    link.ttl_inherit = link.tos_inherit = True
    link.df = Df.INHERIT
    (outer,) = send(vtep, sent)
    assert (outer.ip.ttl, outer.ip.tos, outer.ip.df) == (33, 0xB9, True)
    link.ttl_inherit = link.tos_inherit = False
    link.ttl, link.tos, link.df = 7, 0xFF, Df.SET
    (outer,) = send(vtep, sent)
    assert (outer.ip.ttl, outer.ip.tos, outer.ip.df) == (7, 0xFD, True)


def test_an_ipv6_packet_inside_is_understood_too(vtep: Namespace, link: Vxlan) -> None:
    """Hop limit, traffic class, and no fragmentation."""
    add(link, PEER, host(2))
    link.ttl_inherit = link.tos_inherit = True
    link.df = Df.INHERIT
    packet = (6 << 28 | 0xB9 << 20).to_bytes(4, "big") + b"\0\0\x3b\x21" + bytes(32)
    (outer,) = send(vtep, ethernet.header(PEER, VX, ethernet.IPV6) + packet)
    assert (outer.ip.ttl, outer.ip.tos, outer.ip.df) == (33, 0xB9, True)


def test_what_is_no_packet_inherits_nothing(vtep: Namespace, link: Vxlan) -> None:
    """ARP goes with the defaults."""
    add(link, PEER, host(2))
    link.ttl_inherit = link.tos_inherit = True
    link.df = Df.INHERIT
    (outer,) = send(vtep, ethernet.header(PEER, VX, ethernet.ARP) + bytes(28))
    assert (outer.ip.ttl, outer.ip.tos, outer.ip.df) == (64, 0, False)


def test_without_a_local_address_routing_chooses_one(vtep: Namespace, link: Vxlan) -> None:
    """As for any packet of this host; without a route there is none."""
    link.local = ANY_IP4
    add(link, PEER, host(2))
    (outer,) = send(vtep, inner())
    assert outer.ip.src == host(1)
    link.fdb.write(PEER, Remote(IpAddress(b"\x09\0\0\1")), FdbState.PERMANENT, START, FdbWrite.REPLACE)
    netdev.transmit(vtep, vtep.devices["vx"], Frame(inner(), 5))
    (effect,) = vtep.take_effects()
    assert isinstance(effect, Drop)
    assert effect.reason is DropReason.IP_OUTNOROUTES


def test_a_remote_of_zeros_is_none(vtep: Namespace, link: Vxlan, vx: Device) -> None:
    """The frame is dropped."""
    add(link, PEER, ANY_IP4)
    netdev.transmit(vtep, vx, Frame(inner(), 5))
    assert [effect.reason for effect in vtep.take_effects() if isinstance(effect, Drop)] == [
        DropReason.NO_TX_TARGET
    ]


def test_a_remote_that_is_reached_by_the_tunnel_itself_does_not_go_round_for_ever(
    vtep: Namespace, link: Vxlan, vx: Device
) -> None:
    """The outer packet ends where it would be encapsulated again."""
    far = IpAddress.parse("10.77.0.9")
    inetdev.add_address(vtep.fib, vx, Interface.parse("10.77.0.1/24"))
    vtep.neighbours.replace("vx", far, PEER, Nud.PERMANENT, START)
    rtnetlink.set_down(vtep, vx)
    rtnetlink.set_up(vtep, vx)
    vtep.neighbours.replace("vx", far, PEER, Nud.PERMANENT, START)
    vtep.take_effects()
    add(link, PEER, far)
    netdev.transmit(vtep, vx, Frame(inner(), 5))
    assert [effect.reason for effect in vtep.take_effects() if isinstance(effect, Drop)] == [
        DropReason.RECURSION_LIMIT
    ]


def test_an_outer_packet_larger_than_the_cable_s_mtu_is_fragmented(vtep: Namespace, link: Vxlan) -> None:
    """DF is clear, so the underlay's MTU is nobody's business."""
    add(link, PEER, host(2))
    vtep.devices["eth0"].mtu = 100
    netdev.transmit(vtep, vtep.devices["vx"], Frame(inner(), 5))
    lengths = [len(e.frame.octets) for e in vtep.take_effects() if isinstance(e, Transmit)]
    assert lengths == [90 + 14]
    vtep.devices["eth0"].mtu = 80
    netdev.transmit(vtep, vtep.devices["vx"], Frame(inner(), 5))
    lengths = [len(e.frame.octets) for e in vtep.take_effects() if isinstance(e, Transmit)]
    assert lengths == [76 + 14, 34 + 14]


def test_the_default_mtu_leaves_room_for_the_headers(vtep: Namespace) -> None:
    """50 octets less than the device below; 1500 without one."""
    assert default_mtu(vtep.devices["eth0"]) == 1450
    assert default_mtu(None) == 1500


def test_a_frame_too_short_to_be_one_is_dropped(vtep: Namespace, vx: Device) -> None:
    """It is not carried anywhere."""
    vx.link.transmit(vtep, vx, Frame(bytes(13)))
    (effect,) = vtep.take_effects()
    assert isinstance(effect, Drop)
    assert effect.reason is DropReason.PKT_TOO_SMALL


# --- in ---


def test_the_frame_inside_comes_in_on_the_device_by_the_backlog(vtep: Namespace) -> None:
    """As it was, with the number of the packet that carried it."""
    assert arrive(vtep, inner(dst=VX, src=PEER)) == [Backlog("vx", Frame(inner(dst=VX, src=PEER), 6))]


MALFORMED = {
    "flag": (bytes.fromhex("0c00000000000900"), DropReason.VXLAN_INVALID_HDR),
    "first reserved field": (bytes.fromhex("0800010000000900"), DropReason.VXLAN_INVALID_HDR),
    "last reserved field": (bytes.fromhex("0800000000000901"), DropReason.VXLAN_INVALID_HDR),
    "no I flag": (bytes.fromhex("0000000000000900"), DropReason.VXLAN_INVALID_HDR),
    "another VNI": (bytes.fromhex("0800000000000800"), DropReason.VXLAN_VNI_NOT_FOUND),
}


@pytest.mark.parametrize(("header", "reason"), MALFORMED.values(), ids=MALFORMED)
def test_a_header_that_is_not_this_device_s_is_refused(
    vtep: Namespace, header: bytes, reason: DropReason
) -> None:
    """Linux insists on reserved fields of zeros, though RFC 7348 says to pass over them."""
    assert refusal(arrive(vtep, inner(dst=VX, src=PEER), header=header)) is reason


SHORT = {
    "no whole VXLAN header": (b"", VNI9[:5]),
    "no whole frame": (b"abc", VNI9),
    "no whole IPv4 header": (inner(dst=VX, src=PEER)[:20], VNI9),
    "no whole IPv6 header": (ethernet.header(VX, PEER, ethernet.IPV6) + bytes(39), VNI9),
}


@pytest.mark.parametrize(("octets", "header"), SHORT.values(), ids=SHORT)
def test_what_is_too_short_is_refused(vtep: Namespace, octets: bytes, header: bytes) -> None:
    """Down to the IP header inside."""
    assert refusal(arrive(vtep, octets, header=header)) is DropReason.PKT_TOO_SMALL


def test_a_frame_of_our_own_that_comes_back_is_refused(vtep: Namespace) -> None:
    """Its source is the device's own address."""
    assert refusal(arrive(vtep, inner(dst=PEER, src=VX))) is DropReason.LOCAL_MAC


@pytest.mark.parametrize("src", [ZERO_MAC, BROADCAST_MAC])
def test_a_source_that_is_no_station_is_refused_by_a_device_that_learns(
    vtep: Namespace, link: Vxlan, src: MacAddress
) -> None:
    """One that does not learn never looks."""
    assert refusal(arrive(vtep, inner(dst=VX, src=src))) is DropReason.MAC_INVALID_SOURCE
    link.learning = False
    assert isinstance(arrive(vtep, inner(dst=VX, src=src))[0], Backlog)


def test_the_source_is_learned_from_the_outer_header(vtep: Namespace, link: Vxlan) -> None:
    """And moves with it, but not from where somebody entered it."""
    arrive(vtep, inner(dst=VX, src=PEER), src=2)
    assert link.fdb.remotes_for(PEER, START) == [Remote(host(2))]
    arrive(vtep, inner(dst=VX, src=PEER), src=3)
    assert link.fdb.remotes_for(PEER, START) == [Remote(host(3))]
    link.fdb.write(PEER, Remote(host(4)), FdbState.STATIC, START, FdbWrite.REPLACE)
    assert refusal(arrive(vtep, inner(dst=VX, src=PEER), src=3)) is DropReason.VXLAN_ENTRY_EXISTS


def test_without_learning_nothing_is_learned(vtep: Namespace, link: Vxlan) -> None:
    """As flannel has it."""
    link.learning = False
    arrive(vtep, inner(dst=VX, src=PEER))
    assert link.fdb.entries(START) == []


def test_congestion_on_the_way_is_told_or_ends_the_packet(vtep: Namespace) -> None:
    """RFC 6040."""
    (effect,) = arrive(vtep, inner(2, dst=VX, src=PEER), tos=3)
    assert isinstance(effect, Backlog)
    assert effect.frame.octets == inner(3, dst=VX, src=PEER)
    assert refusal(arrive(vtep, inner(0, dst=VX, src=PEER), tos=3)) is DropReason.IP_TUNNEL_ECN


def test_a_device_that_is_down_does_not_listen(vtep: Namespace, vx: Device) -> None:
    """Nobody takes the datagram then, and nobody takes one for another port."""
    assert refusal(arrive(vtep, inner(dst=VX, src=PEER), port=8472)) is DropReason.NO_SOCKET
    rtnetlink.set_down(vtep, vx)
    assert refusal(arrive(vtep, inner(dst=VX, src=PEER))) is DropReason.NO_SOCKET


def test_a_trace_tells_where_a_tunnel_led(vtep: Namespace, link: Vxlan, notes: list[str]) -> None:
    """To which remotes, from which one, and what was learned."""
    add(link, ZERO_MAC, host(2))
    add(link, ZERO_MAC, host(3))
    send(vtep, inner(dst=BROADCAST_MAC))
    arrive(vtep, inner(dst=VX, src=PEER))
    ours = [line for line in notes if line.startswith(("vxlan", "fdb"))]
    assert ours == [
        "vxlan: vx: VNI 9, ff:ff:ff:ff:ff:ff is sent to 192.168.0.3, 192.168.0.2",
        "fdb: 02:00:00:00:09:02 learned: vx 192.168.0.2",
        "vxlan: vx: VNI 9 from 192.168.0.2",
    ]
