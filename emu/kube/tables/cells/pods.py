# SPDX-License-Identifier: GPL-2.0-only
"""The table of pods. Source: `printPod`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

from emu.kube.tables.cells.printer import Cells, Printer, columns
from emu.kube.tables.cells.words import NONE, is_true

if TYPE_CHECKING:
    from emu.kube.api.objects import Pod
    from emu.kube.api.objects.container import ContainerStatus, Terminated
    from emu.kube.tables.world import World


@frozen
class Summary:
    """What the containers of a pod come to."""

    status: str
    ready: int
    total: int
    restarts: int
    last_restart: str | None


def row(pod: Pod, world: World) -> Cells:
    """Return the cells of a pod."""
    summary = summarize(pod, world)
    restarts = str(summary.restarts)
    if summary.restarts and summary.last_restart:
        restarts += f" ({world.since(summary.last_restart)} ago)"
    gates = [gate.condition_type for gate in pod.spec.readiness_gates]
    passed = sum(is_true(pod.status.conditions, gate) for gate in gates)
    return (
        pod.metadata.name,
        f"{summary.ready}/{summary.total}",
        summary.status,
        restarts,
        world.since(pod.metadata.creation_timestamp),
        _address(pod),
        pod.spec.node_name or NONE,
        pod.status.nominated_node_name or NONE,
        f"{passed}/{len(gates)}" if gates else NONE,
    )


PODS: Final = Printer(
    columns(
        "Name", "Ready", "Status", "Restarts", "Age",
        wide=("IP", "Node", "Nominated Node", "Readiness Gates"),
    ),
    row,
)  # fmt: skip


def _address(pod: Pod) -> str:
    """Return the first of the pod's addresses."""
    return pod.status.pod_ips[0].ip if pod.status.pod_ips else pod.status.pod_ip or NONE


def summarize(pod: Pod, world: World) -> Summary:
    """Return the word under STATUS, and the counts beside it.

    The last rule that applies gives the word. While the pod initializes, its init
    containers give it; a sidecar that has started is past that.
    """
    status = pod.status
    word = status.reason or status.phase
    if any(one.type == "PodScheduled" and one.reason == "SchedulingGated" for one in status.conditions):
        word = "SchedulingGated"
    sidecars = {one.name for one in pod.spec.init_containers if one.restart_policy == "Always"}
    blocked, passed = _initializing(pod, sidecars)
    counted = status.init_container_statuses[: len(passed) + (blocked is not None)]
    ready = sum(one.name in sidecars and bool(one.started) and one.ready for one in passed)
    if blocked is None or is_true(status.conditions, "Initialized"):
        counted = (*(one for one in counted if one.name in sidecars), *status.container_statuses)
        word = _containers(pod, world, blocked or word)
        ready += sum(_runs(one) for one in status.container_statuses)
    else:
        word = blocked
    if pod.metadata.is_terminating and status.reason == "NodeLost":
        word = "Unknown"
    elif pod.metadata.is_terminating and not (world.is_from(1, 31) and pod.is_finished):
        word = "Terminating"
    ends = [end.finished_at for one in counted if (end := one.last_state.terminated) and end.finished_at]
    total = len(pod.spec.containers) + len(sidecars)
    return Summary(word, ready, total, sum(one.restart_count for one in counted), max(ends, default=None))


def _initializing(pod: Pod, sidecars: set[str]) -> tuple[str | None, list[ContainerStatus]]:
    """Return what the first unfinished init container says, None if there is none, and those before it."""
    passed: list[ContainerStatus] = []
    for number, one in enumerate(pod.status.init_container_statuses):
        end, waiting = one.state.terminated, one.state.waiting
        if (end and end.exit_code == 0) or (one.name in sidecars and one.started):
            passed.append(one)
            continue
        if end:
            return f"Init:{_end(end)}", passed
        if waiting and waiting.reason not in {"", "PodInitializing"}:
            return f"Init:{waiting.reason}", passed
        return f"Init:{number}/{len(pod.spec.init_containers)}", passed
    return None, passed


def _containers(pod: Pod, world: World, word: str) -> str:
    """Return the word of the first container that has one to say, else `word`."""
    failure = ""
    for one in reversed(pod.status.container_statuses):
        end, waiting = one.state.terminated, one.state.waiting
        if waiting and waiting.reason:
            word = waiting.reason
        elif end:
            word = _end(end)
            failure = word if word != "Completed" else failure
    if word != "Completed":
        return word
    if any(map(_runs, pod.status.container_statuses)):
        return "Running" if pod.is_ready else "NotReady"
    return failure if failure and world.is_from(1, 35) else word


def _runs(one: ContainerStatus) -> bool:
    """Return whether a container is counted as ready: it runs, and nothing else is said of it."""
    waits = one.state.waiting is not None and bool(one.state.waiting.reason)
    return one.ready and one.state.running is not None and one.state.terminated is None and not waits


def _end(end: Terminated) -> str:
    """Return why a container ended."""
    return end.reason or (f"Signal:{end.signal}" if end.signal else f"ExitCode:{end.exit_code}")
