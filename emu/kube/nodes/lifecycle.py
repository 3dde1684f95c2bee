# SPDX-License-Identifier: GPL-2.0-only
"""The node lifecycle controller: who is silent is unknown, its pods are not ready, and it is tainted.

    lease not renewed --grace period--> Ready Unknown, pods not ready, NoSchedule
                                        --rate of the zone--> NoExecute --> evictions

It looks at all nodes every five seconds, but only while one of them is not well.

Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go, config/v1alpha1/defaults.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.objects import Node, Pod
from emu.kube.controller import Key, Queue
from emu.kube.events import NORMAL, WARNING, record
from emu.kube.nodes import taints
from emu.kube.nodes.leases import Leases
from emu.kube.nodes.zones import State, TaintQueue, interval_of, state_of, zone_of
from emu.sim.time import MILLISECOND, SECOND, Duration, Instant, later

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kube.api.store import Change, Store

NAME: Final = "node-controller"
MONITOR: Final[Duration] = 5 * SECOND
TAINTING: Final[Duration] = 100 * MILLISECOND
_LONGER_SINCE: Final = 32


def grace_period(minor: int) -> Duration:
    """Return how long a node may be silent in the release 1.`minor`."""
    return (50 if minor >= _LONGER_SINCE else 40) * SECOND


class NodeLifecycle:
    """Watches nodes and their leases.

    Args:
        store: the API server.
        minor: the release of Kubernetes is 1.`minor`.
    """

    def __init__(self, store: Store, *, minor: int = 35) -> None:
        self.leases = Leases()
        self._store = store
        self._loop = store.loop
        self._grace = grace_period(minor)
        self._began = self._loop.now
        self._forgiven: dict[str, Instant] = {}  # nodes count as heard of then, at the end of a disruption
        self._zones: dict[tuple[str, str], TaintQueue] = {}
        self._states: dict[tuple[str, str], State] = {}
        self._is_watching = False
        self._is_tainting = False
        self._queue = Queue(store, self)
        store.watch(Node, self._node_changed)
        for node in store.each(Node):
            self._queue.add(Key("", node.metadata.name))

    # --- the kubelets ---

    def begin(self, node: str) -> None:
        """Have the kubelet of `node` renew its lease every ten seconds from now on."""
        self.leases.begin(node, self._loop.now)
        self._queue.add(Key("", node))

    def end(self, node: str) -> None:
        """Have it renew no more: it is dead, or cut off."""
        self.leases.end(node, self._loop.now)
        self._watch()

    def renew(self, node: str) -> None:
        """Renew the lease of `node` once, out of turn."""
        self.leases.renew(node, self._loop.now)
        self._watch()

    # --- at once: taints that keep new pods away ---

    def reconcile(self, key: Key) -> None:
        """Give a node the taints NoSchedule that its conditions call for, and see whether it is well."""
        node = self._store.find(Node, key.name)
        if node is None:
            return
        self._store.put(taints.with_no_schedule(node, self._store.now))
        if not self._is_well(node):
            self._watch()

    def _node_changed(self, change: Change) -> None:
        old, new = change
        if isinstance(new, Node):
            self._queue.add(Key("", new.metadata.name))
        elif isinstance(old, Node):
            self.leases.forget(old.metadata.name)
            self._forgiven.pop(old.metadata.name, None)

    def _is_well(self, node: Node) -> bool:
        marked = any(
            each.effect == taints.NO_EXECUTE and each.key in {taints.NOT_READY, taints.UNREACHABLE}
            for each in node.spec.taints
        )
        return node.is_ready and not marked and self.leases.is_live(node.metadata.name)

    # --- every five seconds ---

    def _watch(self) -> None:
        """Look at the nodes at the next turn."""
        if not self._is_watching:
            self._is_watching = True
            self._loop.periodic_at(self._next(MONITOR), self._monitor)

    def _next(self, period: Duration) -> Instant:
        """Return the next instant of a period that began when the controller did."""
        return later(self._began, ((self._loop.now - self._began) // period + 1) * period)

    def _monitor(self) -> None:
        self._is_watching = False
        for node in self._store.list(Node):
            self._look_at(node)
        nodes = self._store.list(Node)
        self._see_zones(nodes)
        for node in nodes:
            self._mark(node)
        if any(not self._is_well(node) for node in self._store.each(Node)):
            self._watch()

    def _look_at(self, node: Node) -> None:
        """Find out whether a node is silent."""
        name, now = node.metadata.name, self._loop.now
        heard = self._heard(name)
        if heard is None or now - heard < self._grace or taints.ready_status(node) == "Unknown":
            return
        was_ready = node.is_ready
        self._store.put(taints.silent(node, self._store.now))
        if was_ready:
            words = f"Node {name} status is now: NodeNotReady"
            record(self._store, node, NORMAL, "NodeNotReady", words, NAME)
            for pod in self._store.list(Pod):
                if pod.spec.node_name == name and pod.is_ready:
                    changed = self._store.put(taints.not_ready(pod, self._store.now))
                    record(self._store, changed, WARNING, "NodeNotReady", "Node is not ready", NAME)

    def _heard(self, name: str) -> Instant | None:
        """Return when this controller saw the node's lease renewed last: at one of its turns."""
        now = self._loop.now
        renewed = self.leases.renewed(name, now)
        if renewed is None:
            return None
        turns = -(-(renewed - self._began) // MONITOR)
        seen = later(self._began, turns * MONITOR)
        return max(seen, self._forgiven.get(name, seen))

    # --- zones ---

    def _see_zones(self, nodes: list[Node]) -> None:
        """Set the rates of zones; where all nodes of all zones are ill, the fault is ours."""
        by_zone: dict[tuple[str, str], list[Node]] = {}
        for node in nodes:
            by_zone.setdefault(zone_of(node), []).append(node)
        states = {zone: state_of(members) for zone, members in by_zone.items()}
        before = self._is_disrupted(self._states)
        self._states = states
        now = self._loop.now
        if self._is_disrupted(states):
            for node in nodes:
                self._store.put(taints.without_no_execute(node))
            for queue in self._zones.values():
                queue.waiting.clear()
                queue.slow_to(None, now)
            return
        if before:
            self._forgiven = {node.metadata.name: now for node in nodes}
        for zone, state in states.items():
            queue = self._zones.setdefault(zone, TaintQueue())
            queue.slow_to(interval_of(state, len(by_zone[zone])), now)

    @staticmethod
    def _is_disrupted(states: Mapping[tuple[str, str], State]) -> bool:
        return bool(states) and all(state is State.FULL for state in states.values())

    # --- taints that drive pods away ---

    def _mark(self, node: Node) -> None:
        """Have a node that is ill wait for its taint; take it from one that is well."""
        name = node.metadata.name
        queue = self._zones.setdefault(zone_of(node), TaintQueue())
        if node.is_ready:
            queue.waiting.pop(name, None)
            self._store.put(taints.without_no_execute(node))
            return
        if self._is_disrupted(self._states):
            return
        has_one = taints.without_no_execute(node) is not node
        if has_one:
            self._store.put(taints.with_no_execute(node, self._store.now))
        elif taints.ready_status(node):
            queue.waiting[name] = None
            self._taint_later()

    def _taint_later(self) -> None:
        if not self._is_tainting:
            self._is_tainting = True
            self._loop.periodic_at(self._next(TAINTING), self._taint)

    def _taint(self) -> None:
        """Taint the nodes whose turn it is."""
        self._is_tainting = False
        now = self._loop.now
        for zone in sorted(self._zones):
            queue = self._zones[zone]
            while (name := queue.take(now)) is not None:
                node = self._store.find(Node, name)
                if node is not None and not node.is_ready:
                    self._store.put(taints.with_no_execute(node, self._store.now))
        due = [queue.free for queue in self._zones.values() if queue.waiting and queue.interval is not None]
        if due:
            self._is_tainting = True
            steps = -(-(max(min(due), now + 1) - self._began) // TAINTING)
            self._loop.periodic_at(later(self._began, steps * TAINTING), self._taint)
