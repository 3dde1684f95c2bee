# SPDX-License-Identifier: GPL-2.0-only
"""Whom steps and traffic of `Scenario` documents name: those who cannot be are told before anything is done.

Nodes and hosts outside never come later. Pods, workloads and Services may: they
are missed where no object of the input, of a step, or of a workload is called so.
A step that is expected to print something may name anybody: that may be what is tried.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.cluster.expectation import split_flow
from emu.cluster.node_objects import plan
from emu.cluster.outside import LAPTOP
from emu.cluster.points import WORKLOADS, parse_point
from emu.cluster.steps.links import leading
from emu.cluster.underlay.names import is_underlay
from emu.cluster.underlay.places import SWITCH
from emu.errors import Fault, did_you_mean
from emu.kube.api.objects import Other, Pod, Service

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.cluster.points import Point
    from emu.cluster.timeline.traffic import TrafficSpec
    from emu.cluster.topology import Topology
    from emu.kube.api.objects import Object

_RESOLVER: Final = "resolver"
_OF_NODES: Final = frozenset(("fail", "recover", "reboot", "cordon", "uncordon", "drain"))
_MAKING: Final = frozenset((("run",), ("create",), ("expose",)))
_OF_COMPONENTS: Final = frozenset(("stop", "start"))
_MADE: Final = frozenset(("kube-system", "ingress-nginx"))
"""Namespaces in which clusters have objects that nobody wrote."""


def faults_of(topology: Topology) -> list[Fault]:
    """Return the names in steps and traffic that nobody has.

    Raises:
        DocumentError: there are more nodes than addresses for them.
    """
    if not topology.steps and not topology.traffic:
        return []
    directory = _Directory(topology, tuple(each.node.metadata.name for each in plan(topology)))
    found = [
        Fault(step.file, step.line, "$.spec.steps", words)
        for step in topology.steps
        if step.said is None
        for words in directory.of_step(step.words)
    ]
    return found + [
        Fault(each.file, each.line, f"$.spec.traffic ({each.name})", words)
        for each in topology.traffic
        for words in directory.of_traffic(each)
    ]


class _Directory:
    """Who there is, and who may come."""

    def __init__(self, topology: Topology, nodes: tuple[str, ...]) -> None:
        fabric = topology.fabric
        later = (each for step in topology.steps for each in step.objects)
        self._objects = [each for each in (*topology.objects, *later) if not isinstance(each, Other)]
        making = (word for step in topology.steps if step.words[:1] in _MAKING for word in step.words)
        self._said = frozenset(part for word in making for part in (word, *re.split("[/=]", word)))
        self._nodes = nodes
        self._outside = (*(each.name for each in fabric.external or (LAPTOP,)), _RESOLVER)
        cabled = (end.machine for link in fabric.links for end in link.ends)
        routers = (each.name for each in fabric.routers)
        switches = (each.name for each in fabric.switches)
        self._machines = {*nodes, *cabled, *routers, *switches, *self._outside}

    def of_step(self, words: Sequence[str]) -> Iterator[str]:
        """Yield what is wrong with the names in a step."""
        verb, *rest = words or ("",)
        plain = [word for word in rest if not word.startswith("-")]
        if verb in _OF_NODES:
            yield from self._node(plain[0].removeprefix("node/"))
        elif verb in _OF_COMPONENTS:
            yield from self._node(next(each for each in plain if each != "component").removeprefix("node/"))
        elif verb == "exec" and plain and plain[0].startswith(("node/", "ext/")):
            yield from self._point(parse_point(plain[0]))
        elif verb == "link":
            for each in leading(rest):
                name = each.partition(":")[0].removeprefix("node/")
                is_known = name in self._machines or name.startswith(SWITCH) or is_underlay(name)
                if "/" not in name and not is_known:
                    yield f"there is no machine {name}{did_you_mean(name, self._machines)}"

    def of_traffic(self, spec: TrafficSpec) -> Iterator[str]:
        """Yield what is wrong with who asks, and with who is asked unless that may be a name of DNS."""
        yield from self._point(parse_point(spec.source))
        target, _ = split_flow(spec.target)
        if spec.kind != "dns" and ("." not in target or "/" in target):
            yield from self._point(parse_point(target))

    def _node(self, name: str) -> Iterator[str]:
        if name not in self._nodes:
            yield f"there is no node {name}{did_you_mean(name, self._nodes)}"

    def _point(self, point: Point) -> Iterator[str]:
        if point.kind == "node":
            yield from self._node(point.name)
        elif point.kind == "ext":
            if point.name not in self._outside:
                hint = did_you_mean(point.name, self._outside)
                yield f"there is no host outside called {point.name}{hint}"
        elif not self._may_be(point):
            kind = {"pod": "pod", "svc": "Service"}.get(point.kind, point.kind)
            beside = [each.metadata.name for each in self._of_kind(point)]
            hint = did_you_mean(point.name, beside)
            yield f"there is no {kind} {point.namespace}/{point.name}, and no step makes one{hint}"

    def _may_be(self, point: Point) -> bool:
        if point.namespace in _MADE or point.name == "kubernetes" or point.name in self._said:
            return True
        if any(each.metadata.name == point.name for each in self._of_kind(point)):
            return True
        makers = tuple(each for kind, each in WORKLOADS.items() if kind != point.kind)
        return point.kind in {"pod", "rs", "replicaset", "job"} and any(
            isinstance(each, makers)
            and each.metadata.namespace == point.namespace
            and point.name.startswith(f"{each.metadata.name}-")
            for each in self._objects
        )

    def _of_kind(self, point: Point) -> Iterator[Object]:
        kind = {"pod": Pod, "svc": Service, **WORKLOADS}[point.kind]
        for each in self._objects:
            if isinstance(each, kind) and each.metadata.namespace == point.namespace:
                yield each
