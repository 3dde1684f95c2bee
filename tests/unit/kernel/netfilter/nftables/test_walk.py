# SPDX-License-Identifier: GPL-2.0-only
"""Packets on their way through chains: verdicts, jumps, priorities, what is unknown."""

from __future__ import annotations

import pytest

from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.nftables.compile import program_of
from emu.kernel.netfilter.verdict import Verdict
from emu.testing.checks import wrong_checksums
from emu.wire import tcp
from tests.unit.kernel.netfilter.nftables.rules import chain, listing, tables, verdict
from tests.unit.kernel.netfilter.packets import at, connect, datagram, echo, fragment, segment, short

_ACCEPT, _DROP = Verdict.ACCEPT, Verdict.DROP
_ETHERNET = bytes(12) + b"\x08\0"


@pytest.mark.parametrize("policy", ["accept", "drop"])
def test_the_policy_decides_where_no_rule_does(policy: str) -> None:
    """A packet at the end of a base chain gets the policy."""
    assert verdict(chain("udp dport 1 accept", policy=policy), at(segment())) is Verdict[policy.upper()]


def test_accept_ends_one_base_chain_and_drop_ends_all() -> None:
    """A later chain at the hook sees what an earlier one accepted, and may drop it."""
    nft = tables(
        "table ip t {\nchain a {\ntype filter hook forward priority 0;\naccept\n}\n"
        "chain b {\ntype filter hook forward priority 1;\ntcp dport 80 drop\n}\n}\n"
    )
    assert verdict(nft, at(segment())) is _DROP
    assert verdict(nft, at(datagram())) is _ACCEPT


def test_the_least_priority_comes_first_and_of_equals_the_newest() -> None:
    """As Linux enters hooks: before those that have the same priority."""
    bases = [
        f"chain {name} {{\ntype filter hook forward priority {number};\n}}\n"
        for name, number in zip("abc", (5, 0, 5), strict=True)
    ]
    functions = tables(f"table ip t {{\n{''.join(bases)}}}\n").hook_functions(Hook.FORWARD)
    assert [(priority, one.chain.value.name) for priority, one in functions] == [(0, "b"), (5, "c"), (5, "a")]


def test_chains_of_type_nat_are_apart() -> None:
    """They are for the first packet of a connection alone."""
    nft = chain("accept", kind="nat", hook="prerouting")
    assert not nft.hook_functions(Hook.PREROUTING)
    ((_, function),) = nft.nat_functions(Hook.PREROUTING)
    assert function.kind == "nat"


def test_a_dormant_table_is_not_walked() -> None:
    """Its chains are at no hook."""
    nft = tables("table ip t {\nflags dormant\nchain a {\ntype filter hook forward priority 0;\ndrop\n}\n}\n")
    assert not nft.hook_functions(Hook.FORWARD)


def test_jump_comes_back_and_goto_does_not() -> None:
    """Behind a jump the chain goes on; what a goto led to ends where its caller would have."""
    beside = "chain one {\ncounter\n}\nchain two {\ncounter\nreturn\n}\n"
    assert verdict(chain("jump one", "jump two", "accept", beside=beside), at(segment())) is _ACCEPT
    assert verdict(chain("goto one", "accept", beside=beside), at(segment())) is _DROP
    beside = "chain one {\n}\nchain two {\ngoto one\naccept\n}\n"
    nft = chain("jump two", "tcp dport 80 accept", beside=beside)
    assert verdict(nft, at(segment())) is _ACCEPT
    assert verdict(nft, at(segment(dport=81))) is _DROP


def test_return_in_a_base_chain_is_its_policy() -> None:
    """There is nowhere to return to."""
    assert verdict(chain("return", "accept"), at(segment())) is _DROP


def test_a_verdict_map_decides_by_one_look() -> None:
    """A key that is not there ends the rule, `continue` goes on in it."""
    beside = (
        "map m {\ntype ipv4_addr . inet_proto . inet_service : verdict\n"
        "elements = { 10.1.0.2 . tcp . 80 : accept, 10.1.0.2 . udp . 53 : goto other,\n"
        "10.1.0.2 . tcp . 81 : continue }\n}\n"
        "chain other {\naccept\n}\n"
    )
    nft = chain("ip daddr . meta l4proto . th dport vmap @m", "tcp dport 81 counter accept", beside=beside)
    assert verdict(nft, at(segment())) is _ACCEPT
    assert verdict(nft, at(datagram())) is _ACCEPT
    assert verdict(nft, at(segment(dport=81))) is _ACCEPT
    assert verdict(nft, at(segment(dport=82))) is _DROP
    assert verdict(nft, at(echo())) is _DROP


def test_what_cannot_be_read_ends_the_rule_also_where_it_is_inverted() -> None:
    """`NFT_BREAK`: a packet that is too short has no port at all."""
    nft = chain("meta l4proto tcp th dport != 80 accept")
    assert verdict(nft, at(segment(dport=81))) is _ACCEPT
    assert verdict(nft, at(short(segment(dport=81), 3))) is _DROP


def test_in_later_fragments_linux_reads_words_all_the_same() -> None:
    """Linux 6.18 looks for fragments only where it cannot read one aligned word (`nft_payload_fast_eval`)."""
    assert verdict(chain("tcp dport 80 accept"), at(fragment(segment()))) is _ACCEPT
    assert verdict(chain("@th,0,64 != 0 accept"), at(fragment(segment()))) is _DROP
    assert verdict(chain("udp length 13 udp dport 53 accept"), at(fragment(datagram()))) is _DROP


