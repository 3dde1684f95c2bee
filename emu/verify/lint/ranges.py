# SPDX-License-Identifier: GPL-2.0-only
"""Ranges that overlap, addresses that two have, objects that are given twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.cluster.addressing import clashes
from emu.cluster.node_objects import plan
from emu.cluster.ranges import overlaps as overlapping
from emu.verify.lint.finding import Complaint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.verify.lint.facts import Facts


def overlaps(facts: Facts) -> Iterator[Complaint]:
    """Find ranges of pods, Services, nodes and hosts outside that have addresses in common."""
    for overlap in overlapping(facts.topology, plan(facts.topology)):
        known = [each for each in (overlap.one, overlap.other) if facts.places.has(each.subject)]
        one = known[-1] if known else overlap.one
        other = overlap.one if one is overlap.other else overlap.other
        where = f" ({facts.places.find(other.subject, other.path)})" if len(known) > 1 else ""
        yield Complaint(
            one.subject,
            one.path,
            f"{one} overlaps with {other}{where}",
            "give each a range of its own: a route knows one owner of an address",
        )


def duplicates(facts: Facts) -> Iterator[Complaint]:
    """Find addresses that two pods, nodes, Services or hosts outside have."""
    for clash in clashes(facts.topology):
        yield Complaint(
            clash.subject,
            clash.path,
            str(clash),
            "give one of them another address: whoever answers ARP first gets the packets",
        )


def repeated(facts: Facts) -> Iterator[Complaint]:
    """Find objects that the input has more than once."""
    for subject, spots in facts.places.repeated():
        yield Complaint(
            subject,
            "$",
            f"stands in the input {len(spots)} times ({', '.join(map(str, spots))}), and the last one counts",
            "keep one of them, or give them different names",
        )
