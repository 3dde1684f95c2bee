# SPDX-License-Identifier: GPL-2.0-only
"""Rules that mean harm: loops, endless files, nonsense; all are refused as Linux refuses them, or walked."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.cluster.network.rules_iptables import load
from emu.errors import RulesError
from emu.wire.ipv4 import TCP
from tests.unit.kernel.netfilter.nat_gateway import Flow, Gateway, ip

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FLOW = Flow(TCP, ip("10.1.0.2"), ip("10.2.0.2"), 1000, 80)
MANY = 100_000
DEEPEST = 15
"""So many chains may follow each other from a built-in one on, in nf_tables."""


def table(*rules: str, chains: Iterable[str] = ()) -> str:
    """Return a table filter."""
    return "\n".join(["*filter", *(f":{name} - [0:0]" for name in chains), *rules, "COMMIT", ""])


def row(length: int, times: int = 1) -> str:
    """Return chains of which each leads to the next, so many times."""
    names = [f"C{number}" for number in range(length)]
    jumps = [f"-A {one} -j {other}" for one, other in pairwise(names)]
    return table("-A FORWARD -j C0", *(jump for jump in jumps for _ in range(times)), chains=names)


LOOPS = {
    "jumps": ("-A FORWARD -j A", "-A A -j B", "-A B -j A"),
    "gotos": ("-A FORWARD -j A", "-A A -g B", "-A B -g A"),
    "itself": ("-A A -j A", "-A FORWARD -j A"),
    "closed later": ("-A A -j B", "-A B -j A", "-A FORWARD -j B"),
}


@pytest.mark.parametrize("rules", LOOPS.values(), ids=LOOPS)
def test_a_loop_that_packets_could_enter_is_refused(rules: Sequence[str]) -> None:
    """Linux says ELOOP, too many links, and the table stays as it was."""
    gateway = Gateway()
    with pytest.raises(RulesError, match="Too many links"):
        load(gateway.net, table(*rules, chains=("A", "B")))
    assert len(gateway.send("left", FLOW.packet())) == 1


def test_a_loop_that_nothing_leads_to_is_taken() -> None:
    """As Linux takes it: no packet ever gets there."""
    gateway = Gateway()
    load(gateway.net, table("-A A -j B", "-A B -j A", chains=("A", "B")))
    assert len(gateway.send("left", FLOW.packet())) == 1


def test_chains_may_follow_each_other_fifteen_deep() -> None:
    """One more is refused, a thousand more as well."""
    load(Gateway().net, row(DEEPEST))
    for length in (DEEPEST + 1, 1000):
        with pytest.raises(RulesError, match="Too many links"):
            load(Gateway().net, row(length))


def test_a_packet_may_be_led_the_same_way_again_and_again() -> None:
    """Twice from each of ten chains: the last rule is met a thousand times, and the packet gets through."""
    gateway = Gateway()
    load(gateway.net, row(11, times=2))
    assert len(gateway.send("left", FLOW.packet())) == 1
    assert gateway.net.netfilter.tables["filter"].counts("C9").packets == [512, 512]


def test_a_hundred_thousand_rules_are_loaded_and_walked() -> None:
    """And the last of them still decides."""
    gateway = Gateway()
    rules = [
        f"-A FORWARD -d 10.2.1.0/32 -p tcp -m tcp --dport {number % 1024} -j DROP" for number in range(MANY)
    ]
    load(gateway.net, table(*rules, "-A FORWARD -d 10.2.0.0/16 -j DROP"))
    assert gateway.send("left", FLOW.packet()) == []
    assert gateway.drops[-1].detail == f"gw filter/FORWARD rule {MANY + 1}"


@pytest.mark.parametrize(
    "text",
    [
        "*filter\n" * MANY,
        "COMMIT\n" * MANY,
        ":X - [0:0]\n" * MANY,
        table("-A FORWARD -m comment --comment " + "x" * 1_000_000),
        table("-A FORWARD " + "-m comment --comment x " * 10_000),
        table(*[f"-A FORWARD -j NO-{number}" for number in range(MANY // 10)]),
        table(*["-A FORWARD -s 1.2.3.4/33 -p 999"] * (MANY // 10)),
        "\0\x01*filter\n",
    ],
    ids=[
        "tables",
        "commits",
        "chains",
        "a long word",
        "a long line",
        "jumps to nowhere",
        "wrong words",
        "nonsense",
    ],
)
def test_files_of_nonsense_are_refused(text: str) -> None:
    """With complaints that can be read."""
    with pytest.raises(RulesError) as caught:
        load(None, text)
    assert str(caught.value)


TEXT: Final = """\
*filter *nat COMMIT :A - ACCEPT [0:0] -A -I FORWARD A -j -g DROP RETURN -p tcp -m --dport 80 ! -s 10.0.0.1 # "
-f -i eth+ DNAT --to-destination statistic --mode random --probability 0.5 mark --mark 0x1/0x1
"""
WORDS = st.sampled_from(TEXT.split())


@given(st.lists(st.lists(WORDS | st.text(max_size=5), max_size=10).map(" ".join), max_size=12).map("\n".join))
def test_any_text_is_loaded_or_refused(text: str) -> None:
    """By a complaint, never by anything else."""
    gateway = Gateway()
    with suppress(RulesError):
        load(gateway.net, text)
    gateway.send("left", FLOW.packet())
