# SPDX-License-Identifier: GPL-2.0-only
"""What is on which node, counted as pods come and go.

Nobody walks over all pods to place one: each number that a plugin asks for is
kept up to date from changes. A group of pods that somebody asked for once is
counted from then on.
"""

from __future__ import annotations

from collections import Counter
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kube.api.numbers import whole
from emu.kube.api.objects import Node, Pod
from emu.kube.scheduler.taints import PREFER_NO_SCHEDULE
from emu.kube.scheduler.terms import term_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from emu.kube.api.objects.scheduling import PodAffinity, PodAffinityTerm
    from emu.kube.api.store import Change, Store
    from emu.kube.scheduler.terms import Group

HOSTNAME: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"
REGION: Final = "topology.kubernetes.io/region"

_UNLIMITED: Final = 1 << 62


class HostPort(NamedTuple):
    """A port of a node that a pod has for itself; an empty address is all of them."""

    protocol: str
    port: int
    address: str

    def conflicts(self, other: HostPort) -> bool:
        """Return whether both cannot be had at a time."""
        is_same = self.protocol == other.protocol and self.port == other.port
        return is_same and (not self.address or not other.address or self.address == other.address)


def host_ports(pod: Pod) -> list[HostPort]:
    """Return the ports that `pod` takes of its node."""
    containers = (
        *pod.spec.containers,
        *(each for each in pod.spec.init_containers if each.restart_policy == "Always"),
    )
    return [
        HostPort(port.protocol, port.host_port, "" if port.host_ip == "0.0.0.0" else port.host_ip)  # noqa: S104  # how the API writes every address
        for container in containers
        for port in container.ports
        if port.host_port > 0
    ]


class NodeState:
    """A node, and how many pods and which ports are taken on it."""

    __slots__ = ("limit", "name", "node", "pods", "ports")

    def __init__(self, node: Node) -> None:
        self.name = node.metadata.name
        self.node = node
        self.pods = 0
        self.ports: Counter[HostPort] = Counter()
        self.limit = _limit(node)

    def value(self, key: str) -> str | None:
        """Return the node's label `key`, None if it has none."""
        return self.node.metadata.labels.get(key)


def _limit(node: Node) -> int:
    """Return how many pods the kubelet takes, if it says so."""
    text = str(node.status.allocatable.get("pods", ""))
    found = whole(text)
    return _UNLIMITED if found is None else found


class Tally:
    """How many pods that are in each of some groups run on each node."""

    __slots__ = ("_groups", "_with_terminating", "counts")

    def __init__(self, groups: Sequence[Group], *, with_terminating: bool) -> None:
        self._groups = groups
        self._with_terminating = with_terminating
        self.counts: Counter[str] = Counter()

    def count(self, pod: Pod, amount: int) -> None:
        """Add a pod (`amount` 1) or take it away (-1)."""
        if pod.metadata.deletion_timestamp is not None and not self._with_terminating:
            return
        if all(group.has(pod) for group in self._groups):
            _add(self.counts, pod.spec.node_name, amount)


class Holding(NamedTuple):
    """A term that pods on nodes have; `weight` is below 0 for anti-affinity, and 0 where it is required."""

    weight: int
    is_anti: bool
    term: PodAffinityTerm
    pod: Pod


