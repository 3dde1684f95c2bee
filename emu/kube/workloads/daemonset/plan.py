# SPDX-License-Identifier: GPL-2.0-only
"""What a DaemonSet does next: a pure function of nodes and pods.

Source: pkg/controller/daemon/daemon_controller.go (`podsShouldBeOnNode`,
`NodeShouldRunDaemonPod`), update.go `rollingUpdate`, util/daemonset_util.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.kube.api.objects.meta import Requirement
from emu.kube.api.objects.scheduling import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorTerm,
    Toleration,
)
from emu.kube.scheduler.node_affinity import NAME_FIELD, is_wanted, named_nodes
from emu.kube.scheduler.taints import NO_EXECUTE, NO_SCHEDULE, REPELLING, UNSCHEDULABLE, untolerated
from emu.kube.workloads.percent import share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.kube.api.objects import DaemonSet, Node, Pod
    from emu.kube.api.objects.pod import PodSpec

FOREVER: Final = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
"""Taints under which a daemon's pod stays where it is."""

BEARABLE: Final = (
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    UNSCHEDULABLE,
)
"""Taints that keep no daemon off."""

NETWORK_UNAVAILABLE: Final = "node.kubernetes.io/network-unavailable"


def daemon_spec(spec: PodSpec) -> PodSpec:
    """Return `spec` with what all pods of a DaemonSet tolerate."""
    wanted = [Toleration(key, "Exists", effect=NO_EXECUTE) for key in FOREVER]
    keys = (*BEARABLE, NETWORK_UNAVAILABLE) if spec.host_network else BEARABLE
    wanted += [Toleration(key, "Exists", effect=NO_SCHEDULE) for key in keys]
    known = {(each.key, each.effect, each.operator, each.value) for each in spec.tolerations}
    added = [each for each in wanted if (each.key, each.effect, each.operator, each.value) not in known]
    return attrs.evolve(spec, tolerations=(*spec.tolerations, *added))


def bound_for(spec: PodSpec, node: str) -> PodSpec:
    """Return `spec` with an affinity for one node, by its name, in the place of other required terms."""
    term = NodeSelectorTerm(match_fields=(Requirement(NAME_FIELD, "In", (node,)),))
    affinity = spec.affinity or Affinity()
    nodes = attrs.evolve(
        affinity.node_affinity or NodeAffinity(),
        required_during_scheduling_ignored_during_execution=NodeSelector((term,)),
    )
    return attrs.evolve(spec, affinity=attrs.evolve(affinity, node_affinity=nodes))


def node_of(pod: Pod) -> str:
    """Return the node that a daemon's pod is on, or is meant for."""
    named = named_nodes(pod.spec) if not pod.spec.node_name else None
    return pod.spec.node_name or (next(iter(named)) if named is not None and len(named) == 1 else "")


class Fit(NamedTuple):
    """Whether a pod is to be on a node, and whether one that is there may stay."""

    runs: bool
    stays: bool


def fit(spec: PodSpec, node: Node) -> Fit:
    """Return what a DaemonSet means for a node.

    Args:
        spec: of its template, with what daemons tolerate.
        node: any.
    """
    if (spec.node_name and spec.node_name != node.metadata.name) or not is_wanted(spec, node):
        return Fit(runs=False, stays=False)
    if not untolerated(node.spec.taints, spec.tolerations, REPELLING):
        return Fit(runs=True, stays=True)
    return Fit(runs=False, stays=not untolerated(node.spec.taints, spec.tolerations, (NO_EXECUTE,)))


class Plan(NamedTuple):
    """Names of nodes that get a pod, and pods that go."""

    create: tuple[str, ...]
    delete: tuple[Pod, ...]


def spread(fits: Mapping[str, Fit], pods: Mapping[str, Sequence[Pod]], *, surges: bool) -> Plan:
    """Return what gives each node its pod.

    Args:
        fits: what the set means for each node, by name.
        pods: those of the set by node; of nodes that are not there too.
        surges: two pods of one node may be old and new.
    """
    create, delete = [], []
    for name, found in fits.items():
        present = pods.get(name, ())
        living = [pod for pod in present if not pod.metadata.is_terminating]
        failed = [pod for pod in living if pod.is_finished]
        running = [pod for pod in living if not pod.is_finished]
        if not found.stays:
            delete += living
            continue
        delete += failed
        if found.runs and not present:
            create.append(name)
        if surges and len({_digest(pod) for pod in running}) > 1:
            continue
        ordered = sorted(running, key=lambda pod: (not pod.spec.node_name, *_age(pod)))
        delete += ordered[1:]
    for name in pods.keys() - fits.keys() - {""}:
        delete += [pod for pod in pods[name] if not pod.spec.node_name and not pod.metadata.is_terminating]
    return Plan(tuple(create), tuple(sorted(delete, key=lambda pod: pod.metadata.name)))


def _age(pod: Pod) -> tuple[str, str]:
    return pod.metadata.creation_timestamp or "", pod.metadata.name


def _digest(pod: Pod) -> str:
    return pod.metadata.labels.get("controller-revision-hash", "")


class Limits(NamedTuple):
    """Nodes that may be without a pod, and nodes that may have two, in an update."""

    unavailable: int
    surge: int


def limits(owner: DaemonSet, nodes: int) -> Limits:
    """Return the limits of an update over so many nodes: both are rounded up."""
    rolling = owner.spec.update_strategy.rolling_update
    surge = 0 if rolling is None or rolling.max_surge is None else share(rolling.max_surge, nodes, up=True)
    value = 1 if rolling is None or rolling.max_unavailable is None else rolling.max_unavailable
    if surge and (rolling is None or rolling.max_unavailable is None):
        value = 0
    unavailable = share(value, nodes, up=True)
    return Limits(1 if not surge and not unavailable else unavailable, surge)


def update(
    fits: Mapping[str, Fit],
    pods: Mapping[str, Sequence[Pod]],
    available: frozenset[str],
    digest: str,
    allowed: Limits,
) -> Plan:
    """Return the next step of an update, once every node has its pod.

    Args:
        fits: what the set means for each node, by name.
        pods: those of the set by node.
        available: names of pods that are available.
        digest: hash of the present template.
        allowed: how many nodes may be between old and new.
    """
    old: dict[str, Pod] = {}
    new: dict[str, Pod] = {}
    empty = 0
    for name, found in fits.items():
        if not found.runs:
            continue
        living = [pod for pod in pods.get(name, ()) if not pod.metadata.is_terminating]
        for pod in living:
            (new if _digest(pod) == digest else old)[name] = pod
        empty += not living
    if allowed.surge:
        return _surge(old, new, available, allowed.surge)
    missing = empty + sum(pod.metadata.name not in available for pod in new.values())
    broken = [pod for pod in old.values() if pod.metadata.name not in available]
    serving = [pod for pod in old.values() if pod.metadata.name in available]
    room = max(0, allowed.unavailable - missing - len(broken))
    return Plan((), (*broken, *serving[:room]))


def _surge(old: Mapping[str, Pod], new: Mapping[str, Pod], available: frozenset[str], surge: int) -> Plan:
    """A new pod comes beside the old one, which goes when the new one serves."""
    delete = [pod for name, pod in old.items() if name in new and new[name].metadata.name in available]
    under_way = sum(name in old and new[name].metadata.name not in available for name in new)
    waiting = [name for name in old if name not in new]
    broken = [name for name in waiting if old[name].metadata.name not in available]
    serving = [name for name in waiting if old[name].metadata.name in available]
    room = max(0, surge - under_way - len(broken))
    return Plan((*broken, *serving[:room]), tuple(delete))
