# SPDX-License-Identifier: GPL-2.0-only
"""What time costs that passes: a story of fifteen minutes, and fifteen minutes in which nothing happens.

`pytest tests/bench/test_bench_timeline.py --benchmark-enable`
"""

from __future__ import annotations

from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Final

import pytest

from emu.cluster.source import ClusterSource, read_source
from emu.sim.time import SECOND, later

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from emu.cluster.cluster import Cluster

STORY: Final = Path(__file__).parents[2] / "topologies/node-failure.yaml"
QUARTER: Final = 15 * 60 * SECOND

pytestmark = pytest.mark.benchmark(group="time that passes", timer=process_time)


def start() -> tuple[tuple[Cluster], dict[str, object]]:
    """Return the cluster of the story, before it."""
    source = read_source([str(STORY)])
    assert isinstance(source, ClusterSource)
    return (source.start(steps=False),), {}


def test_a_node_fails_and_its_pods_are_evicted(benchmark: BenchmarkFixture) -> None:
    """510 requests, 625 probes, and what the control plane does: the goal is 3 s."""

    def play(cluster: Cluster) -> int:
        for _ in cluster.play():
            pass
        return cluster.fabric.loop.now

    assert benchmark.pedantic(play, setup=start, rounds=3) == QUARTER  # type: ignore[no-untyped-call]  # theirs


def test_nothing_happens(benchmark: BenchmarkFixture) -> None:
    """Five pods are asked by their kubelets how they are."""

    def wait(cluster: Cluster) -> None:
        cluster.wait_until(later(cluster.fabric.loop.now, QUARTER))

    benchmark.pedantic(wait, setup=start, rounds=3)  # type: ignore[no-untyped-call]  # theirs
