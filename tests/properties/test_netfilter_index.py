# SPDX-License-Identifier: GPL-2.0-only
"""A chain whose runs of rules are looked up behaves as one that is walked rule by rule."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from hypothesis import event, given
from hypothesis import strategies as st

from emu.kernel.link.dummy import Dummy
from emu.kernel.namespace import Namespace
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.matches.comment import Comment
from emu.kernel.netfilter.matches.ip import Destination, InInterface, OutInterface, Protocol, Source
from emu.kernel.netfilter.matches.limit import Limit
from emu.kernel.netfilter.matches.ports import PortRange
from emu.kernel.netfilter.matches.statistic import CERTAIN, Nth, Random
from emu.kernel.netfilter.matches.tcp import Tcp, TcpFlags, TcpOption
from emu.kernel.netfilter.matches.udp import Udp
from emu.kernel.netfilter.packet import Packet
from emu.kernel.netfilter.program import program_of
from emu.kernel.netfilter.ruleset import (
    ACCEPT,
    DROP,
    RETURN,
    Chain,
    Decide,
    Goto,
    Jump,
    Return,
    Rule,
    Table,
    UnknownMatch,
    UnknownTarget,
)
from emu.kernel.netfilter.targets.mark import SetMark
from emu.kernel.netfilter.verdict import Verdict
from emu.kernel.netfilter.xtables import Count, XTable
from emu.kernel.skb import Skb
from emu.sim.choice import DrawnChoice
from emu.sim.time import MILLISECOND, Instant
from emu.testing.lab import mac
from emu.wire import ipv4, tcp, udp
from emu.wire.addresses import IpAddress
from emu.wire.ipv4 import TCP, UDP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kernel.netfilter.ruleset import Match, Target

Matches: TypeAlias = "Sequence[Match]"

HOSTS = [IpAddress(bytes((10, 0, 0, number))) for number in (1, 2, 3)]
HOST = b"\xff" * 4
DEVICES = ["eth0", "eth1"]
PORTS = (80, 81, 443)
SCTP = 132


# --- rules ---
#
# An octet chooses each part of a rule from a list: chains are long, and drawing
# each part on its own takes Hypothesis a second.


def masked(kind: type[Source | Destination], address: bytes, mask: bytes, *, inverted: bool) -> Match:
    """Return a match of an address under a mask."""
    return kind(bytes(a & m for a, m in zip(address, mask, strict=True)), mask, inverted)


def of_addresses(kind: type[Source | Destination]) -> tuple[Matches, Matches]:
    """Return what a rule may ask of an address: that it is one, and other things."""
    return [masked(kind, host, HOST, inverted=False) for host in HOSTS], [
        masked(kind, HOSTS[0], HOST, inverted=True),
        masked(kind, HOSTS[1], b"\xff\xff\xff\0", inverted=False),
        masked(kind, HOSTS[2], b"\xff\xff\xff\1", inverted=False),
    ]


def of_devices(kind: type[InInterface | OutInterface]) -> tuple[Matches, Matches]:
    """Return what a rule may ask of a device."""
    return [kind(name) for name in DEVICES], [kind("eth+"), kind("eth0", inverted=True)]


ONE: Final = [PortRange(port, port) for port in PORTS]
RANGES: Final = [PortRange(80, 81), PortRange(80, 80, inverted=True), None]
UDPS: Final[tuple[Matches, Matches]] = (
    [Udp(None, port) for port in ONE],
    [Udp(port, port) for port in (*ONE, *RANGES)],
)
TCPS: Final[tuple[Matches, Matches]] = (
    [Tcp(None, port) for port in ONE],
    [
        *[Tcp(port) for port in (*ONE, *RANGES)],
        *[Tcp(flags=TcpFlags(0x17, flags), destination=PortRange(80, 80)) for flags in (2, 16)],
        *[Tcp(option=TcpOption(kind, inverted)) for kind in (2, 5) for inverted in (False, True)],
    ],
)
WITH_MEMORY: Final[Matches] = [
    Nth(2),
    Nth(3, inverted=True),
    Limit(1000, 2),
    Limit(3000, 1),
    Random(CERTAIN // 2),
    Random(CERTAIN // 3),
    Comment("why"),
    UnknownMatch("u32", ("--u32", "0&0xF=1")),
]
DECIDING: Final[Sequence[Target]] = [
    Jump("SUB"),
    Goto("SUB"),
    RETURN,
    ACCEPT,
    DROP,
    SetMark(1),
    SetMark(2),
    UnknownTarget("TEE", ("--gateway", "10.0.0.1")),
]
TARGETS: Final[Sequence[Target | None]] = [*[None] * 13, *DECIDING]
KINDS: Final[dict[str, tuple[Matches, Matches]]] = {
    "src": of_addresses(Source),
    "dst": of_addresses(Destination),
    "in": of_devices(InInterface),
    "out": of_devices(OutInterface),
}


@st.composite
def runs(draw: st.DrawFn) -> list[Rule]:
    """Draw rules that ask the same kinds of things; often a port alone, as those of many services do."""
    if draw(st.integers(0, 3)) == 0:
        octets = draw(st.binary(min_size=8, max_size=20))
        plain = TCPS[0]
        return [
            Rule((Protocol(TCP), plain[octet % len(plain)]), TARGETS[octet // 4 % len(TARGETS)])
            for octet in octets
        ]
    asked = [KINDS[name] for name in draw(st.lists(st.sampled_from(sorted(KINDS)), max_size=1, unique=True))]
    protocol = draw(st.sampled_from((0, TCP, TCP, UDP, SCTP)))
    asked += [([Protocol(protocol)], [])] if protocol else []
    if protocol in {TCP, UDP}:
        asked += [TCPS if protocol == TCP else UDPS] * draw(st.integers(0, 2))
    is_plain = st.sampled_from((True, True, True, False))
    kinds = [plain if draw(is_plain) else (*plain, *plain, *others) for plain, others in asked]
    if draw(st.integers(0, 3)) == 0:
        kinds.insert(draw(st.integers(0, len(kinds))), WITH_MEMORY)
    each = len(kinds) + 1
    octets = draw(st.binary(min_size=draw(st.sampled_from((0, 10))) * each, max_size=20 * each))
    return [
        Rule(
            tuple([kind[octets[at + place] % len(kind)] for place, kind in enumerate(kinds)]),
            TARGETS[octets[at + each - 1] % len(TARGETS)],
        )
        for at in range(0, len(octets) - each + 1, each)
    ]


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Draw a table with one built-in chain and one of a user's."""
    base, sub = (tuple(rule for run in draw(st.lists(runs(), max_size=3)) for rule in run) for _ in range(2))
    inner = tuple(rule for rule in sub if not isinstance(rule.target, (Jump, Goto)))
    policy = draw(st.sampled_from((Verdict.ACCEPT, Verdict.DROP)))
    return Table("filter", (Chain("FORWARD", base, policy), Chain("SUB", inner)))


