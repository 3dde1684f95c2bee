# SPDX-License-Identifier: GPL-2.0-only
"""NAT and what it does to connections and to ICMP errors, as found on Linux 6.18."""

from __future__ import annotations

import pytest

from emu.kernel import rtnetlink
from emu.kernel.fib import Nexthop, Route
from emu.kernel.netfilter.conntrack.entry import Status
from emu.sim.time import SECOND
from emu.testing.checks import sums_up
from emu.wire import icmp, ipv4, udp
from emu.wire.addresses import Interface, IpAddress, Prefix
from emu.wire.ipv4 import ICMP, TCP, UDP
from tests.unit.kernel.netfilter.nat_gateway import HERE, Flow, Gateway, Out, ip

CLIENT, SERVER, VIP, ROUTER = ip("10.1.0.2"), ip("10.2.0.2"), ip("10.96.0.1"), ip("10.2.0.39")
OWN = ip("10.2.0.1")
FLOW = Flow(UDP, CLIENT, SERVER, 1000, 53)
MASQUERADE = "-A POSTROUTING -o right -j MASQUERADE"


def nat(*rules: str) -> Gateway:
    """Return a gateway with such rules of the table nat, which tracks connections whatever they are."""
    tracking = ("*filter", "-A FORWARD -m conntrack --ctstate NEW -j ACCEPT", "COMMIT")
    return Gateway("*nat", *rules, "COMMIT", *tracking)


def begun(*rules: str) -> tuple[Gateway, Out]:
    """Return a gateway through which FLOW has begun, and what came out."""
    gateway = nat(*rules)
    (out,) = gateway.send("left", FLOW.packet())
    return gateway, out


def error(about: Out, kind: int = icmp.UNREACHABLE, code: int = 3, *, cut: int = 576) -> bytes:
    """Return an ICMP error of a router about a packet."""
    return ipv4.build(ICMP, ROUTER, about.flow.src, icmp.build(kind, code, about.packet[:cut]))


# --- connections ---


def test_the_rules_decide_once_for_a_connection() -> None:
    """They see the first packet alone, and a connection outlives them."""
    gateway, _ = begun("-A PREROUTING -d 10.96.0.1 -j ACCEPT", MASQUERADE)
    gateway.send("left", FLOW.packet())
    assert gateway.net.netfilter.tables["nat"].counts("POSTROUTING").packets == [1]
    gateway.load("*nat", "-A POSTROUTING -j ACCEPT", "COMMIT")
    (out,) = gateway.send("left", FLOW.packet())
    assert out.flow.src == OWN


def test_a_new_rule_does_not_reach_an_old_connection() -> None:
    """A datagram that was not translated stays so until it is forgotten: the classic trap of UDP."""
    gateway = nat("-A POSTROUTING -j ACCEPT")
    gateway.send("left", FLOW.packet())
    gateway.load("*nat", MASQUERADE, "COMMIT")
    (out,) = gateway.send("left", FLOW.packet())
    assert out.flow == FLOW
    gateway.wait(31 * SECOND)
    (out,) = gateway.send("left", FLOW.packet())
    assert out.flow.src == OWN


def test_a_masqueraded_connection_that_leaves_by_another_device_ends() -> None:
    """The packet is dropped and the entry deleted; the next packet begins anew."""
    gateway = nat("-A POSTROUTING -j MASQUERADE")
    flow = Flow(UDP, CLIENT, ip("10.77.0.5"), 1000, 53)
    (out,) = gateway.send("left", flow.packet())
    assert (out.place, out.flow.src) == ("right", OWN)
    gateway.net.fib.add(Route(Prefix.parse("10.77.0.5/32"), nexthops=(Nexthop("left", ip("10.1.0.39")),)))
    assert gateway.send("left", flow.packet()) == []
    assert gateway.connections() == []
    (out,) = gateway.send("left", flow.packet())
    assert (out.place, out.flow.src) == ("left", ip("10.1.0.1"))


