# SPDX-License-Identifier: GPL-2.0-only
"""The texts of matches and targets, compared with those of the real tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import pytest

from emu.errors import CommandError
from emu.kernel.netfilter.matches.ip import Protocol
from emu.kernel.netfilter.ruleset import Table, UnknownMatch, UnknownTarget, empty
from emu.tools.iptables import check, command, lines, text
from emu.tools.iptables.extensions import MATCHES, TARGETS, find_match, find_target, of_type
from tests.unit.tools.iptables.extensions.recorded import RECORDED, Recorded

if TYPE_CHECKING:
    from emu.kernel.netfilter.ruleset import Rule

UNMODELLED: Final = ("--left-shift-mark", "--hashlimit-rate-match")
TAKEN: Final = [
    rule for rule in RECORDED if rule.saved and not any(word in rule.words for word in UNMODELLED)
]
LISTED: Final = [rule for rule in TAKEN if "255/255" not in rule.words]
"""Without a spelling of any ICMP type that iptables keeps apart here, and only here."""

WRONG: Final = [rule for rule in RECORDED if rule.error]
REFUSED: Final = [rule for rule in RECORDED if rule.refused and "nfacct" not in rule.words]
"""Without the rule that asks for an accounting object: those are not kept, so any is there."""


def read(words: str) -> Rule:
    """Return the rule that `words` make."""
    (rule,) = command.parse(["-A", "INPUT", *lines.split(words)]).rules
    return rule


@pytest.mark.parametrize("recorded", TAKEN, ids=str)
def test_a_rule_is_printed_as_iptables_save_prints_it(recorded: Recorded) -> None:
    """Whatever the spelling it was written in."""
    assert text.rule_text(recorded.chain, read(recorded.words)) == recorded.saved


@pytest.mark.parametrize("recorded", TAKEN, ids=str)
def test_what_is_printed_is_read_as_the_same_rule(recorded: Recorded) -> None:
    """The text that iptables-save prints, and ours, stand for the value they were made of."""
    rule = read(recorded.words)
    _, _, printed = text.rule_text("INPUT", rule).split(" ", 2)
    assert read(printed) == rule


@pytest.mark.parametrize("recorded", LISTED, ids=str)
def test_a_rule_is_listed_as_iptables_lists_it(recorded: Recorded) -> None:
    """The last column of `iptables -nL`, but for its spaces."""
    rule = read(recorded.words)
    words: list[str] = []
    for value in (*rule.matches, rule.target):
        if value is not None and not isinstance(value, Protocol):
            words += of_type(type(value)).describe(value).split()
    assert " ".join(words) == recorded.listed


@pytest.mark.parametrize("recorded", WRONG, ids=str)
def test_wrong_options_are_complained_about_as_iptables_does(recorded: Recorded) -> None:
    """Word by word."""
    with pytest.raises(CommandError) as caught:
        read(recorded.words)
    assert str(caught.value).rstrip("\n") == recorded.error


@pytest.mark.parametrize("recorded", REFUSED, ids=str)
def test_what_the_kernel_refuses_is_refused(recorded: Recorded) -> None:
    """The rule can be read, and is not possible where it is put."""
    table = empty(recorded.table)
    chains = [
        attrs.evolve(chain, rules=(read(recorded.words),)) if chain.name == recorded.chain else chain
        for chain in table.chains
    ]
    assert list(check.problems(Table(recorded.table, tuple(chains))))


@pytest.mark.parametrize("recorded", TAKEN, ids=str)
def test_what_the_kernel_takes_is_taken(recorded: Recorded) -> None:
    """Nothing is found wrong with it."""
    table = empty(recorded.table)
    chains = [
        attrs.evolve(chain, rules=(read(recorded.words),)) if chain.name == recorded.chain else chain
        for chain in table.chains
    ]
    assert not list(check.problems(Table(recorded.table, tuple(chains))))


@pytest.mark.parametrize("name", MATCHES)
def test_each_match_is_found_by_its_name_and_by_the_type_of_its_values(name: str) -> None:
    """The tables lead to modules that have what they say."""
    extension = find_match(name)
    assert extension is not None
    assert of_type(extension.type) is extension


@pytest.mark.parametrize("name", TARGETS)
def test_each_target_is_found_by_its_name_and_by_the_type_of_its_values(name: str) -> None:
    """The tables lead to modules that have what they say."""
    extension = find_target(name)
    assert extension is not None
    assert of_type(extension.type) is extension


def test_what_is_not_modelled_is_read_and_printed_as_it_was_written() -> None:
    """A mark that is shifted, and a limit by rate: any verdict that depends on them is unknown."""
    shifted = read("-j CONNMARK --set-mark 1 --left-shift-mark 4")
    assert isinstance(shifted.target, UnknownTarget)
    assert text.rule_text("INPUT", shifted) == "-A INPUT -j CONNMARK --set-mark 1 --left-shift-mark 4"
    rated = read("-m hashlimit --hashlimit-upto 7/sec --hashlimit-name q --hashlimit-rate-match")
    assert [type(match) for match in rated.matches] == [UnknownMatch]
