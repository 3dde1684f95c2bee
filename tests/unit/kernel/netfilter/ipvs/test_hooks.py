# SPDX-License-Identifier: GPL-2.0-only
"""Packets of balanced connections: sent on, answered, refused, and what connection tracking knows."""

from __future__ import annotations

import pytest

from emu.kernel.netfilter.conntrack.entry import Status
from emu.kernel.netfilter.ipvs.virtual import DestinationKey
from emu.sim.time import SECOND
from emu.wire import icmp, ipv4, tcp
from emu.wire.icmp import PORT_UNREACHABLE, UNREACHABLE
from emu.wire.ipv4 import ICMP, TCP, UDP
from tests.unit.kernel.netfilter.ipvs.balanced import PORT, SERVER_PORT, TRACKING, VIP, Balanced
from tests.unit.kernel.netfilter.nat_gateway import HERE, SCTP, Flow, ip

FIRST, SECOND_SERVER = "10.2.0.2", "10.2.0.3"
MARKING = ("*nat", "-A PREROUTING -d 10.96.0.1 -j MARK --set-mark 0x4000", TRACKING[1], "COMMIT")
PROTOCOLS = pytest.mark.parametrize("protocol", [TCP, UDP, SCTP])


@PROTOCOLS
def test_a_packet_goes_to_a_destination_and_its_answer_comes_from_the_service(protocol: int) -> None:
    """Address and port are changed, the client's stay, and every checksum is right."""
    balanced = Balanced("rr", FIRST, protocol=protocol)
    flow = balanced.client(1000)
    (out,) = balanced.send("left", flow.packet())
    assert (out.place, out.flow) == ("right", Flow(protocol, flow.src, ip(FIRST), 1000, SERVER_PORT))
    (back,) = balanced.send("right", out.flow.reply.packet(flags=tcp.SYN | tcp.ACK, ack=2))
    assert (back.place, back.flow) == ("left", flow.reply)
    assert out.wrong_checksums == back.wrong_checksums == []
    assert out.header.ttl == back.header.ttl == 63


def test_connection_tracking_knows_the_destination_and_counts_no_translation() -> None:
    """The reply tuple is the destination's; there is no bit of NAT, for nobody else translates."""
    balanced = Balanced("rr", FIRST)
    balanced.send("left", balanced.client(1000).packet())
    (connection,) = balanced.connections()
    assert (connection.original.dst, connection.original.dport) == (VIP, PORT)
    assert (connection.reply.src, connection.reply.sport) == (ip(FIRST), SERVER_PORT)
    assert not connection.status & (Status.DST_NAT | Status.SRC_NAT)


def test_a_marked_packet_is_masqueraded_as_it_leaves() -> None:
    """The destination sees the gateway, and the answer finds the client by two translations."""
    balanced = Balanced("rr", FIRST, rules=MARKING)
    flow = balanced.client(1000)
    (out,) = balanced.send("left", flow.packet())
    assert out.flow.src == ip("10.2.0.1")
    (back,) = balanced.send("right", out.flow.reply.packet(flags=tcp.SYN | tcp.ACK, ack=2))
    assert (back.place, back.flow) == ("left", flow.reply)
    assert back.wrong_checksums == []


def test_without_conntrack_a_packet_is_not_tracked_once_it_is_sent_on() -> None:
    """`net.ipv4.vs.conntrack` is 0 unless somebody sets it: a mark then masquerades nothing."""
    balanced = Balanced("rr", FIRST, rules=MARKING, conntrack=False)
    (out,) = balanced.send("left", balanced.client(1000).packet())
    assert out.flow.src == ip("10.1.0.2")
    assert balanced.connections() == []


def test_this_host_reaches_a_service_by_its_own_address() -> None:
    """The address of the service is the source, until a mark has it masqueraded: kube-proxy's reason to."""
    marking = ("*nat", "-A OUTPUT -d 10.96.0.1 -j MARK --set-mark 0x4000", TRACKING[1], "COMMIT")
    balanced = Balanced("rr", FIRST, rules=marking)
    flow = Flow(TCP, VIP, VIP, 1000, PORT)
    (out,) = balanced.send(HERE, flow.packet())
    assert (out.place, out.flow.src, out.flow.dst) == ("right", ip("10.2.0.1"), ip(FIRST))
    (back,) = balanced.send("right", out.flow.reply.packet(flags=tcp.SYN | tcp.ACK, ack=2))
    assert (back.place, back.flow) == (HERE, flow.reply)


def test_a_destination_on_this_host_is_reached_without_leaving() -> None:
    """And its answer, made here, gets the address of the service."""
    balanced = Balanced("rr", "10.2.0.1")
    flow = balanced.client(1000)
    (out,) = balanced.send("left", flow.packet())
    assert (out.place, out.flow.dst, out.flow.dport) == (HERE, ip("10.2.0.1"), SERVER_PORT)
    (back,) = balanced.send(HERE, out.flow.reply.packet(flags=tcp.SYN | tcp.ACK, ack=2))
    assert (back.place, back.flow) == ("left", flow.reply)


