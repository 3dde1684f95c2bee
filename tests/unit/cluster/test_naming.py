# SPDX-License-Identifier: GPL-2.0-only
"""Names in steps and traffic that nobody has are told when a document is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.cluster.source import read_source
from emu.errors import DocumentError

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """\
apiVersion: emu/v1
kind: Cluster
spec: {nodes: [{name: one}, {name: two}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: c, image: i}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: nginx}]}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: emu/v1
kind: Scenario
spec:
"""


def faults_of(folder: Path, spec: str) -> list[tuple[int, str]]:
    """Return lines and words of what is wrong with a Scenario, whose first line is 0."""
    path = folder / "lab.yaml"
    path.write_text(f"{HEAD}{spec}\n")
    try:
        read_source([str(path)])
    except DocumentError as error:
        return [(each.line - HEAD.count("\n") - 1, each.message) for each in error.faults]
    return []


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("fail oen", "there is no node oen; did you mean 'one'?"),
        ("fail node/w9 --power", "there is no node w9"),
        ("recover w9", "there is no node w9"),
        ("reboot w9 --for=9s", "there is no node w9"),
        ("drain w9 --force", "there is no node w9"),
        ("stop w9 kubelet", "there is no node w9"),
        ("link one w9 down", "there is no machine w9"),
        ("link w9:eth0 loss=5%", "there is no machine w9"),
        ("exec node/w9 -- ip route", "there is no node w9"),
        ("exec ext/nobody -- ip route", "there is no host outside called nobody"),
    ],
)
def test_a_step_names_a_machine_that_is_not_there(tmp_path: Path, step: str, words: str) -> None:
    """Machines never come later."""
    spec = f'  steps:\n  - {{at: 1s, run: "fail one"}}\n  - {{at: 3s, run: "{step}"}}'
    assert faults_of(tmp_path, spec) == [(2, words)]


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ("from: nobody, to: svc/web", "there is no pod default/nobody, and no step makes one"),
        ("from: node/w9, to: svc/web", "there is no node w9"),
        ("from: client, to: 'svc/wbe:80'", "there is no Service default/wbe, and no step makes one"),
        ("from: client, to: 'deploy/wbe:80'", "there is no deploy default/wbe, and no step makes one"),
        ("from: client, to: ext/nobody", "there is no host outside called nobody"),
        ("from: client, to: 'shop/web:80'", "there is no pod shop/web, and no step makes one"),
    ],
)
def test_traffic_names_nobody(tmp_path: Path, ends: str, words: str) -> None:
    """With the line of the client."""
    ((line, found),) = faults_of(tmp_path, f"  until: 5s\n  traffic:\n  - {{name: a, {ends}}}")
    assert (line, found.partition(";")[0]) == (2, words)


@pytest.mark.parametrize(
    "spec",
    [
        "  traffic:\n  - {name: a, from: ext/laptop, to: 'svc/web:80'}",
        "  traffic:\n  - {name: a, from: client, to: 'web-7c9f-x:80'}",
        "  traffic:\n  - {name: a, from: client, to: 'nobody.example:80'}",
        "  traffic:\n  - {name: a, from: client, to: nobody, kind: dns}",
        "  traffic:\n  - {name: a, from: client, to: 'svc/kube-system/kube-dns:53/udp'}",
        (
            "  steps: [{at: 1s, run: run late --image=i}]\n"
            "  traffic:\n  - {name: a, from: late, to: node/one, kind: ping}"
        ),
        "  steps:\n  - {at: 1s, run: link one router down}\n  - {at: 2s, run: link node/two switch down}",
        "  steps:\n  - {at: 1s, run: fail w9, exits: 1}",
    ],
)
def test_who_is_there_or_may_come_is_not_missed(tmp_path: Path, spec: str) -> None:
    """Pods of workloads, names of DNS, what steps make, and who is expected not to be there."""
    assert faults_of(tmp_path, spec) == []
