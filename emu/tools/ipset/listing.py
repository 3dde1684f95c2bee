# SPDX-License-Identifier: GPL-2.0-only
"""What `ipset list` and `ipset save` print.

Elements of a hash come in the order in which they were added (see
`emu.kernel.netfilter.ipset.hash`); what `save` prints makes the sets anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel.netfilter.ipset.types import Method
from emu.tools.ipset import create, entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emu.kernel.netfilter.ipset.base import Set
    from emu.kernel.netfilter.ipset.element import Member
    from emu.sim.time import Instant


def render_list(known: Set, references: int, now: Instant, *, terse: bool, is_sorted: bool) -> str:
    """Return one set as `ipset list` shows it.

    Args:
        known: the set.
        references: how many rules and lists use it.
        now: the instant.
        terse: leave the elements out.
        is_sorted: sort the elements.
    """
    lines = [
        f"Name: {known.name}",
        f"Type: {known.spec.type.name}",
        f"Revision: {known.spec.type.revision}",
        f"Header: {create.render(known.spec)}",
        f"Size in memory: {known.memory(now)}",
        f"References: {references}",
        f"Number of entries: {sum(1 for _ in known.listed(now))}",
    ]
    if not terse:
        members = (entries.render(known.spec, member, now) for member in _members(known, now, is_sorted))
        lines += ["Members:", *members]
    return "".join(f"{line}\n" for line in lines)


def render_save(sets: Iterable[Set], now: Instant, *, is_sorted: bool = False) -> str:
    """Return what `ipset save` prints of `sets`: each made, then filled."""
    return "".join(f"{line}\n" for known in sets for line in _save_lines(known, now, is_sorted))


def _save_lines(known: Set, now: Instant, is_sorted: bool) -> Iterator[str]:  # noqa: FBT001 - one caller
    yield f"create {known.name} {known.spec.type.name} {create.render(known.spec)}"
    for member in _members(known, now, is_sorted):
        yield f"add {known.name} {entries.render(known.spec, member, now)}"


def _members(known: Set, now: Instant, is_sorted: bool) -> list[Member]:  # noqa: FBT001 - two callers
    members = list(known.listed(now))
    if is_sorted and known.spec.type.method is not Method.LIST:
        members.sort(key=lambda member: member.element)
    return members
