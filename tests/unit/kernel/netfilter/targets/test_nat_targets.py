# SPDX-License-Identifier: GPL-2.0-only
"""Which range each NAT target hands on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel import inetdev
from emu.kernel.fib import RouteType
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.nat_range import NatRange
from emu.kernel.netfilter.targets.nat import Dnat, Masquerade, Netmap, Redirect, Snat
from emu.kernel.netfilter.verdict import Verdict
from emu.kernel.routing import RouteDecision
from emu.wire import ipv4
from emu.wire.addresses import ANY_IP4, Interface, IpAddress
from tests.unit.kernel.netfilter.packets import CLIENT, SERVER, at, connect, datagram, node

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace

OTHER = IpAddress.parse("10.7.7.7")


def addressed(*addresses: str) -> Namespace:
    """Return a node whose `eth1` has these addresses."""
    net = node()
    for address in addresses:
        inetdev.add_address(net.fib, net.devices["eth1"], Interface.parse(address))
    net.devices["eth1"].up = True
    inetdev.device_up(net.fib, net.devices["eth1"])
    return net


def test_the_destination_is_changed_once() -> None:
    """The answer then has to come from there."""
    packet = at(datagram(), Hook.PREROUTING)
    connection = connect(packet)
    assert Dnat(NatRange(OTHER, OTHER, 80, 80)).apply(packet) is Verdict.ACCEPT
    assert (connection.reply.src, connection.reply.sport) == (OTHER, 80)
    assert connection.original.dst == SERVER


def test_the_source_is_changed_and_its_port_kept() -> None:
    """As long as nobody else has it."""
    packet = at(datagram(), Hook.POSTROUTING)
    connection = connect(packet)
    assert Snat(NatRange(OTHER, OTHER)).apply(packet) is Verdict.ACCEPT
    assert (connection.reply.dst, connection.reply.dport) == (OTHER, 1000)


def test_masquerading_takes_the_address_in_the_next_hops_subnet() -> None:
    """Of those that the device has; the device is remembered."""
    net = addressed("10.1.0.254/24", "10.8.0.254/24")
    packet = at(datagram(), Hook.POSTROUTING, net)
    gateway = IpAddress.parse("10.8.0.1")
    packet.skb.route = RouteDecision(RouteType.UNICAST, net.devices["eth1"], gateway, gateway)
    connection = connect(packet)
    assert Masquerade().apply(packet) is Verdict.ACCEPT
    assert connection.reply.dst == IpAddress.parse("10.8.0.254")
    assert connection.masquerade == "eth1"


def test_masquerading_without_any_address_drops() -> None:
    """There is nothing to put in its place."""
    packet = at(datagram(), Hook.POSTROUTING)
    connect(packet)
    assert Masquerade().apply(packet) is Verdict.DROP
    assert packet.because


def test_a_client_without_an_address_is_not_masqueraded() -> None:
    """It is asking for one."""
    packet = at(ipv4.build(17, ANY_IP4, SERVER, datagram()[20:]), Hook.POSTROUTING)
    connection = connect(packet)
    assert Masquerade().apply(packet) is Verdict.ACCEPT
    assert connection.reply.dst == ANY_IP4


def test_redirection_leads_to_the_device_it_came_in_by() -> None:
    """Our own packets to the loopback; without an address the packet is dropped."""
    net = addressed("10.1.0.254/24", "10.1.0.253/24")
    packet = at(datagram(), Hook.PREROUTING, net, iif="eth1")
    connection = connect(packet)
    assert Redirect(NatRange(min_port=8080, max_port=8080)).apply(packet) is Verdict.ACCEPT
    assert (connection.reply.src, connection.reply.sport) == (IpAddress.parse("10.1.0.254"), 8080)
    own = at(datagram(), Hook.OUTPUT, net)
    connection = connect(own)
    Redirect().apply(own)
    assert connection.reply.src == IpAddress.parse("127.0.0.1")
    elsewhere = at(datagram(), Hook.PREROUTING, net)
    connect(elsewhere)
    assert Redirect().apply(elsewhere) is Verdict.DROP


def test_netmap_replaces_the_network_and_keeps_the_host() -> None:
    """Of the destination on the way in, of the source on the way out."""
    target = Netmap(IpAddress.parse("172.16.5.0"), IpAddress.parse("255.255.255.0"))
    packet = at(datagram(), Hook.PREROUTING)
    connection = connect(packet)
    assert target.apply(packet) is Verdict.ACCEPT
    assert connection.reply.src == IpAddress.parse("172.16.5.2")
    packet = at(datagram(), Hook.POSTROUTING)
    connection = connect(packet)
    assert target.apply(packet) is Verdict.ACCEPT
    assert connection.reply.dst == IpAddress.parse("172.16.5.1")
    assert connection.original.src == CLIENT
