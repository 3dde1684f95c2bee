# SPDX-License-Identifier: GPL-2.0-only
"""The steps of a `Scenario`: what people do, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from emu.cluster.source import ClusterSource, read_source
from emu.errors import DocumentError
from emu.kube.api.objects import Deployment
from tests.unit.kube.kubelet.lab import container, pod, seconds, start

if TYPE_CHECKING:
    from pathlib import Path

    from emu.cluster.cluster import Cluster

HEAD = """
apiVersion: emu/v1
kind: Cluster
spec: {kubeProxy: {mode: none}, nodes: [{name: node-1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: c, image: nginx}]}
---
apiVersion: emu/v1
kind: Scenario
spec:
  steps:
"""


def load(path: Path, *steps: str) -> Cluster:
    """Return a cluster after some steps."""
    path.write_text(HEAD + "".join(f"  - {step}\n" for step in steps))
    source = read_source([str(path)])
    assert isinstance(source, ClusterSource)
    return source.start()


class TestTimes:
    """Steps are taken at their instants, in their order."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [("9s", 9), ("1m30s", 90), ("2500ms", 2.5), ("1.5s", 1.5), ("2m", 120), ("0s", 0)],
    )
    def test_a_time_is_of_minutes_seconds_and_milliseconds(
        self, tmp_path: Path, text: str, expected: float
    ) -> None:
        """Counted from the start of the run; the cluster is as it is then."""
        assert seconds(load(tmp_path / "s.yaml", f"{{at: {text}, run: get pods}}")) == expected

    def test_they_are_sorted_by_time(self, tmp_path: Path) -> None:
        """A later line may come first."""
        cluster = load(
            tmp_path / "s.yaml",
            "{at: 9s, run: exec node/node-1 -- ip route del 10.7.0.0/16}",
            "{at: 3s, run: exec node/node-1 -- ip route add 10.7.0.0/16 dev eth0}",
        )
        assert "10.7.0.0" not in cluster.node("node-1").run("ip route")

    @pytest.mark.parametrize(
        ("step", "words"),
        [
            ("{at: soon, run: get pods}", "must be a time with its unit, like 9s, 1m30s or 250ms"),
            ("{at: 1s, run: gett pods}", "did you mean 'get'"),
            ("{at: 1s}", "lacks run"),
            ("{at: 1s, run: get pods, wen: 1}", "unknown key"),
            ("{at: 600000m, run: get pods}", "600000m is more than a year, which is the most"),
            ("{at: 1s, run: 'exec \"'}", "cannot be read"),
        ],
    )
    def test_what_cannot_be_read_is_told(self, tmp_path: Path, step: str, words: str) -> None:
        """Before anything is done."""
        with pytest.raises(DocumentError, match=words):
            load(tmp_path / "s.yaml", step)


def deployment(replicas: int) -> dict[str, Any]:
    """Return the manifest of a Deployment `web`."""
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container(image="nginx")]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


class TestSteps:
    """What a step prints, and what it does."""

    @pytest.mark.parametrize(
        ("words", "stdout", "stderr", "status"),
        [
            (["scale", "deploy/web", "--replicas=3"], "deployment.apps/web scaled\n", "", 0),
            (["delete", "pod/lone"], 'pod "lone" deleted from default namespace\n', "", 0),
            (["exec", "lone", "--", "hostname"], "lone\n", "", 0),
            (["exec", "-n", "default", "-c", "main", "lone", "--", "hostname"], "lone\n", "", 0),
            (["exec", "-c", "other", "lone", "--", "hostname"], "", "has no container other", 1),
            (["scale", "pod/lone", "--replicas=3"], "", "error: Pod has no replicas to scale\n", 1),
            (["scale", "deploy/web"], "", "error: scale KIND/[NS/]NAME --replicas=N\n", 1),
            (
                ["delete", "pod/nobody"],
                "",
                "Error from server (NotFound): no pod nobody in namespace default (there are lone",
                1,
            ),
            (["exec", "lone", "--", "frobnicate"], "", "frobnicate", 127),
            (["cordon", "node/node-1"], "node/node-1 cordoned\n", "", 0),
            (["delete"], "", "error: delete KIND/[NS/]NAME...\n", 1),
            (["exec"], "", "error", 1),
            (["exec", "lone", "--"], "", "no command is given", 2),
        ],
    )
    def test_is_told_as_kubectl_tells_it(
        self, words: list[str], stdout: str, stderr: str, status: int
    ) -> None:
        """A refusal is printed, and the scenario goes on."""
        cluster = start(deployment(1), pod("lone"))
        finished = cluster.do(words)
        assert finished.stdout == stdout
        assert stderr in finished.stderr
        assert finished.status == status

    def test_scaling_makes_pods(self) -> None:
        """And lets things settle."""
        cluster = start(deployment(1))
        cluster.do(["scale", "deploy/web", "--replicas=3"])
        status = cluster.store.get(Deployment, "web", "default").status
        assert (status.replicas, status.ready_replicas) == (3, 3)