# --- packets ---


class Passing(NamedTuple):
    """A packet, between which devices it goes, and how long after the last one it comes."""

    octets: bytes
    iif: str
    oif: str
    after: int


@st.composite
def passing(draw: st.DrawFn) -> Passing:
    """Draw packets of few kinds, some of them fragments, some cut short behind the IP header."""
    src, dst = draw(st.sampled_from(HOSTS)), draw(st.sampled_from(HOSTS))
    ports = st.sampled_from((80, 443, 999, 999))
    sport, dport = draw(ports), draw(ports)
    protocol = draw(st.sampled_from((TCP, TCP, UDP, SCTP, 47)))
    flags = draw(st.sampled_from((2, 16, 18)))
    body = tcp.build(src, dst, sport, dport, seq=1, ack=1, flags=flags, window=1, options=b"\2\4\5\0")
    if protocol != TCP:
        body = udp.build(src, dst, sport, dport, bytes(8))
    if protocol == TCP and draw(st.integers(0, 5)) == 0:
        body = body[:12] + draw(st.sampled_from((b"\x10", b"\xf0"))) + body[13:]
    body = body[: draw(st.sampled_from((100, 100, 12, 6)) | st.integers(0, 24))]
    fragment = draw(st.sampled_from((0, 0, 0, 0, ipv4.MF, 1, 20)))
    octets = ipv4.build(
        protocol, src, dst, body, fragment=fragment, options=draw(st.sampled_from((b"", b"\1" * 4)))
    )
    iif, oif = draw(st.sampled_from(("", *DEVICES))), draw(st.sampled_from(("", *DEVICES)))
    return Passing(octets, iif, oif, draw(st.integers(0, 200)))


# --- two ways of walking ---


