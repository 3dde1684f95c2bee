# SPDX-License-Identifier: GPL-2.0-only
"""What is said of pods and ports: which questions one answer is enough for."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

Place: TypeAlias = str
"""The name of a network namespace: `NS/POD` is a pod's."""


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

    Attributes:
        port_classes: the ports asked, in ascending order; none for ICMP.
        refusals: why some questions share nothing, in words, sorted.
    """

    port_classes: tuple[PortClass, ...]
    refusals: tuple[str, ...] = ()
    _of: Mapping[Place, Hashable] = attrs.field(factory=dict, repr=False)

    def of(self, pod: Place) -> Hashable:
        """Return what a pod is like. It does not say enough about two of them: `key` does.

        Raises:
            KeyError: nobody asked about this pod.
        """
        return self._of[pod]

    def key(self, source: Place, target: Place) -> Hashable:
        """Return what decides how `source` fares that asks `target`.

        Raises:
            KeyError: nobody asked about one of them.
        """
        return self.of(source), self.of(target)


def port_classes(edges: Sequence[int], ports: Sequence[int]) -> tuple[PortClass, ...]:
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
