# SPDX-License-Identifier: GPL-2.0-only
"""The table of pods: readiness, the word under STATUS, restarts."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
import yaml

from emu.kube.api.codec import read
from emu.kube.api.objects import Pod
from emu.kube.tables.cells.pods import Summary, summarize
from emu.kube.tables.world import Snapshot, World
from emu.sim.time import EPOCH

if TYPE_CHECKING:
    from tests.unit.kube.tables.conftest import Ask

RECORDED = """
apiVersion: v1
kind: Pod
metadata: {name: web-6f7d8c9b5-x2x9z, namespace: default, creationTimestamp: "2025-01-01T00:57:55Z"}
spec: {nodeName: kind-worker, containers: [{name: web}]}
status:
  phase: Running
  podIP: 10.244.1.5
  containerStatuses:
  - name: web
    ready: true
    restartCount: 1
    state: {running: {startedAt: "2025-01-01T00:58:20Z"}}
    lastState: {terminated: {exitCode: 1, finishedAt: "2025-01-01T00:58:19Z"}}
---
apiVersion: v1
kind: Pod
metadata: {name: c, namespace: default, creationTimestamp: "2025-01-01T00:59:55Z"}
spec: {containers: [{name: c}]}
status: {phase: Pending}
"""


def test_the_recorded_table_comes_out(ask: Ask) -> None:
    """Names are sorted as text, each column is three wider than its widest cell, the last is not padded."""
    assert ask(RECORDED, "pods", output="wide").stdout == (
        "NAME                  READY   STATUS    RESTARTS       AGE    IP           NODE          "
        "NOMINATED NODE   READINESS GATES\n"
        "c                     0/1     Pending   0              5s     <none>       <none>        "
        "<none>           <none>\n"
        "web-6f7d8c9b5-x2x9z   1/1     Running   1 (101s ago)   2m5s   10.244.1.5   kind-worker   "
        "<none>           <none>\n"
    )


def summary(text: str, version: tuple[int, int] = (1, 35)) -> Summary:
    """Return what a pod comes to; `text` is YAML of `spec`, `status` and `metadata`."""
    manifest = yaml.safe_load(dedent(text)) or {}
    manifest.setdefault("spec", {"containers": [{"name": "a"}, {"name": "b"}]})
    metadata = {"name": "x", **manifest.get("metadata", {})}
    pod = read({"apiVersion": "v1", "kind": "Pod", **manifest, "metadata": metadata})
    assert isinstance(pod, Pod)
    return summarize(pod, World(Snapshot([]), EPOCH, version))


COMPLETED = "{name: a, state: {terminated: {exitCode: 0, reason: Completed}}}"
FAILED = "{name: b, state: {terminated: {exitCode: 1, reason: Error}}}"
LOOPS = "{name: a, state: {waiting: {reason: CrashLoopBackOff}}}"
WAITS = "{name: a, state: {waiting: {}}}"
CREATES = "{name: a, state: {waiting: {reason: ContainerCreating}}}"
ENDED = "{name: i, state: {terminated: {exitCode: 0, reason: Completed}}}"
READY = "{type: Ready, status: 'True'}"
RUNS = "{name: b, ready: true, state: {running: {}}}"


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("{phase: Pending}", "Pending"),
        ("{phase: Failed, reason: Evicted}", "Evicted"),
        ("{conditions: [{type: PodScheduled, status: 'False', reason: SchedulingGated}]}", "SchedulingGated"),
        (
            f"{{containerStatuses: [{CREATES}]}}",
            "ContainerCreating",
        ),
        (
            "{phase: Running, containerStatuses: [{name: a, state: {terminated: {exitCode: 3}}}]}",
            "ExitCode:3",
        ),
        (
            "{containerStatuses: [{name: a, state: {terminated: {exitCode: 137, signal: 9}}}]}",
            "Signal:9",
        ),
        (
            f"{{containerStatuses: [{LOOPS}, {FAILED}]}}",
            "CrashLoopBackOff",
        ),
        (f"{{phase: Running, containerStatuses: [{RUNS}, {WAITS}]}}", "Running"),
        (f"{{phase: Succeeded, containerStatuses: [{COMPLETED}]}}", "Completed"),
        (f"{{phase: Running, containerStatuses: [{COMPLETED}, {RUNS}]}}", "NotReady"),
        (
            f"{{phase: Running, conditions: [{READY}], containerStatuses: [{COMPLETED}, {RUNS}]}}",
            "Running",
        ),
        (f"{{phase: Failed, containerStatuses: [{COMPLETED}, {FAILED}]}}", "Error"),
    ],
)
def test_status_is_the_first_containers_word(status: str, word: str) -> None:
    """Without a word of a container it is the phase or the pod's reason."""
    assert summary(f"status: {status}").status == word


