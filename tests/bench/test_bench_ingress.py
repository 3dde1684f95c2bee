# SPDX-License-Identifier: GPL-2.0-only
"""What a thousand requests through an Ingress with TLS cost, all of it captured at every device.

`pytest tests/bench/test_bench_ingress.py --benchmark-enable`
"""

from __future__ import annotations

from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Final

import pytest

import emu
from emu.cluster.cluster import Cluster

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

TOPOLOGY: Final = Path(__file__).parents[2] / "topologies/ingress.yaml"
URL: Final = "https://shop.example/cart"

pytestmark = pytest.mark.benchmark(group="requests through an Ingress", timer=process_time)


def count(benchmark: BenchmarkFixture) -> int:
    """Return how many requests; few where nothing is timed."""
    return 1000 if benchmark.enabled else 10


def start() -> tuple[tuple[Cluster], dict[str, object]]:
    """Return a cluster that nobody has asked."""
    cluster = emu.load(TOPOLOGY)
    assert isinstance(cluster, Cluster)
    return (cluster,), {}


def test_each_by_a_connection_of_its_own(benchmark: BenchmarkFixture) -> None:
    """A look-up, a handshake and a page each, as from a thousand clients: the goal is 30 s."""
    number = count(benchmark)

    def ask(cluster: Cluster) -> int:
        laptop = cluster.external("laptop")
        with cluster.capture("any") as recorded:
            pages = {laptop.execute(["curl", "-s", URL]).stdout for _ in range(number)}
        assert pages == {"the cart"}
        return len(recorded.capture.frames)

    frames = benchmark.pedantic(ask, setup=start, rounds=1)  # type: ignore[no-untyped-call]  # of a library
    assert frames > 60 * number


def test_all_by_one_connection(benchmark: BenchmarkFixture) -> None:
    """One handshake, then page after page; the connection to the endpoint is kept, too."""
    number = count(benchmark)

    def ask(cluster: Cluster) -> str:
        with cluster.capture("any"):
            return cluster.external("laptop").execute(["curl", "-s", *[URL] * number]).stdout

    told = benchmark.pedantic(ask, setup=start, rounds=1)  # type: ignore[no-untyped-call]  # of a library
    assert told == "the cart" * number