def test_a_device_that_goes_down_takes_its_masqueraded_connections_along() -> None:
    """Those of SNAT stay."""
    gateway, _ = begun(
        f"{MASQUERADE.replace('-j', '-p udp -j')}", "-A POSTROUTING -j SNAT --to-source 10.2.0.1"
    )
    gateway.send("left", Flow(TCP, CLIENT, SERVER, 1000, 80).packet())
    rtnetlink.set_down(gateway.net, gateway.net.device("right"))
    assert [each.protocol for each in gateway.connections()] == [TCP]


def test_an_address_that_is_taken_away_takes_along_what_was_masqueraded_with_it() -> None:
    """And nothing else."""
    gateway, _ = begun(MASQUERADE)
    net, right = gateway.net, gateway.net.device("right")
    rtnetlink.add_address(net, right, Interface.parse("10.2.0.77/24"))
    rtnetlink.delete_address(net, right, Interface.parse("10.2.0.77/24"))
    assert len(gateway.connections()) == 1
    rtnetlink.delete_address(net, right, Interface.parse("10.2.0.1/24"))
    assert gateway.connections() == []


def test_a_connection_without_a_rule_is_bound_to_what_it_is() -> None:
    """Both ends are done, neither is changed."""
    gateway, out = begun("-A PREROUTING -d 10.96.0.1 -j ACCEPT")
    assert out.flow == FLOW
    (connection,) = gateway.connections()
    assert connection.reply == connection.original.invert()
    done = Status.SRC_NAT_DONE | Status.DST_NAT_DONE
    assert connection.status & done == done
    assert not connection.status & (Status.SRC_NAT | Status.DST_NAT)


def test_a_hairpin_needs_both_translations() -> None:
    """A client reaches itself by the virtual address, and sees the gateway as the one who asks."""
    gateway = nat(
        f"-A PREROUTING -d {VIP} -j DNAT --to-destination {CLIENT}",
        f"-A POSTROUTING -s {CLIENT} -j MASQUERADE",
    )
    flow = Flow(UDP, CLIENT, VIP, 1000, 53)
    (out,) = gateway.send("left", flow.packet())
    assert out == ("left", out.packet)
    assert out.flow == Flow(UDP, ip("10.1.0.1"), CLIENT, 1000, 53)
    (back,) = gateway.send("left", out.flow.reply.packet())
    assert back.flow == flow.reply


def test_a_packet_of_this_host_is_routed_anew() -> None:
    """DNAT in OUTPUT comes behind routing: where it goes and by which device is asked again."""
    gateway = nat("-A OUTPUT -d 10.2.0.9 -p udp -j DNAT --to-destination 10.1.0.2")
    (out,) = gateway.send(HERE, Flow(UDP, OWN, ip("10.2.0.9"), 1000, 53).packet())
    assert (out.place, out.flow.dst) == ("left", CLIENT)


def test_redirect_in_output_leads_to_the_loopback_address() -> None:
    """In PREROUTING to the first address of the device that it came in by."""
    gateway = nat("-A OUTPUT -d 10.2.0.9 -j REDIRECT", "-A PREROUTING -d 10.96.0.1 -j REDIRECT")
    (out,) = gateway.send(HERE, Flow(UDP, OWN, ip("10.2.0.9"), 1000, 53).packet())
    assert (out.place, out.flow.dst) == (HERE, ip("127.0.0.1"))
    (out,) = gateway.send("left", Flow(UDP, CLIENT, VIP, 1000, 53).packet())
    assert (out.place, out.flow.dst) == (HERE, ip("10.1.0.1"))


def test_netmap_keeps_the_host() -> None:
    """A network for a network, in both directions."""
    gateway = nat("-A PREROUTING -d 10.96.1.0/24 -j NETMAP --to 10.2.0.0/24")
    (out,) = gateway.send("left", Flow(UDP, CLIENT, ip("10.96.1.7"), 1000, 53).packet())
    assert out.flow.dst == ip("10.2.0.7")


