# SPDX-License-Identifier: GPL-2.0-only
"""One pod's turn: from all nodes to one, or to the reasons why none will do.

        nodes --lasting filters--> kept by spec --other filters--> enough nodes --scores--> best --draw--> one

Below a hundred nodes all are looked at; above, a share of them, from where the
last pod's search ended.

Source: pkg/scheduler/schedule_one.go (`findNodesThatPassFilters`,
`numFeasibleNodesToFind`, `selectHost`), pkg/scheduler/framework/types.go `FitError`.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import Counter
from operator import add
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.kube.scheduler.filters import NOT_NEAR
from emu.kube.scheduler.node_affinity import named_nodes
from emu.kube.scheduler.plugins import FILTERS, SCORES
from emu.kube.scheduler.spreading import NO_LABEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kube.api.objects import Pod
    from emu.kube.api.objects.pod import PodSpec
    from emu.kube.scheduler.filters import Check
    from emu.kube.scheduler.occupancy import NodeState, Occupancy
    from emu.sim.rng import Streams

ALL_LOOKED_AT: Final = 100
LEAST_SHARE: Final = 5  # percent

NOT_NAMED: Final = "node(s) didn't satisfy plugin(s) [NodeAffinity]"
NO_NODES: Final = "no nodes available to schedule pods"
NOT_HELPFUL: Final = "Preemption is not helpful for scheduling"
NO_VICTIMS: Final = "No preemption victims found for incoming pod"

_MOST_KEPT: Final = 4096  # specs whose nodes are remembered


class Refusal(NamedTuple):
    """Why a node will not do, and whether taking pods away from it could help."""

    reason: str
    is_final: bool


class Decision(NamedTuple):
    """The node for a pod; or None and why not, by number of nodes."""

    node: NodeState | None
    refusals: Counter[Refusal]
    nodes: int

    @property
    def message(self) -> str:
        """What an event says of a pod that found no node."""
        if not self.nodes:
            return NO_NODES
        reasons: Counter[str] = Counter()
        preemption: Counter[str] = Counter()
        for refusal, count in self.refusals.items():
            reasons[refusal.reason] += count
            preemption[NOT_HELPFUL if refusal.is_final else NO_VICTIMS] += count
        start = f"0/{self.nodes} nodes are available: "
        return f"{start}{_counted(reasons)} preemption: {start}{_counted(preemption)}"


def _counted(reasons: Counter[str]) -> str:
    """Return reasons with their counts, sorted as text."""
    return ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items())) + "."


class _Lasting(NamedTuple):
    """The nodes that a spec's lasting filters leave, by their places, and what they refused."""

    spec: PodSpec
    places: list[int]
    refusals: Counter[Refusal]


