# SPDX-License-Identifier: GPL-2.0-only
"""Doing what was drawn in a cluster, and checking at once all that holds of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.testing.cluster_strategies import SMALLEST_MTU
from emu.testing.expectations import is_answered_from_elsewhere
from emu.testing.invariants import check_checksums, check_direct, check_nothing_lost
from emu.verify.endpoint import Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.testing.cluster_strategies import Traffic
    from emu.testing.clusters import ClusterLab, Party
    from emu.testing.invariants import Findings

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
        check_direct(found, lab, lab.ask(source, target.address, protocol, port, size=size), target)
    steps = lab.steps[first:]
    check_checksums(found, steps)
    check_nothing_lost(found, lab, steps)


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