def test_fragments_are_translated_as_a_whole() -> None:
    """They are put together before, and leave in as large pieces as they came."""
    gateway = nat(MASQUERADE)
    body = udp.build(CLIENT, SERVER, 1000, 53, bytes(1600))
    first = ipv4.build(UDP, CLIENT, SERVER, body[:1200], identification=9, fragment=ipv4.MF)
    last = ipv4.build(UDP, CLIENT, SERVER, body[1200:], identification=9, fragment=1200 // 8)
    assert gateway.send("left", last) == []
    outs = gateway.send("left", first)
    assert [len(out.packet) for out in outs] == [1220, 428]
    assert {IpAddress(out.header.src) for out in outs} == {OWN}
    assert udp.checksum_holds(OWN, SERVER, b"".join(out.body for out in outs))


# --- ICMP errors ---


@pytest.mark.parametrize(("kind", "code"), [(3, 3), (11, 0), (12, 0), (4, 0)])
def test_an_error_quotes_what_its_receiver_sent(kind: int, code: int) -> None:
    """Addresses and ports of the quoted packet are translated back, its source stays the router's."""
    gateway, out = begun(MASQUERADE)
    (told,) = gateway.send("right", error(out, kind, code))
    assert (told.place, IpAddress(told.header.src), IpAddress(told.header.dst)) == ("left", ROUTER, CLIENT)
    assert Flow.of(told.quoted) == FLOW
    assert told.wrong_checksums == []
    assert sums_up(told.quoted[:20])
    assert udp.checksum_holds(CLIENT, SERVER, told.quoted[20:])


def test_an_error_about_a_translated_destination_seems_to_come_from_it() -> None:
    """Whoever sent it: it looks like an answer to what was asked."""
    gateway = nat(f"-A PREROUTING -d {VIP} -j DNAT --to-destination {SERVER}")
    flow = Flow(UDP, CLIENT, VIP, 1000, 53)
    (out,) = gateway.send("left", flow.packet())
    (told,) = gateway.send("right", error(out))
    assert IpAddress(told.header.src) == VIP
    assert Flow.of(told.quoted) == flow


def test_a_redirect_about_a_translated_connection_ends() -> None:
    """Its receiver could not believe it; one about a connection that is as it was passes."""
    gateway, out = begun(MASQUERADE)
    assert gateway.send("right", error(out, icmp.REDIRECT, 1)) == []
    gateway, out = begun("-A PREROUTING -d 10.96.0.1 -j ACCEPT")
    (told,) = gateway.send("right", error(out, icmp.REDIRECT, 1))
    assert told.place == "left"


def test_eight_octets_behind_the_quoted_header_are_enough() -> None:
    """With four, no port could be translated: nobody is told."""
    gateway, out = begun(MASQUERADE)
    assert gateway.send("right", error(out, cut=24)) == []
    (told,) = gateway.send("right", error(out, cut=28))
    assert Flow.of(told.quoted) == FLOW


def test_an_error_with_a_wrong_checksum_ends_here() -> None:
    """It belongs to no connection, so it is for the gateway itself, whose ICMP will drop it."""
    gateway, out = begun(MASQUERADE)
    octets = bytearray(error(out))
    octets[22] ^= 1
    assert [told.place for told in gateway.send("right", bytes(octets))] == [HERE]


def test_an_error_for_another_than_the_sender_is_not_translated() -> None:
    """It is INVALID, and rules may drop it; by itself it goes on as it is."""
    gateway, out = begun(MASQUERADE)
    octets = ipv4.build(ICMP, ROUTER, CLIENT, icmp.build(icmp.UNREACHABLE, 3, out.packet))
    (told,) = gateway.send("right", octets)
    assert Flow.of(told.quoted) == out.flow
    assert gateway.net.netfilter.conntrack.stats["invalid"] == 1
