# SPDX-License-Identifier: GPL-2.0-only
"""The page about Scenario documents has all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import attrs

from emu.cluster import scenario
from emu.cluster.editing import VERBS
from emu.cluster.timeline.expectation import MEASURES, OPERATORS
from emu.cluster.timeline.reader import read_traffic
from emu.cluster.timeline.traffic import KINDS, TrafficSpec
from emu.cluster.topology.spec import STEP_VERBS
from emu.document import MappingNode
from emu.document.fields import Place, Report
from emu.errors import DocumentError

PAGE: Final = (Path(__file__).parents[4] / "docs/reference/scenario-document.md").read_text()


def test_every_verb_of_a_step_is_there_and_does_something() -> None:
    """A line of a table for each."""
    assert set(STEP_VERBS) == {*scenario.VERBS, *VERBS}
    for verb in STEP_VERBS:
        assert f"`{verb} " in PAGE, verb


def test_every_key_of_traffic_is_there() -> None:
    """What the reader takes is what the page has."""
    rows = PAGE.partition("## Traffic")[2].partition("## Races")[0]
    named = [line.split("|")[1] for line in rows.splitlines() if line.startswith("| `")]
    keys = {key.strip().strip("`") for cell in named for key in cell.split(",")}
    node = MappingNode()
    for key in keys:
        node.lines.append(1)
        node[key] = None
    report = Report("page")
    faults: list[str] = []
    try:
        read_traffic(Place(node, report), "page")
        report.check()
    except DocumentError as error:
        faults = [each.message for each in error.faults]
    assert not [each for each in faults if "unknown key" in each]
    assert len(keys) == len(attrs.fields(TrafficSpec)) - 2 + 1  # file and line are none; rate is every
    assert all(f"`{kind}`" in rows for kind in KINDS)


def test_every_measure_and_operator_is_there() -> None:
    """In the grammar."""
    grammar = PAGE.partition("## Expectations of clients")[2].partition("```")[2].partition("```")[0]
    for word in (*MEASURES, *OPERATORS):
        assert f'"{word}"' in grammar, word