def test_two_neighbouring_fields_that_differ_are_compared_as_one() -> None:
    """A peculiarity of nft 1.0.6: one of them has to differ, not both."""
    nft = chain("tcp sport != 1000 tcp dport != 80 accept")
    assert verdict(nft, at(segment(dport=81))) is _ACCEPT
    assert verdict(nft, at(segment())) is _DROP


@pytest.mark.parametrize(
    ("flags", "rule"),
    [
        (tcp.SYN, "tcp flags syn"),
        (tcp.SYN | tcp.ACK, "tcp flags syn,rst"),
        (tcp.ACK, "tcp flags ! syn"),
        (tcp.SYN, "tcp flags == syn"),
        (tcp.SYN, "tcp flags & (fin | syn | rst | ack) == syn"),
        (tcp.SYN | tcp.ACK, "tcp flags != syn / fin,syn,rst,ack"),
    ],
)
def test_flags_without_an_operator_mean_any_of_them(flags: int, rule: str) -> None:
    """Each of these holds for the flags beside it."""
    assert verdict(chain(f"{rule} accept"), at(segment(flags=flags))) is _ACCEPT


def test_something_unknown_makes_the_verdict_unknown_if_it_is_reached() -> None:
    """It is never passed over; packets that do not come to it are not concerned."""
    nft = chain("udp dport 53 queue", "accept")
    assert verdict(nft, at(segment())) is _ACCEPT
    packet = at(datagram())
    assert verdict(nft, packet) is Verdict.UNKNOWN
    assert packet.because == "nft: queue is not modelled in node ip t/base rule 1"
    assert nft.unmodelled() == ["table ip t chain base rule 1: queue"]


def test_a_verdict_says_which_rule_gave_it() -> None:
    """With the table, the chain and the number of the rule."""
    packet = at(segment())
    verdict(chain("jump one", beside="chain one {\nudp dport 1\ntcp dport 80 drop\n}\n"), packet)
    assert str(packet.because) == "node ip t/one rule 2"


def test_rules_of_ip6_are_for_no_ipv4_packet() -> None:
    """In a table of family inet they end at what makes sure of the family."""
    nft = tables(
        "table inet t {\nchain c {\ntype filter hook forward priority 0;\n"
        "ip6 saddr ::/0 drop\nicmpv6 type echo-request drop\nmeta nfproto ipv6 drop\n}\n}\n"
    )
    assert verdict(nft, at(echo())) is _ACCEPT


def test_equal_rules_are_compiled_once() -> None:
    """Two namespaces with the same rules share what was made of them."""
    one, other = chain("tcp dport 80 accept"), chain("tcp dport 80 accept", beside="chain other {\n}")
    rules = [nft.tables["ip", "t"].chains["base"].rules[0].value for nft in (one, other)]
    assert rules[0] is not rules[1]
    assert program_of(rules[0]) is program_of(rules[1])


@pytest.mark.parametrize(
    ("rule", "needs"),
    [
        ("ct state new", True),
        ("ct mark set 1", True),
        ("meta mark set ct mark", True),
        ("ip saddr . ct state { 1.1.1.1 . new }", True),
        ("notrack", False),
        ("tcp dport 80 accept", False),
    ],
)
def test_connection_tracking_is_needed_by_who_asks_for_connections(rule: str, *, needs: bool) -> None:
    """As expressions take a reference when they are loaded."""
    assert chain(rule, hook="prerouting").needs_conntrack is needs


def test_nat_needs_connection_tracking() -> None:
    """Also masquerading and redirection."""
    for rule, hook in (
        ("dnat to 1.1.1.1", "prerouting"),
        ("masquerade", "postrouting"),
        ("redirect", "output"),
    ):
        assert chain(rule, kind="nat", hook=hook).needs_conntrack


def test_counters_count_packets_and_octets() -> None:
    """Of IP packets, from the IP header on."""
    nft = chain("tcp dport 80 counter", 'counter name "all80"', beside="counter all80 {\n}\n")
    packet = at(segment())
    verdict(nft, packet)
    verdict(nft, at(datagram()))
    assert "tcp dport 80 counter packets 1 bytes 40" in listing(nft, packet)
    assert "packets 2 bytes 73" in listing(nft, packet)


def test_marks_are_set_and_kept() -> None:
    """Of packets and of connections."""
    packet = at(segment())
    connection = connect(packet)
    rules = (
        "meta mark set 0x4001",
        "meta mark set meta mark and 0xff00 or 0x3",
        "ct mark set meta mark xor 0x1",
    )
    verdict(chain(*rules), packet)
    assert (packet.skb.mark, connection.mark) == (0x4003, 0x4002)


@pytest.mark.parametrize(
    "rule",
    [
        "ip ttl set 9",
        "ip dscp set ef",
        "ip saddr set 9.9.9.9",
        "tcp dport set 99",
        "tcp option maxseg size set 500",
    ],
)
def test_rewriting_keeps_checksums_right(rule: str) -> None:
    """Of the header that is changed, and of the one above that counts it in."""
    packet = at(segment(options=b"\1\1\1\2\4\5\xb4\1"))
    before = packet.skb.packet
    verdict(chain(rule), packet)
    assert packet.skb.packet != before
    assert not wrong_checksums(_ETHERNET + packet.skb.packet)


def test_a_larger_segment_is_never_announced() -> None:
    """`tcp option maxseg size set` only lowers."""
    packet = at(segment(options=b"\2\4\1\xf4"))
    before = packet.skb.packet
    verdict(chain("tcp option maxseg size set 1400"), packet)
    assert packet.skb.packet == before