@PROTOCOLS
def test_a_service_without_destinations_refuses(protocol: int) -> None:
    """Every protocol gets port unreachable, from the address of the service, and no RST."""
    balanced = Balanced("rr", protocol=protocol)
    (back,) = balanced.send("left", balanced.client(1000).packet())
    assert back.place == "left"
    assert (back.body[0], back.body[1]) == (UNREACHABLE, PORT_UNREACHABLE)
    assert back.flow.src == VIP
    (drop,) = balanced.drops
    assert drop.detail == f"IPVS: no destination for {balanced.key}"


def test_what_begins_no_connection_goes_to_this_host() -> None:
    """A segment without SYN of no connection, and a port without a service, are none of its business."""
    balanced = Balanced("rr", FIRST)
    (out,) = balanced.send("left", balanced.client(1000).packet(flags=tcp.ACK, ack=1))
    assert (out.place, out.flow.dst) == (HERE, VIP)
    (out,) = balanced.send("left", Flow(TCP, ip("10.1.0.2"), VIP, 1000, 81).packet())
    assert (out.place, out.flow.dport) == (HERE, 81)


def test_an_error_about_a_request_comes_from_the_service() -> None:
    """A destination's *port unreachable* names the packet that the client has sent."""
    balanced = Balanced("rr", FIRST, protocol=UDP)
    flow = balanced.client(1000)
    (out,) = balanced.send("left", flow.packet())
    message = icmp.build(UNREACHABLE, PORT_UNREACHABLE, out.packet[:28])
    (back,) = balanced.send("right", ipv4.build(ICMP, ip(FIRST), flow.src, message))
    assert (back.place, back.header.src) == ("left", bytes(VIP))
    assert Flow.of(back.quoted) == flow
    assert back.wrong_checksums == []


def test_an_error_about_an_answer_goes_to_the_destination() -> None:
    """A client, or a router before it, that cannot take an answer tells whoever sent it."""
    balanced = Balanced("rr", FIRST, protocol=UDP)
    flow = balanced.client(1000)
    (out,) = balanced.send("left", flow.packet())
    (back,) = balanced.send("right", out.flow.reply.packet())
    message = icmp.build(UNREACHABLE, PORT_UNREACHABLE, back.packet[:28])
    (there,) = balanced.send("left", ipv4.build(ICMP, flow.src, VIP, message))
    assert (there.place, there.header.dst) == ("right", bytes(ip(FIRST)))
    assert Flow.of(there.quoted) == out.flow.reply
    assert there.wrong_checksums == []


def test_a_packet_whose_ttl_is_spent_is_refused() -> None:
    """Sending on takes one, like forwarding."""
    balanced = Balanced("rr", FIRST)
    (back,) = balanced.send("left", balanced.client(1000).packet(ttl=1))
    assert back.body[0] == icmp.TIME_EXCEEDED


def test_a_connection_keeps_its_destination_and_a_new_one_gets_the_next() -> None:
    """A scheduler is asked for the first packet alone."""
    balanced = Balanced("rr", FIRST, SECOND_SERVER)
    assert [balanced.chosen(port) for port in (1, 2, 1, 3)] == [
        ip(FIRST),
        ip(SECOND_SERVER),
        ip(FIRST),
        ip(FIRST),
    ]


# --- destinations that go ---


def test_packets_for_a_destination_that_was_deleted_are_dropped_in_silence() -> None:
    """With `expire_nodest_conn` the connection is forgotten, and the next packet finds another."""
    balanced = Balanced("rr", FIRST, SECOND_SERVER, protocol=UDP)
    flow = balanced.client(1000)
    (out,) = balanced.send("left", flow.packet())
    balanced.remove(str(out.flow.dst))
    assert balanced.send("left", flow.packet()) == []
    balanced.net.sysctl.set("net.ipv4.vs.expire_nodest_conn", 1)
    assert balanced.send("left", flow.packet()) == []  # connection tracking has the old one: it goes, too
    (again,) = balanced.send("left", flow.packet())
    assert again.flow.dst == ip(SECOND_SERVER)


def test_with_expire_nodest_conn_connections_go_with_their_destination() -> None:
    """And connection tracking forgets them at once: the next packet gets another destination."""
    balanced = Balanced("rr", FIRST, SECOND_SERVER, protocol=UDP)
    balanced.net.sysctl.set("net.ipv4.vs.expire_nodest_conn", 1)
    flow = balanced.client(1000)
    (out,) = balanced.send("left", flow.packet())
    balanced.remove(str(out.flow.dst))
    assert balanced.connections() == []
    (again,) = balanced.send("left", flow.packet())
    assert again.flow.dst == ip(SECOND_SERVER)


def test_a_destination_of_weight_zero_keeps_what_it_has_and_gets_nothing_new() -> None:
    """Graceful termination rests on it."""
    balanced = Balanced("rr", FIRST, SECOND_SERVER)
    assert balanced.chosen(1) == ip(FIRST)
    balanced.weigh(FIRST, 0)
    assert balanced.chosen(1, flags=tcp.ACK) == ip(FIRST)
    assert [balanced.chosen(port) for port in (2, 3)] == [ip(SECOND_SERVER)] * 2


