# SPDX-License-Identifier: GPL-2.0-only
"""The taints that tell of a node's conditions, and the conditions of a node that is silent.

Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go (`nodeConditionToTaintKeyStatusMap`,
`tryUpdateNodeHealth`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.api.objects.meta import Condition
from emu.kube.api.objects.scheduling import Taint

if TYPE_CHECKING:
    from collections.abc import Collection

    from emu.kube.api.objects import Node, Pod

NOT_READY: Final = "node.kubernetes.io/not-ready"
UNREACHABLE: Final = "node.kubernetes.io/unreachable"
UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
OUT_OF_SERVICE: Final = "node.kubernetes.io/out-of-service"
NO_SCHEDULE: Final = "NoSchedule"
NO_EXECUTE: Final = "NoExecute"

_BY_CONDITION: Final = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
}
_MANAGED: Final = frozenset({*_BY_CONDITION.values(), UNSCHEDULABLE})
_EXECUTED: Final = frozenset({NOT_READY, UNREACHABLE})
_TOLD: Final = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


def ready_status(node: Node) -> str:
    """Return the status of the condition Ready; nothing if the node has none."""
    return next((each.status for each in node.status.conditions if each.type == "Ready"), "")


def with_no_schedule(node: Node, now: str) -> Node:
    """Return `node` with the taints NoSchedule that its conditions and `unschedulable` call for."""
    wanted = {
        key
        for each in node.status.conditions
        if (key := _BY_CONDITION.get((each.type, each.status))) is not None
    }
    if node.spec.unschedulable:
        wanted.add(UNSCHEDULABLE)
    return _with_keys(node, wanted, _MANAGED, NO_SCHEDULE, now)


def with_no_execute(node: Node, now: str) -> Node:
    """Return `node` with the taint NoExecute that its condition Ready calls for, and without the other."""
    key = _BY_CONDITION.get(("Ready", ready_status(node)))
    return _with_keys(node, {key} if key is not None else set(), _EXECUTED, NO_EXECUTE, now)


def without_no_execute(node: Node) -> Node:
    """Return `node` without the taints NoExecute of its condition Ready."""
    return _with_keys(node, set(), _EXECUTED, NO_EXECUTE, "")


def _with_keys(node: Node, wanted: Collection[str], managed: Collection[str], effect: str, now: str) -> Node:
    taints = node.spec.taints
    unwanted = set(managed) - set(wanted)
    stay = tuple(each for each in taints if each.effect != effect or each.key not in unwanted)
    known = {each.key for each in stay if each.effect == effect}
    new = tuple(Taint(key, effect, time_added=now) for key in sorted(wanted) if key not in known)
    if not new and len(stay) == len(taints):
        return node
    return attrs.evolve(node, spec=attrs.evolve(node.spec, taints=(*stay, *new)))


def silent(node: Node, now: str) -> Node:
    """Return `node` as it is when its kubelet has not been heard of for too long."""
    found = {each.type: each for each in node.status.conditions}
    for kind in _TOLD:
        old = found.get(kind)
        if old is None:
            found[kind] = Condition(
                kind, "Unknown", "NodeStatusNeverUpdated", "Kubelet never posted node status.", now
            )
        elif old.status != "Unknown":
            found[kind] = attrs.evolve(
                old,
                status="Unknown",
                reason="NodeStatusUnknown",
                message="Kubelet stopped posting node status.",
                last_transition_time=now,
            )
    status = attrs.evolve(node.status, conditions=tuple(found.values()))
    return attrs.evolve(node, status=status)


def not_ready(pod: Pod, now: str) -> Pod:
    """Return `pod` with the condition Ready False, which takes it out of its Services."""
    conditions = tuple(
        attrs.evolve(each, status="False", last_transition_time=now)
        if each.type == "Ready" and each.status != "False"
        else each
        for each in pod.status.conditions
    )
    return attrs.evolve(pod, status=attrs.evolve(pod.status, conditions=conditions))
