# SPDX-License-Identifier: GPL-2.0-only
"""Any value of a match or a target is read again as what was printed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.netfilter.matches.ip import Protocol
from emu.kernel.netfilter.ruleset import Action, Match, Rule
from emu.tools.iptables import command, lines, text
from tests.unit.tools.iptables.extensions.drawn import MATCHES, TARGETS, Place


def read_again(rule: Rule) -> Rule:
    """Return the rule that the text of `rule` makes."""
    (found,) = command.parse(lines.split(text.rule_text("INPUT", rule))).rules
    return found


def beside(place: Place) -> tuple[Match, ...]:
    """Return what else a rule at `place` asks for."""
    return (Protocol(place.protocol),) if place.protocol else ()


@pytest.mark.parametrize(("place", "values"), MATCHES)
@given(data=st.data())
def test_a_match_is_read_as_it_was_printed(
    data: st.DataObject, place: Place, values: st.SearchStrategy[Match]
) -> None:
    """Value for value."""
    rule = Rule((*beside(place), data.draw(values)))
    assert read_again(rule) == rule


@pytest.mark.parametrize(("place", "values"), TARGETS)
@given(data=st.data())
def test_a_target_is_read_as_it_was_printed(
    data: st.DataObject, place: Place, values: st.SearchStrategy[Action]
) -> None:
    """Value for value."""
    rule = Rule(beside(place), data.draw(values))
    assert read_again(rule) == rule