def _closed(balanced: Balanced, port: int) -> None:
    """Open a connection and close it: its state becomes TIME_WAIT in both tables."""
    flow = balanced.client(port)
    for place, flags in (
        ("left", tcp.SYN),
        ("right", tcp.SYN | tcp.ACK),
        ("left", tcp.ACK),
        ("right", tcp.FIN | tcp.ACK),
        ("left", tcp.FIN | tcp.ACK),
        ("right", tcp.ACK),
    ):
        forth = Flow(TCP, flow.src, ip(FIRST), port, SERVER_PORT)
        sender = flow if place == "left" else forth.reply
        seq, ack = (1, 2) if flags & tcp.SYN else (2, 2)
        balanced.send(place, sender.packet(b"", flags=flags, seq=seq, ack=ack if flags & tcp.ACK else 0))


@pytest.mark.parametrize(
    ("mode", "expires", "reached"), [(0, 0, FIRST), (1, 0, SECOND_SERVER), (0, 1, SECOND_SERVER)]
)
def test_a_port_that_is_used_again_meets_the_old_destination_unless_a_setting_says_otherwise(
    mode: int, expires: int, reached: str
) -> None:
    """The old one has weight 0: with `conn_reuse_mode` 0 a new client is sent to it all the same."""
    balanced = Balanced("rr", FIRST, SECOND_SERVER)
    _closed(balanced, 1000)
    balanced.weigh(FIRST, 0)
    balanced.net.sysctl.set("net.ipv4.vs.conn_reuse_mode", mode)
    balanced.net.sysctl.set("net.ipv4.vs.expire_nodest_conn", expires)
    flow = balanced.client(1000)
    out = balanced.send("left", flow.packet(b"", flags=tcp.SYN, seq=100_000))
    assert [each.flow.dst for each in out] == [ip(reached)]


# --- clients that stay ---


def test_a_persistent_service_sends_a_client_where_it_was_before() -> None:
    """All ports of a client count as one, for as long as the service says after its last connection."""
    balanced = Balanced("rr", FIRST, SECOND_SERVER, persistence=600)
    assert {balanced.chosen(port) for port in range(1, 6)} == {ip(FIRST)}
    assert balanced.chosen(1, "10.1.0.3") == ip(SECOND_SERVER)
    balanced.wait(599 * SECOND)
    assert balanced.chosen(9) == ip(FIRST)
    balanced.wait(599 * SECOND)
    assert balanced.chosen(10) == ip(FIRST)


def test_a_client_stays_no_longer_than_the_service_says() -> None:
    """Connections of it that are remembered still keep it, a minute more each time."""
    balanced = Balanced("rr", FIRST, SECOND_SERVER, persistence=600)
    balanced.chosen(1)
    balanced.wait(601 * SECOND)
    assert balanced.chosen(2) == ip(SECOND_SERVER)


def test_a_client_does_not_stay_with_a_destination_of_weight_zero_if_templates_expire() -> None:
    """`expire_quiescent_template` is what kube-proxy sets for that."""
    balanced = Balanced("rr", FIRST, SECOND_SERVER, persistence=600)
    balanced.chosen(1)
    balanced.weigh(FIRST, 0)
    assert balanced.chosen(2) == ip(FIRST)
    balanced.net.sysctl.set("net.ipv4.vs.expire_quiescent_template", 1)
    assert balanced.chosen(3) == ip(SECOND_SERVER)


# --- time ---


@pytest.mark.parametrize(("protocol", "seconds"), [(TCP, 60), (UDP, 300), (SCTP, 4)])
def test_a_connection_is_forgotten_when_its_state_s_time_is_over(protocol: int, seconds: int) -> None:
    """And connection tracking with it."""
    balanced = Balanced("rr", FIRST, protocol=protocol)
    balanced.send("left", balanced.client(1000).packet())
    load = balanced.ipvs.load(balanced.key, DestinationKey(ip(FIRST), SERVER_PORT))
    assert load.active + load.inactive == 1
    balanced.wait(seconds * SECOND - 1)
    balanced.ipvs.sweep(balanced.now)
    assert load.active + load.inactive == 1
    balanced.wait(1)
    balanced.net.now = balanced.now
    balanced.ipvs.sweep(balanced.now)
    assert (load.active, load.inactive, list(balanced.ipvs.connections)) == (0, 0, [])
    assert balanced.connections() == []


def test_time_outs_can_be_set() -> None:
    """`ipvsadm --set` changes those of connections that stand, that end, and of UDP; 0 leaves one."""
    balanced = Balanced("rr", FIRST, protocol=UDP)
    balanced.ipvs.set_timeouts(0, 0, 10 * SECOND)
    balanced.send("left", balanced.client(1000).packet())
    balanced.wait(10 * SECOND)
    balanced.ipvs.sweep(balanced.now)
    assert list(balanced.ipvs.connections) == []
