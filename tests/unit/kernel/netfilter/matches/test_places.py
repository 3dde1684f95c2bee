# SPDX-License-Identifier: GPL-2.0-only
"""Matches that ask where a packet comes from and goes to: routes, devices, ports of a bridge, sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.kernel import inetdev
from emu.kernel.fib import Nexthop, Route, RouteType
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.matches.addrtype import AddressType, AddressTypes, Limit
from emu.kernel.netfilter.matches.mac import SourceMac
from emu.kernel.netfilter.matches.nfacct import Accounting
from emu.kernel.netfilter.matches.owner import IdRange, Owner
from emu.kernel.netfilter.matches.physdev import Physdev, Port
from emu.kernel.netfilter.matches.pkttype import LinkType
from emu.kernel.netfilter.matches.rpfilter import ReversePath
from emu.kernel.skb import PacketType
from emu.wire import ipv4
from emu.wire.addresses import ANY_IP4, Interface, IpAddress, Prefix
from tests.unit.kernel.netfilter.packets import MAC, SERVER, at, datagram, node

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace


def router() -> Namespace:
    """Return a node with 10.0.0.254/24 on `eth0` and 10.1.0.254/24 on `eth1`."""
    net = node()
    for name, address in (("eth0", "10.0.0.254/24"), ("eth1", "10.1.0.254/24")):
        device = net.devices[name]
        inetdev.add_address(net.fib, device, Interface.parse(address))
        device.up = True
        inetdev.device_up(net.fib, device)
    return net


def to(dst: str, src: str = "10.0.0.1") -> bytes:
    """Return a packet between two addresses."""
    return ipv4.build(17, IpAddress.parse(src), IpAddress.parse(dst), bytes(8))


@pytest.mark.parametrize(
    ("dst", "kind"),
    [
        ("10.0.0.254", AddressTypes.LOCAL),
        ("10.0.0.255", AddressTypes.BROADCAST),
        ("10.0.0.7", AddressTypes.UNICAST),
        ("224.0.0.5", AddressTypes.MULTICAST),
        ("255.255.255.255", AddressTypes.BROADCAST),
        (str(ANY_IP4), AddressTypes.BROADCAST),
        ("0.0.0.9", AddressTypes.UNICAST),
        ("10.66.0.1", AddressTypes.UNICAST),
    ],
)
def test_the_routing_table_tells_the_type_of_an_address(dst: str, kind: AddressTypes) -> None:
    """Of its source likewise; what no route leads to is unicast all the same."""
    packet = at(to(dst), net=router())
    assert AddressType(destination=kind).holds(packet)
    assert not AddressType(destination=kind, destination_inverted=True).holds(packet)
    assert not AddressType(destination=AddressTypes(0xFFF) & ~kind).holds(packet)
    assert AddressType(AddressTypes.UNICAST, kind).holds(packet)
    assert not AddressType(AddressTypes.LOCAL, kind).holds(packet)


def test_an_address_of_another_device_is_not_local_to_this_one() -> None:
    """As far as that is asked."""
    packet = at(to("10.1.0.254"), net=router())
    local = AddressTypes.LOCAL
    assert AddressType(destination=local).holds(packet)
    assert not AddressType(destination=local, limit=Limit.IN).holds(packet)
    assert AddressType(destination=local, limit=Limit.OUT).holds(packet)


def test_an_answer_has_to_go_back_the_way_it_came() -> None:
    """10.0.0.0/24 is behind eth0."""
    net = router()
    assert ReversePath().holds(at(to("10.1.0.2"), Hook.PREROUTING, net))
    assert not ReversePath(inverted=True).holds(at(to("10.1.0.2"), Hook.PREROUTING, net))
    assert not ReversePath().holds(at(to("10.1.0.2"), Hook.PREROUTING, net, iif="eth1"))
    assert ReversePath(loose=True).holds(at(to("10.1.0.2"), Hook.PREROUTING, net, iif="eth1"))
    assert not ReversePath(loose=True).holds(at(to("10.1.0.2", "10.66.0.1"), Hook.PREROUTING, net))


def test_an_own_address_is_accepted_as_source_only_where_that_is_said() -> None:
    """And then only from the device that has it, unless any way will do."""
    net = router()
    packet = at(to("10.1.0.2", "10.0.0.254"), Hook.PREROUTING, net)
    assert not ReversePath().holds(packet)
    assert not ReversePath(loose=True).holds(packet)
    assert ReversePath(accept_local=True).holds(packet)


def test_the_mark_counts_for_the_way_back_only_where_that_is_said() -> None:
    """Here it leads nowhere."""
    net = router()
    packet = at(to("10.1.0.2"), Hook.PREROUTING, net)
    packet.skb.mark = 1
    net.fib.add(Route(Prefix.parse("10.0.0.0/24"), RouteType.UNICAST, (Nexthop("eth1"),), table=100))
    assert ReversePath().holds(packet)
    assert ReversePath(valid_mark=True).holds(packet)


def test_what_came_over_the_loopback_or_asks_for_an_address_passes() -> None:
    """A DHCP client has no address yet."""
    net = router()
    assert ReversePath().holds(at(to("10.66.0.1", "10.66.0.2"), Hook.PREROUTING, net, iif="lo"))
    assert ReversePath().holds(at(to("255.255.255.255", str(ANY_IP4)), Hook.PREROUTING, net))
    assert not ReversePath().holds(at(to("10.0.0.254", str(ANY_IP4)), Hook.PREROUTING, net))


def test_ports_of_a_bridge_are_asked_by_name() -> None:
    """A `+` stands for any rest."""
    packet = at(datagram(), physin="veth1", physout="veth2")
    assert Physdev(Port("veth1"), Port("veth2"), is_bridged=True).holds(packet)
    assert Physdev(Port("veth+")).holds(packet)
    assert not Physdev(Port("veth2")).holds(packet)
    assert Physdev(leaves_by=Port("veth1", inverted=True)).holds(packet)
    assert not Physdev(is_in=False).holds(packet)
    assert not Physdev(is_bridged=False).holds(packet)


def test_a_packet_that_came_by_a_port_and_is_routed_leaves_by_none() -> None:
    """So it is not bridged, and what is asked of the port it leaves by fails, even inverted."""
    packet = at(datagram(), physin="veth1")
    assert Physdev(Port("veth1"), is_bridged=False, is_in=True, is_out=False).holds(packet)
    assert not Physdev(leaves_by=Port("veth2")).holds(packet)
    assert not Physdev(leaves_by=Port("veth2", inverted=True)).holds(packet)


def test_a_packet_that_met_no_bridge_holds_only_what_is_inverted() -> None:
    """All of what is asked has to be."""
    packet = at(datagram())
    assert not Physdev(Port("eth0")).holds(packet)
    assert not Physdev(is_bridged=True).holds(packet)
    assert Physdev(
        Port("x", inverted=True), Port("y", inverted=True), is_in=False, is_out=False, is_bridged=False
    ).holds(packet)
    assert not Physdev(Port("x", inverted=True), is_in=True).holds(packet)


def test_the_link_type_is_the_frames() -> None:
    """A packet of this host counts as one for it."""
    packet = at(datagram())
    assert LinkType(PacketType.HOST).holds(packet)
    packet.skb.packet_type = PacketType.BROADCAST
    assert not LinkType(PacketType.HOST).holds(packet)
    assert LinkType(PacketType.HOST, inverted=True).holds(packet)


def test_the_source_of_the_frame_is_known_where_one_came_in() -> None:
    """Neither our own packets nor those on the loopback have one."""
    assert SourceMac(MAC).holds(at(datagram()))
    assert not SourceMac(MAC, inverted=True).holds(at(datagram()))
    assert SourceMac(bytes(6), inverted=True).holds(at(datagram()))
    assert not SourceMac(bytes(6), inverted=True).holds(at(datagram(), Hook.OUTPUT))
    assert not SourceMac(bytes(6), inverted=True).holds(at(datagram(), iif="lo"))


def test_the_socket_of_a_packet_is_root_s() -> None:
    """Sockets have no users here."""
    packet = at(datagram(), Hook.OUTPUT)
    packet.skb.socket = 5
    root, others = IdRange(0, 0), IdRange(1000, 2000)
    assert Owner(root, root, has_socket=True).holds(packet)
    assert not Owner(others).holds(packet)
    assert Owner(group=IdRange(1000, 2000, inverted=True)).holds(packet)
    assert not Owner(has_socket=False).holds(packet)


def test_a_packet_of_no_socket_holds_only_what_is_inverted() -> None:
    """The kernel's own answers have no owner."""
    packet = at(datagram(), Hook.OUTPUT)
    assert not Owner(IdRange(0, 0)).holds(packet)
    assert not Owner(has_socket=True).holds(packet)
    assert Owner(IdRange(0, 0, inverted=True), has_socket=False).holds(packet)


def test_accounting_lets_everything_through() -> None:
    """It only counts."""
    assert Accounting("packets").holds(at(datagram()))
    assert at(datagram()).skb.dst == SERVER
