# SPDX-License-Identifier: GPL-2.0-only
"""What a packet is to its connection, and when that is entered, on its way through a namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.kernel.netfilter import nat
from emu.kernel.netfilter.conntrack import tracking
from emu.kernel.netfilter.conntrack.entry import Status
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.packet import Packet
from emu.kernel.netfilter.verdict import Verdict
from emu.kernel.skb import Skb
from emu.sim.time import SECOND
from emu.wire import icmp, ipv4, tcp
from emu.wire.ipv4 import ICMP, TCP, UDP
from tests.unit.kernel.netfilter.nat_gateway import HERE, SCTP, Flow, Gateway, Out, ip

if TYPE_CHECKING:
    from collections.abc import Iterable

CLIENT, SERVER = ip("10.1.0.2"), ip("10.2.0.2")
FLOW = Flow(UDP, CLIENT, SERVER, 1000, 53)
STATES = ("NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED")
COUNTING = ("*filter", *(f"-A FORWARD -m conntrack --ctstate {state}" for state in STATES), "COMMIT")


class Counting:
    """A gateway whose rules count packets by their state."""

    def __init__(self, *rules: str) -> None:
        self.gateway = Gateway(*COUNTING, *rules)
        self._before = [0] * len(STATES)

    def see(self, place: str, packet: bytes) -> list[str]:
        """Send a packet; return the state that it had, nothing if it did not get that far."""
        self.gateway.send(place, packet)
        counts = list(self.gateway.net.netfilter.tables["filter"].counts("FORWARD").packets)
        found = [state for state, now, was in zip(STATES, counts, self._before, strict=True) if now > was]
        self._before = counts
        return found

    @property
    def stats(self) -> dict[str, int]:
        """What happened, by the kernel's names."""
        return dict(self.gateway.net.netfilter.conntrack.stats)


def echo(kind: int = icmp.ECHO) -> Flow:
    """Return a flow of ICMP messages."""
    return Flow(ICMP, CLIENT, SERVER, 77, kind << 8)


@pytest.mark.parametrize(
    "flow", [FLOW, echo(), Flow(47, CLIENT, SERVER, 0, 0), Flow(TCP, CLIENT, SERVER, 1, 2)]
)
def test_an_answer_establishes_a_connection(flow: Flow) -> None:
    """Until then every packet is NEW; a SYN that is sent again is seen, and not counted."""
    lab = Counting()
    assert lab.see("left", flow.packet()) == ["NEW"]
    assert lab.see("left", flow.packet()) == ["NEW"]
    assert lab.see("right", flow.reply.packet(flags=tcp.SYN | tcp.ACK, seq=9, ack=2)) == ["ESTABLISHED"]
    assert lab.see("left", flow.packet(flags=tcp.ACK, seq=2, ack=10)) == ["ESTABLISHED"]
    (connection,) = lab.gateway.connections()
    assert connection.packets == [2 if flow.protocol == TCP else 3, 1]
    assert connection.status & Status.SEEN_REPLY


def test_sctp_begins_with_init() -> None:
    """And its answer establishes it."""
    flow = Flow(SCTP, CLIENT, SERVER, 1000, 2000)
    lab = Counting()
    assert lab.see("left", flow.packet()) == ["NEW"]
    assert lab.see("right", flow.reply.packet(ack=1)) == ["ESTABLISHED"]


def test_a_connection_is_forgotten_after_its_timeout() -> None:
    """A packet that comes later is NEW again."""
    lab = Counting()
    lab.see("left", FLOW.packet())
    lab.gateway.wait(31 * SECOND)
    assert lab.see("right", FLOW.reply.packet()) == ["NEW"]


def damaged(flow: Flow, at: int) -> bytes:
    """Return a packet of `flow` with another octet at `at`."""
    octets = bytearray(flow.packet())
    octets[at] ^= 0x55
    return bytes(octets)


INVALID = {
    "UDP with a wrong checksum": damaged(FLOW, 26),
    "TCP with a wrong checksum": damaged(Flow(TCP, CLIENT, SERVER, 1, 2), 36),
    "an echo with a wrong checksum": damaged(echo(), 22),
    "TCP with no flag": Flow(TCP, CLIENT, SERVER, 1, 2).packet(flags=0),
    "TCP cut short": ipv4.build(TCP, CLIENT, SERVER, bytes(19)),
    "UDP cut short": ipv4.build(UDP, CLIENT, SERVER, bytes(7)),
    "ICMP cut short": ipv4.build(ICMP, CLIENT, SERVER, b"\x08\0\xf7\xff"),
    "an answer to no echo": echo(icmp.ECHO_REPLY).packet(),
    "an unknown ICMP type": echo(44).packet(),
    "an error about nothing": ipv4.build(ICMP, CLIENT, SERVER, icmp.build(3, 1, FLOW.reply.packet())),
    "an error that quotes half a header": ipv4.build(ICMP, CLIENT, SERVER, icmp.build(3, 1, bytes(12))),
    "a RST of no connection": Flow(TCP, CLIENT, SERVER, 1, 2).packet(b"", flags=tcp.RST),
}


