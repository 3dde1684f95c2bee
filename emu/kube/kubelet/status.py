# SPDX-License-Identifier: GPL-2.0-only
"""A pod's status, from what its containers do.

Source: pkg/kubelet/kubelet_pods.go `generateAPIPodStatus`, `getPhase`;
pkg/kubelet/status/generate.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.api.objects.meta import Condition
from emu.kube.api.objects.pod import PodIp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emu.kube.api.objects import Pod
    from emu.kube.api.objects.pod import PodStatus
    from emu.kube.kubelet.container import ContainerRun

_OWN: Final = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


def of_pod(
    pod: Pod,
    containers: Sequence[ContainerRun],
    *,
    address: str,
    host: str,
    now: str,
    identify: Callable[[ContainerRun], str],
) -> PodStatus:
    """Return the status of a pod whose sandbox stands, or (without `address`) does not.

    Args:
        pod: as it is.
        containers: all of it, init containers first.
        address: of the pod; empty while it has none.
        host: the node's InternalIP.
        now: for what changes.
        identify: gives a container's id.
    """
    inits = [run for run in containers if run.is_init]
    mains = [run for run in containers if not run.is_init]
    phase = _phase(pod, inits, mains)
    return attrs.evolve(
        pod.status,
        phase=phase,
        reason="",
        message="",
        pod_ip=address,
        pod_ips=(PodIp(address),) if address else (),
        host_ip=host,
        host_ips=(PodIp(host),) if host else (),
        start_time=pod.status.start_time or now,
        conditions=_conditions(pod, inits, mains, phase, has_sandbox=bool(address), now=now),
        container_statuses=tuple(run.status(identify(run)) for run in mains),
        init_container_statuses=tuple(run.status(identify(run)) for run in inits),
        qos_class=pod.status.qos_class or "BestEffort",
    )


def _phase(pod: Pod, inits: Sequence[ContainerRun], mains: Sequence[ContainerRun]) -> str:
    """Source: pkg/kubelet/kubelet_pods.go `getPhase`."""
    policy = pod.spec.restart_policy
    failed = [run for run in inits if run.state.terminated is not None and not run.has_succeeded]
    if failed and policy == "Never":
        return "Failed"
    if any(run.generation == 0 for run in mains):
        return "Pending"
    if any(run.is_running for run in mains) or policy == "Always":
        return "Running"
    if all(run.has_succeeded for run in mains):
        return "Succeeded"
    return "Running" if policy == "OnFailure" else "Failed"


def _conditions(
    pod: Pod,
    inits: Sequence[ContainerRun],
    mains: Sequence[ContainerRun],
    phase: str,
    *,
    has_sandbox: bool,
    now: str,
) -> tuple[Condition, ...]:
    known = {condition.type: condition for condition in pod.status.conditions}
    uninitialized = [
        run.spec.name for run in inits if not (run.has_succeeded or (run.is_sidecar and run.started))
    ]
    unready = [run.spec.name for run in mains if not run.ready]
    found = {
        "PodReadyToStartContainers": ("", "") if has_sandbox else ("False", ""),
        "Initialized": _words("ContainersNotInitialized", "incomplete", uninitialized),
        "Ready": _ready(pod, unready, phase),
        "ContainersReady": _containers_ready(unready, phase),
        "PodScheduled": ("", ""),
    }
    others = tuple(condition for condition in pod.status.conditions if condition.type not in _OWN)
    return others + tuple(_condition(known.get(kind), kind, *found[kind], now) for kind in _OWN)


def _words(reason: str, what: str, names: Sequence[str]) -> tuple[str, str]:
    """Return reason and message where some containers are not as they should be."""
    return (reason, f"containers with {what} status: [{' '.join(names)}]") if names else ("", "")


def _containers_ready(unready: Sequence[str], phase: str) -> tuple[str, str]:
    if phase == "Succeeded":
        return "PodCompleted", ""
    if phase == "Failed":
        return "PodFailed", ""
    return _words("ContainersNotReady", "unready", unready)


def _ready(pod: Pod, unready: Sequence[str], phase: str) -> tuple[str, str]:
    reason, message = _containers_ready(unready, phase)
    if reason:
        return reason, message
    held = {condition.type for condition in pod.status.conditions if condition.status == "True"}
    gates = [gate.condition_type for gate in pod.spec.readiness_gates if gate.condition_type not in held]
    if not gates:
        return "", ""
    words = "; ".join(
        f'corresponding condition of pod readiness gate "{gate}" does not exist.' for gate in gates
    )
    return "ReadinessGatesNotReady", words


def _condition(known: Condition | None, kind: str, reason: str, message: str, now: str) -> Condition:
    """Return a condition that is True where there is no `reason`; its time is that of its last change."""
    status = "False" if reason else "True"
    reason = "" if reason == "False" else reason
    if known is not None and known.status == status:
        if (known.reason, known.message) == (reason, message):
            return known
        return attrs.evolve(known, reason=reason, message=message)
    return Condition(kind, status, reason, message, now)
