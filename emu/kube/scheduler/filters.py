# SPDX-License-Identifier: GPL-2.0-only
"""Where a pod may run: one function a plugin.

Each is given the pod and what is on the nodes, and returns what to ask of a
node, or None if the pod does not care. The answer is empty for a node that
will do, else the reason, as it stands in events.

Source: pkg/scheduler/framework/plugins/{nodeunschedulable,nodename,tainttoleration,
nodeaffinity,nodeports,noderesources,interpodaffinity}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from emu.kube.api.objects.scheduling import Taint
from emu.kube.scheduler.node_affinity import is_wanted
from emu.kube.scheduler.occupancy import NodeState, host_ports
from emu.kube.scheduler.taints import NO_SCHEDULE, REPELLING, UNSCHEDULABLE, is_tolerated, untolerated
from emu.kube.scheduler.terms import group_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.kube.api.objects import Pod
    from emu.kube.api.objects.scheduling import PodAffinity, PodAffinityTerm
    from emu.kube.scheduler.occupancy import Occupancy

Check: TypeAlias = Callable[[NodeState], str]

UNSCHEDULABLE_NODE: Final = "node(s) were unschedulable"
OTHER_NODE: Final = "node(s) didn't match the requested node name"
TAINTED: Final = "node(s) had untolerated taint(s)"
NOT_WANTED: Final = "node(s) didn't match Pod's node affinity/selector"
NO_PORTS: Final = "node(s) didn't have free ports for the requested pod ports"
TOO_MANY: Final = "Too many pods"
NOT_NEAR: Final = "node(s) didn't match pod affinity rules"
TOO_NEAR: Final = "node(s) didn't match pod anti-affinity rules"
NOT_WELCOME: Final = "node(s) didn't satisfy existing pods anti-affinity rules"

_TAINTS_WITHOUT_NAMES: Final = (1, 35)
_CORDON: Final = Taint(UNSCHEDULABLE, NO_SCHEDULE)


def unschedulable(pod: Pod, view: Occupancy) -> Check:
    """A cordoned node takes pods that tolerate its being so."""
    del view

    def check(state: NodeState) -> str:
        if not state.node.spec.unschedulable or is_tolerated(_CORDON, pod.spec.tolerations):
            return ""
        return UNSCHEDULABLE_NODE

    return check


def node_name(pod: Pod, view: Occupancy) -> Check | None:
    """A pod that names its node runs there."""
    del view
    wanted = pod.spec.node_name
    return (lambda state: "" if state.name == wanted else OTHER_NODE) if wanted else None


def taints(pod: Pod, view: Occupancy) -> Check:
    """Taints that repel have to be tolerated."""

    def check(state: NodeState) -> str:
        found = untolerated(state.node.spec.taints, pod.spec.tolerations, REPELLING)
        if not found:
            return ""
        if view.version >= _TAINTS_WITHOUT_NAMES:
            return TAINTED
        return f"node(s) had untolerated taint {{{found[0].key}: {found[0].value}}}"

    return check


def node_affinity(pod: Pod, view: Occupancy) -> Check | None:
    """The node has to be one that nodeSelector and required node affinity ask for."""
    del view
    spec = pod.spec
    if not spec.node_selector and (spec.affinity is None or spec.affinity.node_affinity is None):
        return None
    return lambda state: "" if is_wanted(spec, state.node) else NOT_WANTED


def ports(pod: Pod, view: Occupancy) -> Check | None:
    """The host ports of the pod have to be free."""
    del view
    wanted = host_ports(pod)
    if not wanted:
        return None

    def check(state: NodeState) -> str:
        is_taken = any(port.conflicts(other) for port in wanted for other in state.ports)
        return NO_PORTS if is_taken else ""

    return check


def room(pod: Pod, view: Occupancy) -> Check | None:
    """A node takes as many pods as its kubelet says, whatever they ask of processor and memory."""
    del pod
    full = view.full
    return (lambda state: TOO_MANY if state.name in full else "") if full else None


# --- near to other pods, or away from them ---


def pod_affinity(pod: Pod, view: Occupancy) -> Check | None:
    """Near to the pods that it needs, away from those that it, or that themselves, want no other near."""
    affinity = pod.spec.affinity
    near = _required(None if affinity is None else affinity.pod_affinity)
    away = _required(None if affinity is None else affinity.pod_anti_affinity)
    checks = [
        _near(pod, near, view) if near else None,
        _away(pod, away, view) if away else None,
        _welcome(pod, view),
    ]
    present = [check for check in checks if check is not None]
    if not present:
        return None
    return lambda state: next((reason for check in present if (reason := check(state))), "")


def _required(affinity: PodAffinity | None) -> tuple[PodAffinityTerm, ...]:
    return () if affinity is None else affinity.required_during_scheduling_ignored_during_execution


def _near(pod: Pod, terms: Sequence[PodAffinityTerm], view: Occupancy) -> Check:
    """For each term there is a pod in the node's domain that meets all terms.

    If there is none anywhere, a pod that meets its own terms is the first.
    """
    groups = [group_of(term, pod, view.store) for term in terms]
    counts = view.tally(groups, with_terminating=True)
    domains = [(term.topology_key, view.domains(term.topology_key, counts)) for term in terms]
    is_first = not any(found for _, found in domains) and all(group.has(pod) for group in groups)

    def check(state: NodeState) -> str:
        values = [state.value(key) for key, _ in domains]
        if None in values:
            return NOT_NEAR
        is_near = all(value in found for value, (_, found) in zip(values, domains, strict=True))
        return "" if is_near or is_first else NOT_NEAR

    return check


def _away(pod: Pod, terms: Sequence[PodAffinityTerm], view: Occupancy) -> Check | None:
    domains = []
    for term in terms:
        counts = view.tally([group_of(term, pod, view.store)], with_terminating=True)
        found = view.domains(term.topology_key, counts)
        if found:
            domains.append((term.topology_key, found))
    return _outside(domains, TOO_NEAR)


def _welcome(pod: Pod, view: Occupancy) -> Check | None:
    domains = []
    for holding, counts in view.holdings():
        is_required = holding.is_anti and not holding.weight
        if is_required and group_of(holding.term, holding.pod, view.store).has(pod):
            domains.append((holding.term.topology_key, view.domains(holding.term.topology_key, counts)))
    return _outside(domains, NOT_WELCOME)


def _outside(domains: Sequence[tuple[str, Mapping[str, int]]], reason: str) -> Check | None:
    if not domains:
        return None
    return lambda state: reason if any(state.value(key) in found for key, found in domains) else ""