def test_a_failure_behind_completed_shows_from_1_35() -> None:
    """Before, a container that had completed hid one that had failed."""
    text = f"status: {{phase: Failed, containerStatuses: [{COMPLETED}, {FAILED}]}}"
    assert summary(text, (1, 34)).status == "Completed"


@pytest.mark.parametrize(
    ("statuses", "word"),
    [
        ("{name: i, state: {running: {}}}", "Init:0/2"),
        ("{name: i, state: {waiting: {reason: PodInitializing}}}", "Init:0/2"),
        ("{name: i, state: {waiting: {reason: CrashLoopBackOff}}}", "Init:CrashLoopBackOff"),
        ("{name: i, state: {terminated: {exitCode: 2}}}", "Init:ExitCode:2"),
        ("{name: i, state: {terminated: {exitCode: 2, signal: 6}}}", "Init:Signal:6"),
        ("{name: i, state: {terminated: {exitCode: 2, reason: Error}}}", "Init:Error"),
        (
            f"{ENDED}, {{name: j, state: {{running: {{}}}}}}",
            "Init:1/2",
        ),
    ],
)
def test_status_while_init_containers_run(statuses: str, word: str) -> None:
    """The first that has not finished says how far the pod is."""
    text = f"""
        spec: {{initContainers: [{{name: i}}, {{name: j}}], containers: [{{name: a}}]}}
        status:
          initContainerStatuses: [{statuses}]
          containerStatuses: [{{name: a, state: {{waiting: {{reason: PodInitializing}}}}}}]
        """
    assert summary(text).status == word


def test_sidecars_count_as_containers() -> None:
    """An init container that always restarts counts under READY, and passes once it has started."""
    text = """
        spec:
          initContainers: [{name: s, restartPolicy: Always}, {name: i}]
          containers: [{name: a}]
        status:
          phase: Running
          initContainerStatuses:
          - {name: s, ready: true, started: true, restartCount: 2, state: {running: {}}}
          - {name: i, restartCount: 5, state: {terminated: {exitCode: 0}}}
          containerStatuses: [{name: a, ready: true, restartCount: 1, state: {running: {}}}]
        """
    assert summary(text) == Summary("Running", 2, 2, 3, None)


@pytest.mark.parametrize(
    ("status", "version", "word"),
    [
        ("{phase: Running}", (1, 35), "Terminating"),
        ("{phase: Running, reason: NodeLost}", (1, 35), "Unknown"),
        ("{phase: Succeeded}", (1, 31), "Succeeded"),
        ("{phase: Succeeded}", (1, 30), "Terminating"),
    ],
)
def test_status_of_a_pod_that_is_deleted(status: str, version: tuple[int, int], word: str) -> None:
    """It is Terminating, unless its node is lost or, from 1.31 on, it had ended."""
    text = f"metadata: {{deletionTimestamp: '2025-01-01T00:00:00Z'}}\nstatus: {status}"
    assert summary(text, version).status == word


def test_readiness_gates_are_counted(ask: Ask) -> None:
    """How many of the gates' conditions are True."""
    text = """
        apiVersion: v1
        kind: Pod
        metadata: {name: x, namespace: default}
        spec: {containers: [{name: a}], readinessGates: [{conditionType: lb}, {conditionType: dns}]}
        status: {conditions: [{type: lb, status: "True"}], podIPs: [{ip: 10.0.0.1}, {ip: "fd00::1"}]}
        """
    cells = ask(dedent(text), "po", output="wide", no_headers=True).stdout.split()
    assert cells == ["x", "0/1", "Pending", "0", "<unknown>", "10.0.0.1", "<none>", "<none>", "1/2"]
