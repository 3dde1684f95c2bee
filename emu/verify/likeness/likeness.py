# SPDX-License-Identifier: GPL-2.0-only
"""What is said of pods and ports: which questions one answer is enough for."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

Place: TypeAlias = str
"""The name of a network namespace: `NS/POD` is a pod's."""

_ITSELF = 0
_SAME_NODE = 1


@attrs.frozen
class PortClass:
    """Ports that nothing tells apart.

    Attributes:
        first: the least of them.
        last: the greatest; all that were asked between the two are of the class.
    """

    first: int
    last: int

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last


@attrs.frozen
class Likeness:
    """Which questions must end alike.

    A question is: `source` asks a port of `target` at its own address. Two of them
    end alike if `key` is the same for both and their ports are of one class: they
    are delivered with the same probability, and are lost for the same reasons.

    What `key` puts together: what both pods are like, whether they are one, on
    one node or on two, how the one's node sees the other pod and how the other's
    node sees the one. Of pods, nodes and pairs of them about which something is
    not understood every question has a key of its own.

    Attributes:
        port_classes: the ports asked, in ascending order; none for ICMP.
        refusals: why some questions share nothing, in words, sorted.
    """

    port_classes: tuple[PortClass, ...]
    refusals: tuple[str, ...] = ()
    _of: Mapping[Place, int | Place] = attrs.field(factory=dict, repr=False)
    _members: Mapping[Place, int] = attrs.field(factory=dict, repr=False)
    _asks: Mapping[Place, int] = attrs.field(factory=dict, repr=False)
    _homes: Mapping[Place, str] = attrs.field(factory=dict, repr=False)
    _foreign: Mapping[tuple[str, Place], int] = attrs.field(factory=dict, repr=False)
    _between: Mapping[tuple[str, str], int] = attrs.field(factory=dict, repr=False)
    _apart: frozenset[frozenset[Place]] = attrs.field(default=frozenset(), repr=False)

    def of(self, pod: Place) -> Hashable:
        """Return what a pod is like: its own name if it is like no other.

        It does not say all about two of them: `key` does.

        Raises:
            KeyError: nobody asked about this pod.
        """
        return self._of[pod]

    def key(self, source: Place, target: Place) -> Hashable:
        """Return what decides how `source` fares that asks `target`.

        Raises:
            KeyError: nobody asked about one of them.
        """
        one, other = self._of[source], self._of[target]
        if isinstance(one, str) or isinstance(other, str):
            return source, target
        if source == target:
            is_apart = frozenset((source,)) in self._apart
            return (
                (source, target)
                if is_apart
                else (one, _ITSELF, self._members[source] & self._asks.get(source, 0))
            )
        if self._apart and frozenset((source, target)) in self._apart:
            return source, target
        members, asks = self._members, self._asks
        is_asked = members[source] & asks.get(target, 0), members[target] & asks.get(source, 0)
        here, there = self._homes[source], self._homes[target]
        if here == there:
            return one, other, _SAME_NODE, is_asked
        between = self._between.get((here, there))
        to, fro = self._foreign.get((here, target)), self._foreign.get((there, source))
        if between is None or to is None or fro is None:
            return source, target
        return one, other, between, to, fro, is_asked


def port_classes(edges: Iterable[int], ports: Sequence[int]) -> tuple[PortClass, ...]:
    """Return the classes of `ports` when something changes at each of `edges`, from that port on."""
    found: list[PortClass] = []
    cuts = sorted(edges)
    at, was = 0, -1
    for port in sorted(set(ports)):
        while at < len(cuts) and cuts[at] <= port:
            at += 1
        if found and was == at:
            found[-1] = PortClass(found[-1].first, port)
        else:
            found.append(PortClass(port, port))
        was = at
    return tuple(found)
