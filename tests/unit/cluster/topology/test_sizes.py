# SPDX-License-Identifier: GPL-2.0-only
"""Input that is far too large is told of, and costs no time."""

from __future__ import annotations

import pytest

from emu.cluster.node_objects import plan
from emu.cluster.topology import load_topology
from emu.document import parse
from emu.errors import DocumentError

TEMPLATE = (
    "{metadata: {labels: {a: b}}, spec: {restartPolicy: Always, containers: [{name: a, image: nginx}]}}"
)
RUNS_ONCE = TEMPLATE.replace("Always", "Never")
REPLICATED = f"{{replicas: 2000000, selector: {{matchLabels: {{a: b}}}}, template: {TEMPLATE}}}"
JOB = f"{{parallelism: 2000000, template: {RUNS_ONCE}}}"


def workload(kind: str, spec: str, version: str = "apps/v1") -> str:
    """Return a manifest."""
    return f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: web}}\nspec: {spec}\n"


@pytest.mark.parametrize(
    ("manifest", "path"),
    [
        (
            workload(
                kind, f"{{replicas: 2000000, selector: {{matchLabels: {{a: b}}}}, template: {TEMPLATE}}}"
            ),
            "$.spec.replicas",
        )
        for kind in ("Deployment", "ReplicaSet", "StatefulSet")
    ]
    + [
        (workload("Job", JOB, "batch/v1"), "$.spec.parallelism"),
        (
            workload("CronJob", f"{{schedule: '@daily', jobTemplate: {{spec: {JOB}}}}}", "batch/v1"),
            "$.spec.jobTemplate.spec.parallelism",
        ),
    ],
)
def test_millions_of_pods_are_refused(manifest: str, path: str) -> None:
    """With the place of the number."""
    with pytest.raises(DocumentError, match="2000000") as caught:
        load_topology(parse(manifest, "web.yaml"))
    assert [fault.path for fault in caught.value.faults] == [path]


def test_more_nodes_than_addresses_are_refused() -> None:
    """A subnet of 16 bits has room for 65,533 nodes beside its router."""
    nodes = ", ".join(f"{{name: n{number}}}" for number in range(65_540))
    cluster = f"apiVersion: emu/v1\nkind: Cluster\nmetadata: {{name: c}}\nspec: {{nodes: [{nodes}]}}\n"
    with pytest.raises(DocumentError, match="no address left for 7 of 65540 nodes"):
        plan(load_topology(parse(cluster, "cluster.yaml")))
