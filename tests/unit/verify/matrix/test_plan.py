# SPDX-License-Identifier: GPL-2.0-only
"""Whom a matrix asks, by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

import emu
from emu.cluster.cluster import Cluster
from emu.errors import UnknownNameError
from emu.verify.matrix.plan import make_plan

TWO_WORKERS = Path(__file__).parents[4] / "topologies" / "two-workers.yaml"


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    """Three nodes, a Service with a node port, and the usual host outside."""
    found = emu.load(str(TWO_WORKERS))
    assert isinstance(found, Cluster)
    return found


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("ext/*", ["ext/laptop"]),
        ("node/*", ["node/control-plane", "node/worker-1", "node/worker-2"]),
        ("node/worker-?", ["node/worker-1", "node/worker-2"]),
        ("ext/laptop", ["ext/laptop"]),
        ("cli*", ["default/client"]),
        ("203.0.113.9", ["203.0.113.9"]),
    ],
)
def test_patterns_mean_nodes_and_hosts_outside_too(cluster: Cluster, pattern: str, names: list[str]) -> None:
    """With `*` and `?`, as they mean workloads."""
    plan = make_plan(cluster, sources=[pattern], targets=["web-*"])
    assert [each.shown for each in plan.sources] == names


@pytest.mark.parametrize(
    ("pattern", "asked"),
    [
        ("svc/web", ["svc/default/web:80/TCP"]),
        ("svc/default/*", ["svc/default/kubernetes:443/TCP", "svc/default/web:80/TCP"]),
        ("node/worker-*", ["node/worker-1:30080/TCP", "node/worker-2:30080/TCP"]),
    ],
)
def test_who_is_no_pod_is_asked_on_the_ports_that_he_has(
    cluster: Cluster, pattern: str, asked: list[str]
) -> None:
    """Those of the Service; node ports of nodes."""
    plan = make_plan(cluster, targets=[pattern])
    assert sorted(f"{party.shown}:{port}" for party, ports in plan.targets for port in ports) == asked


@pytest.mark.parametrize(
    ("pattern", "hint"), [("ext/laptpo", "did you mean 'ext/laptop'"), ("node/x*", "node/x")]
)
def test_a_name_of_nobody_is_told(cluster: Cluster, pattern: str, hint: str) -> None:
    """With what was meant, if that is near."""
    with pytest.raises(UnknownNameError, match="nobody is called") as caught:
        make_plan(cluster, sources=[pattern])
    assert hint in str(caught.value)
