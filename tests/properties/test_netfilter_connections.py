# SPDX-License-Identifier: GPL-2.0-only
"""What holds of the connection table, whatever is sent: no tuple twice, and nothing for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import event, given, settings
from hypothesis import strategies as st

from emu.kernel.netfilter.conntrack.entry import Status
from emu.sim.time import MILLISECOND, SECOND
from emu.testing.strategies import frames, mutants
from emu.wire import ethernet
from emu.wire.ipv4 import UDP
from tests.properties.netfilter_rules import nat_rules, talks
from tests.unit.kernel.netfilter.nat_gateway import HERE, Flow, Gateway, Out, ip

if TYPE_CHECKING:
    from emu.sim.time import Duration
    from tests.properties.netfilter_rules import Talk

ADDRESSES: Final = [
    ip(text) for text in ("10.1.0.1", "10.1.0.2", "10.2.0.2", "10.2.0.3", "10.96.0.1", "10.77.0.2")
]
LONGEST: Final = 5 * 86_400 * SECOND
"""`nf_conntrack_tcp_timeout_established` as it is set, of which 432,000 s is the greatest of all timeouts."""

FLAGS: Final = (0x02, 0x12, 0x10, 0x11, 0x14, 0x18, 0x04)


@st.composite
def raw_packets(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draw a place and a packet that comes in there, right or damaged."""
    place = draw(st.sampled_from(("left", "right")))
    originals = frames(addresses=ADDRESSES, ports=(80, 1000), tunnels=False)
    frame = draw(originals | mutants(originals))
    return place, frame[ethernet.HEADER_LENGTH :]


@st.composite
def exchanges(draw: st.DrawFn) -> list[tuple[Talk, int, Duration]]:
    """Draw packets of a few flows: the flow, TCP's flags, and how long after the last one it is sent."""
    flows = draw(st.lists(talks(), min_size=1, max_size=5))
    steps = st.tuples(
        st.sampled_from(flows),
        st.sampled_from(FLAGS),
        st.sampled_from((0, MILLISECOND, SECOND, 40 * SECOND, 130 * SECOND)),
    )
    return draw(st.lists(steps, min_size=1, max_size=12))


def exchange(gateway: Gateway, steps: list[tuple[Talk, int, Duration]]) -> None:
    """Send packets, and an answer of a kind to each that comes out."""
    for number, (talk, flags, after) in enumerate(steps):
        gateway.wait(after)
        for out in gateway.send(
            talk.place, talk.flow.packet(b"12345678", flags=flags, seq=number, ack=number)
        ):
            answer(gateway, out, number)


def answer(gateway: Gateway, out: Out, number: int) -> None:
    """Answer a packet that came out, unless it is an error."""
    if not out.is_error and number % 2:
        flags = FLAGS[number % len(FLAGS)]
        gateway.send(
            out.place, Flow.of(out.packet).reply.packet(b"12345678", flags=flags, seq=number, ack=number)
        )


def assert_consistent(gateway: Gateway) -> None:
    """Every live connection is found by both its tuples, and by nothing else; no two share one."""
    table = gateway.net.netfilter.conntrack
    owners: dict[object, int] = {}
    for connection in gateway.connections():
        for way, (zone, tuple_) in enumerate(zip(connection.zones, connection.tuples, strict=True)):
            assert owners.setdefault((zone, tuple_), connection.number) == connection.number
            found = table.find(tuple_, gateway.now, zone)
            assert found is not None
            assert found.connection is connection
            assert found.direction == way or connection.original == connection.reply
        done = connection.status & Status.SRC_NAT_DONE
        assert (connection in table.of_source(connection.original, connection.zone)) is bool(done)
    event(f"{min(len(owners) // 2, 4)} connections")


def assert_forgotten(gateway: Gateway) -> None:
    """After the longest timeout nothing is left, nor in any index once the table is swept."""
    table = gateway.net.netfilter.conntrack
    gateway.wait(LONGEST)
    assert gateway.connections() == []
    table.sweep(gateway.now)
    assert table.count == 0
    assert not table._found
    assert not table._by_source


@given(nat_rules(), exchanges(), st.integers(0, 9))
def test_connections_share_no_tuple_and_leave_nothing_behind(
    rules: tuple[str, ...], steps: list[tuple[Talk, int, Duration]], seed: int
) -> None:
    """Whatever flags are sent in whatever order, with NAT and answers, early or late.

    Caught, planted: an index of sources that is not cleared.
    """
    gateway = Gateway(*rules, seed=seed)
    exchange(gateway, steps)
    assert_consistent(gateway)
    assert_forgotten(gateway)


@given(
    st.sampled_from(("MASQUERADE", "SNAT --to-source 10.2.0.1", "SNAT --to-source 10.77.0.2-10.77.0.3")),
    st.lists(
        st.tuples(st.integers(2, 9), st.integers(1000, 1003), st.integers(2, 3)), min_size=4, max_size=20
    ),
    st.integers(0, 9),
)
def test_connections_through_few_ports_share_no_tuple(
    target: str, ends: list[tuple[int, int, int]], seed: int
) -> None:
    """Those for whom no port is left do not get through.

    Caught, planted: a connection that is entered though another has its tuple.
    """
    ports = " --to-ports 80-82" if target == "MASQUERADE" else ":80-82"
    gateway = Gateway("*nat", f"-A POSTROUTING -o right -p udp -j {target}{ports}", "COMMIT", seed=seed)
    for client, sport, server in ends:
        flow = Flow(UDP, ip(f"10.1.0.{client}"), ip(f"10.2.0.{server}"), sport, 53)
        for out in gateway.send("left", flow.packet()):
            (back,) = gateway.send("right", out.flow.reply.packet())
            assert back.flow == flow.reply
    assert_consistent(gateway)


@settings(max_examples=max(settings().max_examples // 4, 5))
@given(nat_rules(), st.lists(raw_packets(), min_size=1, max_size=20))
def test_damaged_packets_leave_nothing_behind_either(
    rules: tuple[str, ...], packets: list[tuple[str, bytes]]
) -> None:
    """Any octets that get past the link layer: nothing is raised, and the table stays sound."""
    gateway = Gateway(*rules)
    for place, packet in packets:
        gateway.send(place, packet)
        gateway.wait(MILLISECOND)
    assert_consistent(gateway)
    gateway.net.timeout(gateway.now)
    assert_forgotten(gateway)


@given(st.lists(talks().filter(lambda talk: talk.place != HERE), min_size=5, max_size=25))
def test_a_full_table_forgets_only_what_may_be_forgotten(flows: list[Talk]) -> None:
    """It never grows beyond its limit, and what is not entered ends as a drop."""
    gateway = Gateway("*filter", "-A FORWARD -m conntrack --ctstate NEW -j ACCEPT", "COMMIT")
    sysctl = gateway.net.sysctl
    sysctl.values = {**sysctl.values, "net.netfilter.nf_conntrack_max": 3}  # as the initial namespace sets it
    for talk in flows:
        gateway.send(talk.place, talk.flow.packet(b"12345678"))
        assert gateway.net.netfilter.conntrack.count <= 3
    assert_consistent(gateway)
