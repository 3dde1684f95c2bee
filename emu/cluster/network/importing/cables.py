# SPDX-License-Identifier: GPL-2.0-only
"""Cables between namespaces that were all recorded."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, TypeAlias

from emu.cluster.network.importing.node import Role
from emu.cluster.network.importing.wiring import early_addresses, mtu_of
from emu.cluster.network.model import EndSpec, LinkSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.cluster.network.importing.draft import Draft
    from emu.cluster.network.importing.dump import Device
    from emu.cluster.network.importing.node import Node

End: TypeAlias = "tuple[Node, Device]"

CABLES = (Role.POD, Role.NETWORK)


def find_pairs(nodes: Sequence[Node]) -> list[tuple[End, End]]:
    """Return the veth pairs of which both ends were recorded.

    Each end tells the number of the other. Numbers are those of a namespace, so
    two ends fit each other by chance, too: they count as a pair only if one side's
    tables have the other's address.
    """
    ends = [(node, device) for node in nodes for device in node.with_role(*CABLES) if device.kind == "veth"]
    return [*_within(nodes), *_between([end for end in ends if end[1].elsewhere and end[1].peer_index])]


def _within(nodes: Iterable[Node]) -> list[tuple[End, End]]:
    """Return the pairs that are wholly in one namespace."""
    pairs: list[tuple[End, End]] = []
    for node in nodes:
        for device in node.with_role(*CABLES):
            other = node.devices.get(device.lower)
            is_pair = device.kind == "veth" and other is not None and other.lower == device.name
            if is_pair and other is not None and device.index < other.index and other.kind == "veth":
                pairs.append(((node, device), (node, other)))
    return pairs


def _between(ends: Sequence[End]) -> list[tuple[End, End]]:
    by_numbers: defaultdict[tuple[int, int], list[End]] = defaultdict(list)
    for end in ends:
        by_numbers[end[1].index, end[1].peer_index].append(end)
    fits: dict[tuple[str, str], list[End]] = {}
    for end in ends:
        others = by_numbers[end[1].peer_index, end[1].index]
        fits[_key(end)] = [
            other for other in others if other[0] is not end[0] and (_knows(end, other) or _knows(other, end))
        ]
    pairs: list[tuple[End, End]] = []
    taken: set[tuple[str, str]] = set()
    for end in ends:
        found = fits[_key(end)]
        if len(found) == 1 and [_key(back) for back in fits[_key(found[0])]] == [_key(end)]:
            if _key(end) not in taken:
                pairs.append((end, found[0]))
            taken |= {_key(end), _key(found[0])}
    return pairs


def _knows(end: End, other: End) -> bool:
    """Return whether the tables at `end` have the address of `other` behind it."""
    node, device = end
    mac = other[1].mac
    if node.owner(device) is not device:
        return mac in node.learned_on(device)
    return mac in node.neighbours_of(device).values()


def _key(end: End) -> tuple[str, str]:
    return end[0].ns, end[1].name


def end_of(node: Node, device: Device) -> EndSpec:
    """Return a cable's end at a node."""
    return EndSpec(
        node.ns,
        device.name,
        node.mac(device),
        early_addresses(device),
        mtu_of(device),
        up=device.name in node.running,
    )


def write_pair(pair: tuple[End, End], draft: Draft) -> None:
    """Write a cable between two ends that are known."""
    a, b = pair
    draft.links.append(LinkSpec(end_of(*a), end_of(*b)))
