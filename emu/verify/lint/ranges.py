# SPDX-License-Identifier: GPL-2.0-only
"""Ranges that overlap, addresses that two have, objects that are given twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.cluster.node_objects import plan
from emu.cluster.ranges import overlaps as overlapping
from emu.cluster.topology.places import Subject
from emu.kube.api.objects import Node, Pod, Service
from emu.verify.lint.facts import address_of
from emu.verify.lint.finding import Complaint, subject_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.verify.lint.facts import Facts
    from emu.wire.addresses import IpAddress


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
    owners: dict[IpAddress, tuple[Subject, str]] = {}
    for address, subject, path, words in _addresses(facts):
        known = owners.setdefault(address, (subject, words))
        if known != (subject, words):
            yield Complaint(
                subject,
                path,
                f"{words} has the address {address}, and so has {known[1]}",
                "give one of them another address: whoever answers ARP first gets the packets",
            )


def _addresses(facts: Facts) -> Iterator[tuple[IpAddress, Subject, str, str]]:
    """Yield each address that the input gives to somebody: whose, and where it says so."""
    for index, entry in enumerate(facts.topology.cluster.nodes):
        for device in entry.addresses:
            for each in device:
                path = f"$.spec.nodes[{index}].addresses"
                yield each.address, Subject("Cluster"), path, f"node {entry.name}"
    entries = {entry.name for entry in facts.topology.cluster.nodes if entry.addresses}
    seen = set()
    for obj in facts.topology.objects:
        texts: tuple[str, ...] = ()
        path = "$"
        if isinstance(obj, Node) and obj.metadata.name not in entries:
            texts, path = tuple(obj.addresses("InternalIP")), "$.status.addresses"
        elif isinstance(obj, Pod) and not obj.spec.host_network and not obj.is_finished:
            texts, path = (obj.status.pod_ip,), "$.status.podIP"
        elif isinstance(obj, Service):
            texts, path = (obj.spec.cluster_ip,), "$.spec.clusterIP"
        if texts:
            subject = subject_of(obj)  # type: ignore[arg-type]  # one of the three
            for text in texts:
                address = address_of(text)
                if address is not None and (address, subject) not in seen:
                    seen.add((address, subject))
                    yield address, subject, path, f"{subject.kind.lower()} {str(subject).partition(' ')[2]}"
    for index, host in enumerate(facts.topology.fabric.external):
        path = f"$.spec.external[{index}].ip"
        yield host.address, Subject("Fabric"), path, f"outside host {host.name}"


def repeated(facts: Facts) -> Iterator[Complaint]:
    """Find objects that the input has more than once."""
    for subject, spots in facts.places.repeated():
        yield Complaint(
            subject,
            "$",
            f"stands in the input {len(spots)} times ({', '.join(map(str, spots))}), and the last one counts",
            "keep one of them, or give them different names",
        )