@pytest.mark.parametrize("packet", INVALID.values(), ids=INVALID)
def test_what_fits_no_connection_and_begins_none_is_invalid(packet: bytes) -> None:
    """It goes on without a connection, and leaves nothing behind."""
    lab = Counting()
    assert lab.see("left", packet) == ["INVALID"]
    assert lab.gateway.connections() == []


def test_checksums_are_not_looked_at_if_so_set() -> None:
    """`nf_conntrack_checksum` 0 believes them."""
    lab = Counting()
    lab.gateway.net.sysctl.set("net.netfilter.nf_conntrack_checksum", 0)
    assert lab.see("left", damaged(FLOW, 26)) == ["NEW"]


def about(packet: bytes, to: Flow) -> bytes:
    """Return an ICMP error of a router about `packet` for the sender of `to`."""
    return ipv4.build(ICMP, ip("10.2.0.39"), to.src, icmp.build(icmp.UNREACHABLE, 3, packet))


def test_an_error_is_related_to_what_it_quotes() -> None:
    """It begins no connection, and counts in none."""
    lab = Counting()
    lab.see("left", FLOW.packet())
    assert lab.see("right", about(FLOW.packet(), FLOW)) == ["RELATED"]
    (connection,) = lab.gateway.connections()
    assert connection.packets == [1, 0]


def test_an_error_for_another_than_the_sender_is_invalid() -> None:
    """Nobody else may be told."""
    lab = Counting()
    lab.see("left", FLOW.packet())
    other = Flow(UDP, ip("10.1.0.3"), SERVER, 1000, 53)
    assert lab.see("right", about(FLOW.packet(), other)) == ["INVALID"]


def test_what_is_dropped_leaves_no_connection() -> None:
    """It is entered behind the last rule."""
    gateway = Gateway("*filter", "-A FORWARD -m conntrack --ctstate NEW -j DROP", "COMMIT")
    gateway.send("left", FLOW.packet())
    assert gateway.connections() == []


def test_untracked_packets_are_nobodys() -> None:
    """And raw alone decides that."""
    lab = Counting("*raw", "-A PREROUTING -p udp -j CT --notrack", "COMMIT")
    assert lab.see("left", FLOW.packet()) == ["UNTRACKED"]
    assert lab.see("right", FLOW.reply.packet()) == ["UNTRACKED"]
    assert lab.see("left", echo().packet()) == ["NEW"]
    assert len(lab.gateway.connections()) == 1


def test_zones_keep_connections_apart() -> None:
    """The answer that comes by the other device is in another zone, so it begins a connection."""
    lab = Counting("*raw", "-A PREROUTING -i left -j CT --zone 5", "COMMIT")
    lab.see("left", FLOW.packet())
    assert lab.see("right", FLOW.reply.packet()) == ["NEW"]
    assert [each.zone for each in lab.gateway.connections()] == [5, 0]


def test_without_a_rule_that_asks_nothing_is_tracked() -> None:
    """And what was known stays known, for later."""
    gateway = Gateway("*filter", "-A FORWARD -p udp -j ACCEPT", "COMMIT")
    gateway.send("left", FLOW.packet())
    assert gateway.connections() == []
    gateway.load(*COUNTING)
    gateway.send("left", FLOW.packet())
    gateway.load("*filter", "-A FORWARD -p udp -j ACCEPT", "COMMIT")
    gateway.send("left", FLOW.packet())
    (connection,) = gateway.connections()
    assert connection.packets == [1, 0]


def test_what_this_host_sends_and_gets_is_tracked_too() -> None:
    """Confirmed behind POSTROUTING and behind INPUT."""
    gateway = Gateway(
        "*filter", "-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT", "-A INPUT -j DROP", "COMMIT"
    )
    flow = Flow(UDP, ip("10.2.0.1"), SERVER, 1000, 53)
    (out,) = gateway.send(HERE, flow.packet())
    assert [each.place for each in gateway.send("right", out.flow.reply.packet())] == [HERE]
    assert gateway.send("right", Flow(UDP, SERVER, flow.src, 9, 9).packet()) == []
    assert len(gateway.connections()) == 1


