# SPDX-License-Identifier: GPL-2.0-only
"""A cluster in mode ipvs, from outside: what questions are told, and that they leave it as it was."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

import pytest
from click.testing import CliRunner

from emu.cli import cli
from emu.cluster.cluster import Cluster
from emu.cluster.topology import load_topology
from emu.document import scan
from emu.testing.whole_state import whole_state
from emu.verify.asker import Asker
from emu.verify.verdict import Word

if TYPE_CHECKING:
    from pathlib import Path

CLUSTER: Final = """
apiVersion: emu/v1
kind: Cluster
spec:
  kubeProxy: {mode: MODE, ipvs: {scheduler: SCHEDULER}}
  nodes: [{name: cp, role: control-plane}, {name: w1}, {name: w2}]
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, labels: {app: web}}
spec:
  nodeName: w1
  containers: [{name: web, image: nginx, ports: [{containerPort: 8080}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: web-2, labels: {app: web}}
spec:
  nodeName: w2
  containers: [{name: web, image: nginx, ports: [{containerPort: 8080}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  nodeName: w1
  containers: [{name: shell, image: busybox, command: [sleep, infinity]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
---
apiVersion: v1
kind: Service
metadata: {name: sticky}
spec:
  selector: {app: web}
  sessionAffinity: ClientIP
  ports: [{port: 80, targetPort: 8080}]
"""


def text(mode: str = "ipvs", scheduler: str = "rr") -> str:
    """Return the documents."""
    return CLUSTER.replace("MODE", mode).replace("SCHEDULER", scheduler)


def shop(scheduler: str = "rr") -> Cluster:
    """Return the cluster."""
    return Cluster(load_topology(scan(text(scheduler=scheduler).encode(), "cluster.yaml")))


@pytest.mark.parametrize(
    ("scheduler", "shares"),
    [("rr", [Fraction(1, 2)] * 2), ("wlc", [Fraction(1, 2)] * 2), ("sh", [Fraction(1)])],
)
def test_a_question_is_about_any_connection(scheduler: str, shares: list[Fraction]) -> None:
    """Whose turn it is nobody knows; a hash of addresses is no chance. All branches are delivered."""
    verdict = Asker(shop(scheduler)).judge("client", "svc/web:80")
    assert verdict.word is Word.ALWAYS
    assert [each.probability for each in verdict.outcomes] == shares


def test_who_was_served_stays_with_whom_he_had() -> None:
    """A question after a connection of a Service with affinity has one answer."""
    cluster = shop()
    asker = Asker(cluster)
    assert len(asker.judge("client", "svc/sticky:80").outcomes) == 2
    served = cluster.namespace("default/client").run("curl -s http://sticky").strip()
    (outcome,) = asker.judge("client", "svc/sticky:80").outcomes
    assert outcome.arrival is not None
    assert outcome.arrival.net == f"default/{served}"


@pytest.mark.parametrize(
    "target", ["svc/web:80", "svc/sticky:80", "node/w2:30080", "svc/web:81", "svc/web/icmp"]
)
def test_questions_leave_everything_as_it_was(target: str) -> None:
    """Connections, turns, counters, templates."""
    cluster = shop()
    cluster.namespace("default/client").run("curl -s http://web")
    Asker(cluster).judge("client", "web-1:8080")  # the fabric forgets who waits for the program that ran
    before = whole_state(cluster.fabric)
    Asker(cluster).judge("client", target)
    assert whole_state(cluster.fabric) == before


def test_another_mode_makes_no_difference_to_who_is_served(tmp_path: Path) -> None:
    """`emu diff --set kubeProxy.mode=ipvs`: what differs is what nobody serves."""
    path = tmp_path / "cluster.yaml"
    path.write_text(text("iptables"))
    result = CliRunner().invoke(cli, ["diff", str(path), "--set", "kubeProxy.mode=ipvs"])
    assert result.exit_code in {0, 1}, result.output
    told = [" ".join(line.split()) for line in result.output.splitlines()]
    assert "default/client -> svc/default/web:80/TCP ALWAYS ALWAYS" in told
    gone = [line for line in told if line.endswith("SVC_NODEPORT_ADDRESS kube-proxy mode")]
    assert len(gone) == 1


def test_a_trace_names_the_service_whose_virtual_service_it_was(tmp_path: Path) -> None:
    """And how probable the turn was."""
    path = tmp_path / "cluster.yaml"
    path.write_text(text())
    told = CliRunner().invoke(cli, ["trace", "-f", str(path), "ext/laptop", "node/w1:30080"]).output
    assert "ipvs rr p=1/2" in told
    assert "Service default/web -> default/web-" in told
    assert "ipvs translated back" in told
