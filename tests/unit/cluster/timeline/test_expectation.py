# SPDX-License-Identifier: GPL-2.0-only
"""Lines that say what a client is expected to have seen."""

from __future__ import annotations

import pytest

from emu.cluster.timeline.expectation import MEASURES, parse_traffic_expectation
from emu.cluster.timeline.windows import summary
from emu.errors import ExpectationError
from emu.sim.time import MILLISECOND, SECOND
from tests.unit.cluster.timeline.test_windows import END, attempts

FOUND = summary(attempts("....tt...r"), 10, END)


@pytest.mark.parametrize(
    "line",
    [
        "traffic/web lost 3",
        "traffic/web lost = 3",
        "traffic/web lost <= 30%",
        "traffic/web lost > 29%",
        "traffic/web sent 10",
        "traffic/web answered >= 7",
        "traffic/web resets 1",
        "traffic/web timeouts 2",
        "traffic/web refused 0",
        "traffic/web connections 10",
        "traffic/web servers 2",
        "traffic/web blackholes 2",
        "traffic/web blackhole > 1m29s",
        "traffic/web outages 1",
        "traffic/web outage = 95s",
        "traffic/web slowest < 1ms",
        "traffic/web  lost != 0",
    ],
)
def test_a_line_is_met(line: str) -> None:
    """Two timeouts, and one reset after which nothing more came."""
    assert parse_traffic_expectation(line).is_met(FOUND)


@pytest.mark.parametrize(
    ("line", "got"),
    [
        ("traffic/web lost 0", "lost 3 of 10"),
        ("traffic/web lost <= 29%", "lost 3 of 10"),
        ("traffic/web blackhole < 2s", "blackhole 90000ms"),
        ("traffic/web outage <= 1m", "outage 95000ms"),
        ("traffic/web sent 11", "sent 10"),
        ("traffic/web refused 1", "refused 0 of 10"),
        ("traffic/web blackholes 0", "blackholes 2"),
        ("traffic/web outages 0", "outages 1"),
        ("traffic/web resets 0", "resets 1"),
        ("traffic/web servers 1", "servers 2"),
        ("traffic/web connections 1", "connections 10"),
    ],
)
def test_a_line_is_not_met_and_says_what_came(line: str, got: str) -> None:
    """In the words of the line."""
    expectation = parse_traffic_expectation(line)
    assert not expectation.is_met(FOUND)
    assert expectation.got(FOUND) == got


def test_who_has_sent_nothing_meets_no_line() -> None:
    """Nothing is lost of nothing, and nothing is proved by it."""
    nothing = summary([], 0, END)
    expectation = parse_traffic_expectation("traffic/web lost 0")
    assert not expectation.is_met(nothing)
    assert expectation.got(nothing) == "nothing sent"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("traffic/web", f"lacks what is measured: {', '.join(MEASURES)}"),
        ("traffic/web losst 0", "did you mean 'lost'?"),
        ("traffic/web lost", "lacks a value"),
        ("traffic/web lost many", "'many' is no number"),
        ("traffic/web lost => 1", "'=>' compares nothing"),
        ("traffic/web blackhole 2", "'2' is no time"),
        ("traffic/web resets 5%", "'5%' is no number"),
    ],
)
def test_a_wrong_line_says_what_is_wrong(line: str, fault: str) -> None:
    """With what it might be."""
    with pytest.raises(ExpectationError) as caught:
        parse_traffic_expectation(line)
    assert fault in str(caught.value)


def test_a_time_has_minutes_seconds_and_milliseconds() -> None:
    """As in the `at` of a step."""
    assert parse_traffic_expectation("traffic/a blackhole < 1m2.5s").value == 62_500 * MILLISECOND
    assert parse_traffic_expectation("traffic/a slowest >= 5s").value == 5 * SECOND


def test_a_cause_is_counted_apart_from_others() -> None:
    """What a filter drops is no clash of connections."""
    clashed = summary(attempts("..t"), 3, END, {"CT_INSERT_FAILED": 2})
    filtered = summary(attempts("..t"), 3, END, {"NETFILTER_DROP": 2})
    for line in ("traffic/a drops CT_INSERT_FAILED", "traffic/a drops CT_INSERT_FAILED >= 1"):
        expectation = parse_traffic_expectation(line)
        assert expectation.is_met(clashed)
        assert not expectation.is_met(filtered)
        assert expectation.got(filtered) == "drops CT_INSERT_FAILED 0 (of NETFILTER_DROP 2)"
    assert parse_traffic_expectation("traffic/a drops CT_INSERT_FAILED 0").is_met(filtered)
    for wrong in ("drops", "drops CT_INSRT_FAILED", "drops CT_INSERT_FAILED x", "lost NO_SOCKET 1"):
        with pytest.raises(ExpectationError):
            parse_traffic_expectation(f"traffic/a {wrong}")