class Occupancy:
    """Nodes in the order in which they are looked at, and what is on them.

    Args:
        store: whose nodes and pods are counted, from now on as they change.
        version: of Kubernetes, for what differs.
    """

    def __init__(self, store: Store, version: tuple[int, int]) -> None:
        self.store = store
        self.version = version
        self.generation = 0  # of the nodes: counts what may change where pods can run
        self.full: dict[str, None] = {}  # names of nodes that take no further pod
        self._states: dict[str, NodeState] = {}
        self._ordered: list[NodeState] | None = None
        self._known_traits: tuple[bool, bool] | None = None
        self._placed: dict[str, dict[tuple[str, str], Pod]] = {}
        self._by_owner: dict[str, Counter[str]] = {}
        self._tallies: dict[object, Tally] = {}
        self._holders: dict[object, tuple[Holding, Counter[str]]] = {}
        for node in store.each(Node):
            self.set_node(node)
        for pod in store.each(Pod):
            self._count(pod, 1)

    # --- nodes ---

    @property
    def nodes(self) -> list[NodeState]:
        """All nodes: by name, one of each zone in turn."""
        if self._ordered is None:
            zones: dict[tuple[str | None, str | None], list[NodeState]] = {}
            for name in sorted(self._states):
                state = self._states[name]
                zones.setdefault((state.value(REGION), state.value(ZONE)), []).append(state)
            rounds = zip_longest(*zones.values())
            self._ordered = [state for turn in rounds for state in turn if state is not None]
        return self._ordered

    def node(self, name: str) -> NodeState | None:
        """Return a node by name."""
        return self._states.get(name)

    def set_node(self, node: Node) -> None:
        """Take note of a node as it is now."""
        name = node.metadata.name
        known = self._states.get(name)
        self._nodes_changed()
        if known is None:
            state = self._states[name] = NodeState(node)
            for pod in self._placed.get(name, {}).values():
                self._sit(state, pod, 1)
        else:
            known.node = node
            known.limit = _limit(node)
            self._note_full(known)

    def remove_node(self, name: str) -> None:
        """Take note that a node is gone; pods stay where they were said to be."""
        self._states.pop(name, None)
        self.full.pop(name, None)
        self._nodes_changed()

    @property
    def has_zones(self) -> bool:
        """Whether any node is in a zone."""
        return self._traits[0]

    @property
    def has_deterrents(self) -> bool:
        """Whether any node has a taint that prefers others."""
        return self._traits[1]

    @property
    def _traits(self) -> tuple[bool, bool]:
        if self._known_traits is None:
            nodes = [state.node for state in self._states.values()]
            self._known_traits = (
                any(ZONE in node.metadata.labels for node in nodes),
                any(taint.effect == PREFER_NO_SCHEDULE for node in nodes for taint in node.spec.taints),
            )
        return self._known_traits

    def _nodes_changed(self) -> None:
        self.generation += 1
        self._ordered = self._known_traits = None

    # --- pods ---

    def pod_changed(self, change: Change) -> bool:
        """Count a pod that came, went or changed; return whether that matters to where others may run."""
        old, new = change
        assert old is None or isinstance(old, Pod)
        assert new is None or isinstance(new, Pod)
        if old is not None and new is not None and _counts_alike(old, new):
            key = new.metadata.namespace, new.metadata.name
            placed = self._placed.get(new.spec.node_name, {})
            if key in placed:
                placed[key] = new
            return False
        if old is not None:
            self._count(old, -1)
        if new is not None:
            self._count(new, 1)
        return True

    def _count(self, pod: Pod, amount: int) -> None:
        name = pod.spec.node_name
        if not name or pod.is_finished:
            return
        metadata = pod.metadata
        placed = self._placed.setdefault(name, {})
        if amount > 0:
            placed[metadata.namespace, metadata.name] = pod
        else:
            placed.pop((metadata.namespace, metadata.name), None)
        owner = metadata.controller
        if owner is not None and metadata.deletion_timestamp is None:
            _add(self._by_owner.setdefault(owner.uid, Counter()), name, amount)
        for tally in self._tallies.values():
            tally.count(pod, amount)
        if pod.spec.affinity is not None:
            self._hold(pod, amount)
        state = self._states.get(name)
        if state is not None:
            self._sit(state, pod, amount)

    def _sit(self, state: NodeState, pod: Pod, amount: int) -> None:
        state.pods += amount
        for port in host_ports(pod):
            state.ports[port] += amount
            if not state.ports[port]:
                del state.ports[port]
        self._note_full(state)

    def _note_full(self, state: NodeState) -> None:
        if state.pods >= state.limit:
            self.full[state.name] = None
        else:
            self.full.pop(state.name, None)

    # --- numbers ---

    def of_owner(self, pod: Pod) -> Mapping[str, int]:
        """Return how many pods of the same controller are on each node, those on their way out apart."""
        owner = pod.metadata.controller
        return {} if owner is None else self._by_owner.get(owner.uid, {})

    def tally(self, groups: Sequence[Group], *, with_terminating: bool) -> Mapping[str, int]:
        """Return how many pods that are in each of `groups` run on each node."""
        key = (*(group.key for group in groups), with_terminating)
        found = self._tallies.get(key)
        if found is None:
            found = self._tallies[key] = Tally(groups, with_terminating=with_terminating)
            for pods in self._placed.values():
                for pod in pods.values():
                    found.count(pod, 1)
        return found.counts

    def holdings(self) -> Iterator[tuple[Holding, Mapping[str, int]]]:
        """Yield each term of affinity that pods on nodes have, and how many have it on each node."""
        yield from self._holders.values()

    def domains(self, key: str, counts: Mapping[str, int]) -> Counter[str]:
        """Return `counts` of nodes as counts of the values that the nodes have for a label."""
        found: Counter[str] = Counter()
        for name, count in counts.items():
            state = self._states.get(name)
            value = None if state is None else state.value(key)
            if value is not None:
                found[value] += count
        return found

    def _hold(self, pod: Pod, amount: int) -> None:
        """Count the terms of a pod that concern others."""
        assert pod.spec.affinity is not None
        for part, is_anti in (
            (pod.spec.affinity.pod_affinity, False),
            (pod.spec.affinity.pod_anti_affinity, True),
        ):
            if part is None:
                continue
            for weight, term in _weighted(part):
                key = weight, is_anti, *term_key(term, pod)
                if key not in self._holders:
                    self._holders[key] = Holding(weight, is_anti, term, pod), Counter()
                counts = self._holders[key][1]
                _add(counts, pod.spec.node_name, amount)
                if not counts:
                    del self._holders[key]


def _weighted(affinity: PodAffinity) -> Iterator[tuple[int, PodAffinityTerm]]:
    """Yield the terms of one part of a pod's affinity; those that are required weigh nothing."""
    for term in affinity.required_during_scheduling_ignored_during_execution:
        yield 0, term
    for each in affinity.preferred_during_scheduling_ignored_during_execution:
        yield each.weight, each.pod_affinity_term


def _add(counts: Counter[str], name: str, amount: int) -> None:
    counts[name] += amount
    if not counts[name]:
        del counts[name]


def _counts_alike(old: Pod, new: Pod) -> bool:
    """Return whether a pod counts the same as before."""
    return (
        old.spec.node_name == new.spec.node_name
        and (old.metadata.deletion_timestamp is None) == (new.metadata.deletion_timestamp is None)
        and old.is_finished == new.is_finished
        and old.metadata.labels == new.metadata.labels
        and old.metadata.controller == new.metadata.controller
        and old.metadata.uid == new.metadata.uid
    ) or not (old.spec.node_name or new.spec.node_name)
