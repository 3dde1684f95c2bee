# SPDX-License-Identifier: GPL-2.0-only
"""Stale connections of UDP, by the release of Kubernetes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from emu.cluster.cluster import Cluster
from emu.cluster.source import ClusterSource, read_source

FILE: Final = Path(__file__).parents[4] / "topologies/failures/stale-udp.yaml"


@pytest.mark.parametrize(
    ("version", "is_refused"), [("1.31", True), ("1.32", False), ("1.36", False), ("1.37", True)]
)
def test_a_service_without_endpoints_keeps_its_entries_in_some_releases(
    tmp_path: Path, version: str, *, is_refused: bool
) -> None:
    """By events they were deleted; by comparison only where there is another endpoint; since 1.37 always."""
    text = FILE.read_text().replace('"1.35"', f'"{version}"').replace("until: 80s", "until: 30s")
    path = tmp_path / "stale.yaml"
    path.write_text(text)
    source = read_source([str(path)])
    assert isinstance(source, ClusterSource)
    cluster = source.start()
    assert isinstance(cluster, Cluster)
    assert cluster.story is not None
    (client,) = cluster.story.clients
    assert (client.summary.outcomes.get("refused", 0) > 0) == is_refused
    told = [each for each in cluster.story.entries if "stale UDP connection" in each.text]
    assert bool(told) == is_refused


def test_with_another_endpoint_a_stale_entry_is_deleted(tmp_path: Path) -> None:
    """A second after the new pod is ready at the latest."""
    text = FILE.read_text().replace(
        "  traffic:", "  - {at: 40s, run: scale deploy/statsd --replicas=1}\n  traffic:"
    )
    path = tmp_path / "stale.yaml"
    path.write_text(text)
    source = read_source([str(path)])
    assert isinstance(source, ClusterSource)
    cluster = source.start()
    assert cluster.story is not None
    (window,) = cluster.story.clients[0].summary.windows
    assert not window.is_open
    assert window.end / 1e9 == pytest.approx(41, abs=1)