def fragments(count: int) -> list[bytes]:
    """Return a datagram of FLOW in so many fragments."""
    whole = FLOW.packet(bytes(400))
    body = whole[20:]
    size = -(-len(body) // count) + 7 & ~7
    return [
        ipv4.build(
            UDP,
            CLIENT,
            SERVER,
            body[at : at + size],
            identification=7,
            fragment=at // 8 | (ipv4.MF if at + size < len(body) else 0),
        )
        for at in range(0, len(body), size)
    ]


@pytest.mark.parametrize("order", [1, -1])
def test_fragments_are_put_together_before_they_are_tracked(order: int) -> None:
    """Rules see one packet, and it leaves in pieces no larger than it came in."""
    gateway = Gateway(*COUNTING)
    outs: list[Out] = []
    for piece in fragments(3)[::order]:
        outs += gateway.send("left", piece)
    assert [len(out.packet) for out in outs] == [len(piece) for piece in fragments(3)]
    assert gateway.net.netfilter.tables["filter"].counts("FORWARD").packets[0] == 1
    (connection,) = gateway.connections()
    assert connection.packets == [1, 0]


def test_a_full_table_drops_what_would_begin_a_connection() -> None:
    """Unless one that is not ASSURED can go; here all are."""
    gateway = Gateway(*COUNTING)
    sysctl = gateway.net.sysctl
    sysctl.values = {**sysctl.values, "net.netfilter.nf_conntrack_max": 2}  # as the initial namespace sets it
    flows = [Flow(47, CLIENT, ip(f"10.2.0.{host}"), 0, 0) for host in (2, 3, 4)]
    for flow in flows[:2]:
        for place, packet in (("left", flow), ("right", flow.reply), ("left", flow)):
            gateway.send(place, packet.packet(b"12345678"))
    assert all(each.status & Status.ASSURED for each in gateway.connections())
    assert gateway.send("left", flows[2].packet(b"12345678")) == []
    assert gateway.drops[-1].detail == "nf_conntrack: table full, dropping packet"
    assert gateway.send("left", flows[1].packet(b"12345678"))


# --- two packets under way at once ---


def under_way(gateway: Gateway, flows: Iterable[Flow]) -> list[Packet]:
    """Return first packets that are tracked and not confirmed yet."""
    packets = [
        Packet(gateway.net, Skb(flow.packet(), number), Hook.PREROUTING) for number, flow in enumerate(flows)
    ]
    for packet in packets:
        assert tracking.track(packet) is Verdict.ACCEPT
    return packets


def test_two_datagrams_of_one_flow_join_one_connection() -> None:
    """The second finds at its confirmation that the first was there before."""
    gateway = Gateway(*COUNTING)
    first, second = under_way(gateway, [FLOW, FLOW])
    assert first.connection is not second.connection
    assert [tracking.confirm(each) for each in (first, second)] == [Verdict.ACCEPT] * 2
    assert second.connection is first.connection
    assert first.connection is not None
    assert first.connection.packets == [2, 0]
    assert gateway.net.netfilter.conntrack.stats["clash_resolve"] == 1


def test_of_two_that_begin_one_tcp_connection_the_second_is_dropped() -> None:
    """It is sent again, and then belongs to the connection."""
    gateway = Gateway(*COUNTING)
    flow = Flow(TCP, CLIENT, SERVER, 1, 2)
    first, second = under_way(gateway, [flow, flow])
    assert [tracking.confirm(each) for each in (first, second)] == [Verdict.ACCEPT, Verdict.DROP]
    assert gateway.net.netfilter.conntrack.stats["insert_failed"] == 1


def test_datagrams_that_nat_parted_get_their_own_answers() -> None:
    """Each rule of NAT took another endpoint: the first is listed, the others stand for a second.

    Three datagrams of one socket that waited in a bridge for the MAC addresses
    of their endpoints; on Linux all three came out, and one entry was listed.
    """
    gateway = Gateway(
        "*nat",
        "-A PREROUTING -m statistic --mode nth --every 2 --packet 0 -j DNAT --to-destination 10.2.0.2",
        "-A PREROUTING -j DNAT --to-destination 10.2.0.3",
        "COMMIT",
    )
    table = gateway.net.netfilter.conntrack
    flow = Flow(UDP, CLIENT, ip("10.96.0.1"), 1000, 53)
    packets = under_way(gateway, [flow, flow, flow])
    for packet in packets:
        packet.in_device = gateway.net.device("left")
        assert nat.translate(packet, (gateway.net.netfilter.table("nat").run,)) is Verdict.ACCEPT
    assert [tracking.confirm(packets[number]) for number in (1, 0, 2)] == [Verdict.ACCEPT] * 3
    assert table.stats["clash_resolve"] == 2
    (listed,) = gateway.connections()
    assert listed.reply.src == ip("10.2.0.3")
    (back,) = gateway.send("right", Flow(UDP, SERVER, CLIENT, 53, 1000).packet())
    assert back.flow == flow.reply
    gateway.wait(SECOND)
    (late,) = gateway.send("right", Flow(UDP, SERVER, CLIENT, 53, 1000).packet())
    assert late.flow.src == SERVER
