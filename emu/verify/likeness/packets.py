# SPDX-License-Identifier: GPL-2.0-only
"""The sorts of packets that a node may see because of the questions.

What is asked and its answers; what goes around it, from node to node, in a
tunnel; and the messages of ICMP by which somebody complains. A rule that none of
them can fulfil changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.verify.likeness.universe import Extent, Universe

ICMP: Final = 1
_ANY_PORT: Final = ((0, 65535),)

Ports = tuple[tuple[int, int], ...]
"""Ranges of ports, both ends included, in ascending order."""


class Sort(NamedTuple):
    """Packets.

    Attributes:
        sources: who may have sent them.
        targets: whom they may be for.
        protocol: of IP.
        sports: their source ports, where the protocol has ports.
        dports: their destination ports.
        complains: they are errors about other packets, and no connection's first.
        is_around: they are around other packets, from node to node.
    """

    sources: Extent
    targets: Extent
    protocol: int
    sports: Ports = _ANY_PORT
    dports: Ports = _ANY_PORT
    complains: bool = False
    is_around: bool = False


class Tunnel(NamedTuple):
    """The packets around others: protocol, destination port if they have one, and whose they are."""

    protocol: int
    port: int | None
    ends: Extent


def sorts(
    universe: Universe, node: str, asked: tuple[int, Ports, Ports], tunnels: Sequence[Tunnel]
) -> Iterator[Sort]:
    """Yield the packets that `node` may see.

    Args:
        universe: who takes part.
        node: the network namespace of a node.
        asked: the protocol, the ports that are asked, those that whoever asks may have himself.
        tunnels: what goes around packets from node to node.
    """
    protocol, there, own = asked
    here = universe.pods._replace(pods=universe.own.get(node, 0))
    for sources, targets in ((here, universe.pods), (universe.pods, here)):
        if protocol == ICMP:
            yield Sort(sources, targets, protocol)
        else:
            yield Sort(sources, targets, protocol, own, there)
            yield Sort(sources, targets, protocol, there, own)
    yield Sort(universe.everybody, universe.everybody, ICMP, complains=True)
    for number, port, ends in tunnels:
        dports = _ANY_PORT if port is None else ((port, port),)
        yield Sort(ends, ends, number, dports=dports, is_around=True)


def meet(some: Ports, others: Ports) -> bool:
    """Return whether two rows of ranges have a port in common."""
    at = 0
    for first, last in some:
        while at < len(others) and others[at][1] < first:
            at += 1
        if at < len(others) and others[at][0] <= last:
            return True
    return False
