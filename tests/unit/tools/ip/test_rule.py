# SPDX-License-Identifier: GPL-2.0-only
"""Routing rules: written again as they were shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.rules import RoutingRule, RuleAction
from emu.tools.ip.options import Options
from emu.tools.ip.rule import parse_spec, render
from emu.tools.ip.words import Words
from emu.wire.addresses import IpAddress, Prefix


def prefixes() -> st.SearchStrategy[Prefix]:
    """Any prefix; one of length 0 has no bits, as the kernel does not keep them."""
    pairs = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32))
    return pairs.map(lambda pair: Prefix(IpAddress.from_int(pair[0] if pair[1] else 0), pair[1]))


@st.composite
def rules(draw: st.DrawFn) -> RoutingRule:
    """Any routing rule."""
    action = draw(st.sampled_from(RuleAction))
    looks_up = action is RuleAction.LOOKUP
    mask = draw(st.sampled_from((0, 1, 0xFFFF, 2**32 - 1)))
    return RoutingRule(
        draw(st.integers(0, 2**32 - 1)),
        action,
        table=draw(st.sampled_from((1, 253, 254, 255, 1000))) if looks_up else 0,
        src=draw(prefixes()),
        dst=draw(prefixes()),
        iif=draw(st.sampled_from(("", "lo", "eth0"))),
        oif=draw(st.sampled_from(("", "eth1"))),
        mark=draw(st.integers(0, 2**32 - 1)) if mask else 0,
        mask=mask,
        tos=draw(st.sampled_from((0, 4, 0x1C))),
        inverted=draw(st.booleans()),
        suppress_length=draw(st.integers(-1, 32)) if looks_up else -1,
    )


@given(rules())
def test_a_rule_can_be_given_as_it_is_shown(rule: RoutingRule) -> None:
    """The number in front of it is its priority."""
    devices = {"lo", "eth0", "eth1"}
    priority, _, text = render(rule, Options(), devices).text.partition(":")
    words = ["pref", priority, *text.split()]
    assert parse_spec(Words(words)).rule(7) == rule


@given(rules())
def test_a_rule_is_among_those_that_it_describes(rule: RoutingRule) -> None:
    """`ip rule list` with the words of a rule lists it."""
    text = render(rule, Options(), {"lo", "eth0", "eth1"}).text.partition(":")[2]
    assert parse_spec(Words(text.split())).selects(rule)