@attrs.define
class Cycle:
    """Finds nodes, one pod after the other.

    Args:
        view: what is on the nodes.
        streams: for the draw between nodes that are equally good.
    """

    view: Occupancy
    streams: Streams
    _start: int = attrs.field(default=0, init=False)
    _generation: int = attrs.field(default=-1, init=False)
    _kept: dict[int, _Lasting] = attrs.field(factory=dict, init=False)
    _alike: dict[str, _Lasting] = attrs.field(factory=dict, init=False)

    def decide(self, pod: Pod) -> Decision:
        """Return where `pod` is to run; the pods before it have to be counted already."""
        nodes = self.view.nodes
        lasting = self._lasting(pod)
        feasible, refusals = self._feasible(pod, nodes, lasting)
        if not feasible:
            return Decision(None, lasting.refusals + refusals, len(nodes))
        return Decision(self._best(pod, feasible), Counter(), len(nodes))

    def _lasting(self, pod: Pod) -> _Lasting:
        """Return the nodes that remain for the pod's spec, which many pods share; nodes seldom change."""
        if self._generation != self.view.generation or len(self._kept) > _MOST_KEPT:
            self._kept.clear()
            self._alike.clear()
            self._generation = self.view.generation
        spec = pod.spec
        known = self._kept.get(id(spec))
        if known is not None and known.spec is spec:
            return known
        wishes = _wishes(spec)
        known = self._alike.get(wishes)
        if known is None:
            known = self._alike[wishes] = self._look(pod)
        known = self._kept[id(spec)] = known._replace(spec=spec)
        return known

    def _look(self, pod: Pod) -> _Lasting:
        """Ask the lasting filters about each node."""
        spec = pod.spec
        nodes = self.view.nodes
        named = named_nodes(spec)
        looked_at = [
            (place, state) for place, state in enumerate(nodes) if named is None or state.name in named
        ]
        refusals: Counter[Refusal] = Counter()
        if len(looked_at) < len(nodes):
            refusals[Refusal(NOT_NAMED, is_final=True)] = len(nodes) - len(looked_at)
        checks = _checks(pod, self.view, is_lasting=True)
        places = []
        for place, state in looked_at:
            refusal = _refusal(checks, state)
            if refusal is None:
                places.append(place)
            else:
                refusals[refusal] += 1
        return _Lasting(spec, places, refusals)

    def _feasible(
        self, pod: Pod, nodes: Sequence[NodeState], lasting: _Lasting
    ) -> tuple[list[NodeState], Counter[Refusal]]:
        """Return enough nodes that pass the other filters too, from where the last search ended."""
        places = lasting.places
        enough = _enough(len(nodes))
        begin = bisect_left(places, self._start)
        ordered = places[begin:] + places[:begin] if begin else places
        checks = _checks(pod, self.view, is_lasting=False)
        refusals: Counter[Refusal] = Counter()
        feasible: list[NodeState] = []
        if not checks:
            feasible = list(map(nodes.__getitem__, ordered[:enough]))
            last = ordered[len(feasible) - 1] if feasible else -1
        else:
            last = -1
            for place in ordered:
                refusal = _refusal(checks, nodes[place])
                if refusal is not None:
                    refusals[refusal] += 1
                    continue
                feasible.append(nodes[place])
                last = place
                if len(feasible) == enough:
                    break
        if len(nodes) > ALL_LOOKED_AT and len(feasible) == enough:
            self._start = (last + 1) % len(nodes)
        return feasible, refusals

    def _best(self, pod: Pod, nodes: list[NodeState]) -> NodeState:
        """Return the node with the highest score; among equals the first by name, or one that is drawn.

        The first of a controller's pods, and every pod without one, takes the first by name.
        """
        if len(nodes) == 1:
            return nodes[0]
        total: list[int] = []
        for plugin in SCORES:
            rates = plugin.rate(pod, self.view, nodes)
            if rates is not None:
                weighted = rates if plugin.weight == 1 else map(plugin.weight.__mul__, rates)
                total = list(map(add, total, weighted)) if total else list(weighted)
        most = max(total)
        count = total.count(most)
        if count == 1:
            return nodes[total.index(most)]
        if not self.view.of_owner(pod):
            best = (state for state, score in zip(nodes, total, strict=True) if score == most)
            return min(best, key=lambda state: state.name)
        place = -1
        for _ in range(self._draw(pod, count) + 1):
            place = total.index(most, place + 1)
        return nodes[place]

    def _draw(self, pod: Pod, count: int) -> int:
        """Return a number below `count` that the seed and the pod's name decide.

        This is a stream of one draw: one that is kept for each pod of a large cluster is too much.
        """
        name = f"{self.streams.seed}/scheduler {pod.metadata.namespace}/{pod.metadata.name}"
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % count


def _wishes(spec: PodSpec) -> str:
    """Return what lasting filters look at, the same for specs to which they answer the same."""
    affinity = None if spec.affinity is None else spec.affinity.node_affinity
    return repr((spec.node_name, sorted(spec.node_selector.items()), affinity, spec.tolerations))


def _enough(nodes: int) -> int:
    """Return how many feasible nodes end a search among `nodes`."""
    if nodes < ALL_LOOKED_AT:
        return nodes
    share = max(LEAST_SHARE, 50 - nodes // 125)
    return max(ALL_LOOKED_AT, nodes * share // 100)


def _checks(pod: Pod, view: Occupancy, *, is_lasting: bool) -> list[tuple[Check, bool]]:
    found = []
    for plugin in FILTERS:
        if plugin.is_lasting == is_lasting:
            check = plugin.prepare(pod, view)
            if check is not None:
                found.append((check, plugin.is_final))
    return found


def _refusal(checks: Sequence[tuple[Check, bool]], state: NodeState) -> Refusal | None:
    for check, is_final in checks:
        reason = check(state)
        if reason:
            return Refusal(reason, is_final or reason in {NOT_NEAR, NO_LABEL})
    return None