class Seen(NamedTuple):
    """What a walk came to: the verdict, why, the mark."""

    verdict: Verdict
    because: str
    mark: int


class SlowTable:
    """A table that is walked rule by rule, and does nothing else."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.memories: dict[tuple[str, int], dict[Any, Any]] = {}
        self.counts = {chain.name: [[0, 0] for _ in (*chain.rules, None)] for chain in table.chains}

    def run(self, packet: Packet) -> Verdict:
        """Walk `packet` through the built-in chain."""
        packet.memories = self.memories
        base = self.table.chains[0]
        verdict = self._walk(packet, base)
        if verdict is None:
            self._count(base.name, len(base.rules), packet)
            verdict = base.policy
            packet.because = "gw filter/FORWARD policy" if verdict is Verdict.DROP else ""
        assert verdict is not None
        return verdict

    def _count(self, chain: str, number: int, packet: Packet) -> None:
        self.counts[chain][number][0] += 1
        self.counts[chain][number][1] += len(packet.skb.packet)

    def _walk(self, packet: Packet, chain: Chain) -> Verdict | None:
        """Return what `chain` decides, None if it comes to its end."""
        for number, rule in enumerate(chain.rules):
            packet.chain, packet.rule = chain.name, number
            here = f"gw filter/{chain.name} rule {number + 1}"
            unknown = [match.name for match in rule.matches if isinstance(match, UnknownMatch)]
            if not all(match.holds(packet) for match in rule.matches if not isinstance(match, UnknownMatch)):
                if packet.hotdrop:
                    packet.because = f"a header is cut short: {here}"
                    return Verdict.DROP
                continue
            self._count(chain.name, number, packet)
            if unknown:
                packet.because = f"match {', '.join(unknown)} in {here}"
                return Verdict.UNKNOWN
            match rule.target:
                case Decide(verdict):
                    packet.because = here if verdict is Verdict.DROP else ""
                    return verdict
                case UnknownTarget(name):
                    packet.because = f"target {name} in {here}"
                    return Verdict.UNKNOWN
                case Return():
                    return None
                case Jump(name):
                    found = self._walk(packet, self.table.by_name[name])
                    if found is not None:
                        return found
                case Goto(name):
                    return self._walk(packet, self.table.by_name[name])
                case None:
                    pass
                case action:
                    action.apply(packet)
        return None


class Walker:
    """A namespace in which packets are walked through a table."""

    def __init__(self, *, is_legacy: bool) -> None:
        self.net = Namespace("gw", random=random.Random(1), choice=DrawnChoice(random.Random(1)))
        self.net.netfilter.is_legacy = is_legacy
        for number, name in enumerate(DEVICES):
            self.net.add_device(name, Dummy(), mac(number), mtu=1500)

    def see(self, table: XTable | SlowTable, passing: Passing) -> Seen:
        """Let a packet pass, and return what the table made of it."""
        self.net.now = Instant(self.net.now + passing.after * MILLISECOND)
        skb = Skb(passing.octets, 1)
        devices = self.net.devices.get(passing.iif), self.net.devices.get(passing.oif)
        packet = Packet(self.net, skb, Hook.FORWARD, in_device=devices[0], out_device=devices[1])
        verdict = table.run(packet)
        return Seen(verdict, str(packet.because), skb.mark)


@given(tables(), st.lists(passing(), min_size=1, max_size=12), st.booleans())
def test_a_looked_up_chain_behaves_as_one_that_is_walked(
    table: Table,
    packets: list[Passing],
    is_legacy: bool,  # noqa: FBT001 - drawn
) -> None:
    """The same rules hold and count, the same is remembered and drawn, the verdict is the same.

    Caught, planted: truncated headers looked up instead of walked (no hotdrop);
    fields taken from behind a match with memory; candidates out of order.
    Caught, not planted: an option of TCP asked before a port of a second match.
    """
    fast, slow = XTable(table), SlowTable(table)
    one, other = (Walker(is_legacy=is_legacy) for _ in range(2))
    for packet in packets:
        seen = one.see(fast, packet)
        assert seen == other.see(slow, packet)
        event(seen.verdict.value)
    for chain in table.chains:
        counts = fast.counts(chain.name)
        found = [*counts.rules, counts.policy]
        assert found == [Count(*pair) for pair in slow.counts[chain.name]]
        if program_of(chain)._run_at:
            event("with a look-up")
    assert {key: value for key, value in fast.memories.items() if value} == slow.memories
