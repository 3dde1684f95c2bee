# SPDX-License-Identifier: GPL-2.0-only
"""Ports at which something may change where rules are not understood: every number that stands in them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.namespace import Namespace

_NUMBER: Final = re.compile(r"0x[0-9a-fA-F]+|\d+")
_MOST: Final = 65535


def edges(net: Namespace) -> set[int]:
    """Return the numbers in a namespace's rules, sets, virtual services and filters that may be ports.

    Each is an edge, and so is the one behind it.
    """
    found: set[int] = set()
    for text in _texts(net):
        numbers = [int(each, 0) if each.startswith("0x") else int(each) for each in _NUMBER.findall(text)]
        found.update(edge for each in numbers if each <= _MOST for edge in (each, each + 1))
    return found


def _texts(net: Namespace) -> Iterator[str]:
    for guard in net.guards:
        yield guard.words
    netfilter = net.used_netfilter
    if netfilter is None:
        return
    for table in netfilter.tables.values():
        for chain in table.table.by_name.values():
            yield from (repr((rule.matches, rule.target)) for rule in chain.rules)
    for named in netfilter.ipsets:
        yield from (repr(member.element) for member in named.listed(net.now))
    for live in netfilter.nft.tables.values():
        for linked in live.chains.values():
            yield from (repr(rule.value.statements) for rule in linked.rules)
        for one in live.sets.values():
            yield from (repr((slot.element.key, slot.element.data)) for slot in one.slots.values())
    for service in netfilter.ipvs.services:
        yield repr(service)
