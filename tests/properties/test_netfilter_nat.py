# SPDX-License-Identifier: GPL-2.0-only
"""NAT changes nothing for those who talk: what comes back is an answer to what was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import event, given
from hypothesis import strategies as st

from emu.testing.checks import sums_up
from emu.wire import icmp, ipv4, tcp
from emu.wire.ipv4 import ICMP, TCP
from tests.properties.netfilter_rules import Talk, nat_rules, talks
from tests.unit.kernel.netfilter.nat_gateway import HERE, SCTP, Flow, Gateway, Out, ip

if TYPE_CHECKING:
    from emu.wire.addresses import IpAddress

ROUTERS = {"left": ip("10.1.0.39"), "right": ip("10.2.0.39"), HERE: ip("10.1.0.1")}
ASKS = {"flags": tcp.SYN, "seq": 1, "ack": 0}
ANSWERS = {"flags": tcp.SYN | tcp.ACK, "seq": 100, "ack": 2}
GOES_ON = {"flags": tcp.ACK, "seq": 2, "ack": 101}


def data_of(flow: Flow, text: bytes) -> bytes:
    """Return what a packet of `flow` carries: a segment that begins a connection has nothing in it."""
    return b"" if flow.protocol == TCP else text


def assert_translated(found: Out, flow: Flow, text: bytes, words: dict[str, int]) -> None:
    """It is what somebody would have made who sends on `flow` himself: each octet behind the IP header."""
    assert found.wrong_checksums == []
    assert found.flow == flow
    assert found.body == flow.payload(data_of(flow, text), **words)


def errors_about(packet: bytes, src: IpAddress, length: int) -> bytes:
    """Return an ICMP error that quotes so much of `packet`."""
    body = icmp.build(icmp.UNREACHABLE, 3, packet[: max(28, length)])
    return ipv4.build(ICMP, src, Flow.of(packet).src, body)


def assert_told(found: list[Out], place: str, about: Flow) -> None:
    """What came out is an error alone, for the sender of a packet of `about`, and it quotes that packet."""
    (told,) = found
    assert told.place == place
    assert told.is_error
    assert told.header.dst == about.src
    assert Flow.of(told.quoted) == about
    assert told.wrong_checksums == []
    assert sums_up(told.quoted[:20])


def ask(gateway: Gateway, talk: Talk, ttl: int) -> Out | None:
    """Send the first packet; return what comes out, None if it does not get through."""
    flow = talk.flow
    packet = flow.packet(data_of(flow, b"question"), ttl=ttl, **ASKS)
    found = gateway.send(talk.place, packet)
    if not found:
        event("refused")
        return None
    if found[0].is_error:
        event("answered by an error")
        assert_told(found, talk.place, flow)
        return None
    (out,) = found
    event("as it was" if out.flow == flow else "translated")
    if out.place == talk.place:
        event("hairpin")
    assert_translated(out, out.flow, b"question", ASKS)
    return out


def converse(gateway: Gateway, talk: Talk, out: Out, cut: int) -> None:
    """Answer `out`, complain about it, complain about the answer, and ask again."""
    place, flow = talk.place, talk.flow
    answer = out.flow.reply.packet(data_of(flow, b"the answer"), **ANSWERS)
    (back,) = gateway.send(out.place, answer)
    assert back.place == place
    assert_translated(back, flow.reply, b"the answer", ANSWERS)
    complaint = errors_about(out.packet, ROUTERS[out.place], cut)
    assert_told(gateway.send(out.place, complaint), place, flow)
    complaint = errors_about(back.packet, ROUTERS[place], cut)
    assert_told(gateway.send(place, complaint), out.place, out.flow.reply)
    if flow.protocol != SCTP:
        (again,) = gateway.send(place, flow.packet(data_of(flow, b"more of it"), **GOES_ON))
        assert again.place == out.place
        assert_translated(again, out.flow, b"more of it", GOES_ON)


def assert_tuples_are_unique(gateway: Gateway) -> None:
    """No tuple is that of two live connections, or of both directions of one that differ."""
    seen: dict[object, int] = {}
    for connection in gateway.connections():
        for zone, tuple_ in zip(connection.zones, connection.tuples, strict=True):
            owner = seen.setdefault((zone, tuple_), connection.number)
            assert owner == connection.number


@given(
    nat_rules(),
    st.lists(st.tuples(talks(), st.sampled_from((64, 64, 64, 64, 64, 1))), min_size=1, max_size=5),
    st.integers(28, 80),
    st.integers(0, 9),
)
def test_what_comes_back_answers_what_was_asked(
    rules: tuple[str, ...], flows: list[tuple[Talk, int]], cut: int, seed: int
) -> None:
    """Whatever the rules: answers and ICMP errors of both directions are translated back, checksums right.

    Caught, planted: answers that get the wrong end; quoted packets that are not
    translated, or not their identifier; tuples chosen though others have them.
    """
    gateway = Gateway(*rules, seed=seed)
    begun = [(talk, ask(gateway, talk, ttl)) for talk, ttl in flows]
    for talk, out in begun:
        if out is not None:
            converse(gateway, talk, out, cut)
    assert_tuples_are_unique(gateway)
