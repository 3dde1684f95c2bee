# SPDX-License-Identifier: GPL-2.0-only
"""What Linux was recorded to track: the packets of scenarios played again, one by one."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from emu.observe.canonical.connections import connections
from emu.observe.pcap import read_pcap
from emu.sim.time import Instant
from emu.wire.ipv4 import Ipv4
from tests.unit.kernel.netfilter.conntrack.middle import Middle

_SCENARIOS: Final = Path(__file__).parents[4] / "golden" / "scenarios"
_IPV4: Final = b"\x08\x00"


def replay(scenario: str) -> tuple[Middle, Counter[str]]:
    """Return a node that has seen what pod1 sent and got, and what the packets were."""
    middle, seen = Middle(), Counter[str]()
    began: int | None = None
    with (_SCENARIOS / scenario / "golden" / "pcap" / "pod1.eth0.pcap").open("rb") as stream:
        for captured in read_pcap(stream):
            began = captured.time_ns if began is None else began
            if captured.octets[12:14] == _IPV4:
                middle.now = Instant(captured.time_ns - began)
                octets = captured.octets[14:]
                seen[middle.see(octets[: Ipv4.parse(octets).total_length])] += 1
    return middle, seen


@pytest.mark.parametrize(
    ("scenario", "counts"),
    [
        ("conntrack-tcp-states", {"NEW": 5, "ESTABLISHED": 24}),
        ("conntrack-udp-timeouts", {"NEW": 3, "ESTABLISHED": 6}),
        ("conntrack-invalid", {"NEW": 2, "ESTABLISHED": 2, "INVALID": 9}),
    ],
)
def test_the_recorded_table_comes_out(scenario: str, counts: dict[str, int]) -> None:
    """States, flags and timeouts are those of Linux, and so is how often its rules matched."""
    middle, seen = replay(scenario)
    recorded = json.loads((_SCENARIOS / scenario / "golden" / "state.json").read_text(encoding="utf-8"))
    assert connections(middle.connections, middle.now) == recorded["end"]["node1"]["conntrack"]
    assert seen == counts
