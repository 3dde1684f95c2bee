# SPDX-License-Identifier: GPL-2.0-only
"""Doing what was drawn in a cluster, and checking at once all that holds of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.testing.cluster_strategies import SMALLEST_MTU
from emu.testing.expectations import is_answered_from_elsewhere, is_hidden
from emu.testing.invariants import check_checksums, check_direct, check_nothing_lost
from emu.testing.service_invariants import backends, check_service, doors
from emu.verify.endpoint import Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.testing.cluster_strategies import Traffic
    from emu.testing.clusters import ClusterLab, Party
    from emu.testing.invariants import Findings
    from emu.testing.service_invariants import Door

_HEADERS: Final = 40  # octets of IP and what is in it, with some room
_MOST_OF_SCTP: Final = 1200  # one chunk


def talk(found: Findings, lab: ClusterLab, traffics: Iterable[Traffic]) -> None:
    """Have those talk who were drawn, and check all that is promised of it."""
    first = len(lab.steps)
    for each in traffics:
        parties = lab.parties
        source = parties[each.source % len(parties)]
        target = parties[each.target % len(parties)]
        protocol, port = _question(source, target, each.protocol)
        size = _size(source, target, protocol, each.size)
        exchange = lab.ask(source, target.address, protocol, port, size=size)
        if is_hidden(lab, source, target):
            what = f"{source.name} asks {target.name}, which is private: {exchange.outcome}"
            found.expect("answered", what, holds=exchange.outcome != "ok")
        else:
            check_direct(found, lab, exchange, target)
    steps = lab.steps[first:]
    check_checksums(found, steps)
    check_nothing_lost(found, lab, steps)


def talk_to_services(found: Findings, lab: ClusterLab, traffics: Iterable[Traffic]) -> None:
    """Have those ask Services who were drawn, twice each, and check all that is promised of it."""
    first = len(lab.steps)
    every = list(doors(lab))
    for each in traffics if every else ():
        door = every[each.target % len(every)]
        source = _asker(lab, door, each.source)
        if any(is_hidden(lab, source, node) for node in lab.nodes):
            continue
        protocol = Protocol(door.port.protocol)
        size = _size(source, source, protocol, min(each.size, SMALLEST_MTU - _HEADERS))
        for _ in range(2):
            if _can_answer(lab, door, protocol):
                exchange = lab.ask(source, door.address, protocol, door.number, size=size)
                check_service(found, lab, exchange, door)
    steps = lab.steps[first:]
    check_checksums(found, steps)
    check_nothing_lost(found, lab, steps)


def _asker(lab: ClusterLab, door: Door, number: int) -> Party:
    """Return who asks: node ports are for those outside, other addresses for pods and nodes."""
    inside = [*lab.pods, *lab.nodes]
    found = lab.externals if door.entrance == "node port" else inside
    return found[number % len(found)]


def _can_answer(lab: ClusterLab, door: Door, protocol: Protocol) -> bool:
    """Return whether all backends answer as those who were asked (see `is_answered_from_elsewhere`)."""
    return protocol is not Protocol.UDP or all(each.role == "pod" for each in backends(lab, door).values())


def _question(source: Party, target: Party, wanted: Protocol) -> tuple[Protocol, int]:
    """Return by which protocol and port `source` asks `target`, as near to what is wanted as can be."""
    if wanted is Protocol.UDP and is_answered_from_elsewhere(source, target):
        wanted = Protocol.TCP
    port = next((port for protocol, port in target.ports if protocol == wanted.value), 0)
    return (wanted, port) if port else (Protocol.ICMP, 0)


def _size(source: Party, target: Party, protocol: Protocol, wanted: int) -> int:
    """Return how many octets are sent: more than a packet holds only where all devices on the way are alike.

    Elsewhere a datagram is refused by a router, and nobody sends it again.
    """
    if protocol is Protocol.TCP:
        return wanted
    if protocol is Protocol.SCTP:
        return min(wanted, _MOST_OF_SCTP)
    is_alike = source.role == target.role == "pod"
    return wanted if is_alike else min(wanted, SMALLEST_MTU - _HEADERS)
