# SPDX-License-Identifier: GPL-2.0-only
"""`-m ipvs`: what rules behind IPVS know of a packet."""

from __future__ import annotations

import pytest

from emu.errors import CommandError
from emu.kernel.netfilter.matches.ipvs import Balanced as Match
from emu.tools.iptables import command, lines
from emu.tools.iptables.text import rule_text
from tests.unit.kernel.netfilter.ipvs.balanced import TRACKING, Balanced
from tests.unit.kernel.netfilter.nat_gateway import HERE, Flow, ip


def gateway(words: str) -> Balanced:
    """Return a gateway that drops in OUTPUT what `-m ipvs` with these words holds for."""
    rules = ("*filter", f"-A OUTPUT -m ipvs {words} -j DROP", "COMMIT", *TRACKING)
    return Balanced("rr", "10.2.0.2", rules=rules)


@pytest.mark.parametrize(
    ("words", "is_dropped"),
    [
        ("--ipvs", True),
        ("! --ipvs", False),
        ("--vaddr 10.96.0.1", True),
        ("--vaddr 10.96.0.0/24 --vproto tcp --vport 80", True),
        ("! --vaddr 10.96.0.1", False),
        ("--vport 81", False),
        ("--vproto udp", False),
        ("--vmethod MASQ", True),
        ("--vmethod GATE", False),
        ("--vportctl 21", False),
        ("--vdir ORIGINAL", True),
        ("--vdir REPLY", False),
    ],
)
def test_a_packet_on_its_way_to_a_destination_is_known_by_its_service(words: str, is_dropped: bool) -> None:  # noqa: FBT001 - a table
    """It has the destination's address by then, and is asked for the service's."""
    balanced = gateway(words)
    assert (balanced.send("left", balanced.client(1000).packet()) == []) is is_dropped


def test_a_packet_that_is_not_balanced_has_no_service() -> None:
    """Nothing holds for it but that it is not one."""
    balanced = gateway("--vaddr 10.96.0.1")
    assert balanced.send(HERE, Flow(6, ip("10.1.0.1"), ip("10.1.0.2"), 1, 80).packet())


@pytest.mark.parametrize(
    "words",
    [
        "--ipvs",
        "! --ipvs",
        "--vproto 6 --vaddr 10.96.0.1 --vport 80",
        "! --vproto 17 ! --vaddr 10.96.0.0/24 --vdir REPLY ! --vmethod IPIP ! --vportctl 21",
    ],
)
def test_the_match_is_saved_as_it_was_written(words: str) -> None:
    """In the order of the tool."""
    (rule,) = command.parse(lines.split(f"-A OUTPUT -m ipvs {words} -j DROP")).rules
    (match,) = rule.matches
    assert isinstance(match, Match)
    assert rule_text("OUTPUT", rule) == f"-A OUTPUT -m ipvs {words} -j DROP"


@pytest.mark.parametrize("words", ["", "--vproto 256", "--vaddr x", "--vdir UP", "--vmethod X", "--vport x"])
def test_words_that_make_no_sense_are_refused(words: str) -> None:
    """As the tool does."""
    with pytest.raises(CommandError):
        command.parse(lines.split(f"-A OUTPUT -m ipvs {words} -j DROP"))
