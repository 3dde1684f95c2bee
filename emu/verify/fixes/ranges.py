# SPDX-License-Identifier: GPL-2.0-only
"""Ranges that overlap: another one for the pods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

from emu.verify.fixes.documents import document
from emu.verify.fixes.fix import Proposal
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.cluster.topology import ClusterSpec
    from emu.verify.fixes.case import Case
    from emu.wire.addresses import IpAddress

_FREE: Final = ("10.244.0.0/16", "10.42.0.0/16", "172.20.0.0/16", "100.64.0.0/16", "192.168.0.0/16")


def take_another_range(case: Case) -> Iterator[Proposal]:
    """Give pods addresses that nobody else has."""
    if case.cluster is None:
        return
    spec = case.cluster.topology.cluster
    taken = [*_taken(case), spec.service_cidr]
    if not any(_overlap(spec.pod_cidr, each) for each in taken):
        return
    for text in _FREE:
        wanted = Prefix.parse(text)
        if any(_overlap(wanted, each) for each in taken):
            continue

        def change(spec: ClusterSpec, wanted: Prefix = wanted) -> ClusterSpec:
            nodes = tuple(attrs.evolve(node, pod_cidr=None) for node in spec.nodes)
            return attrs.evolve(spec, pod_cidr=wanted, nodes=nodes)

        words = f"the pods' range {spec.pod_cidr} holds addresses of others: take one that nobody has"
        old: dict[str, Any] = {"podCIDR": str(spec.pod_cidr)}
        new: dict[str, Any] = {"podCIDR": text}
        own = [node for node in spec.nodes if node.pod_cidr is not None]
        if own:  # they are parts of the old range: nodes get parts of the new one by themselves
            old["nodes"] = [{"name": node.name, "podCIDR": str(node.pod_cidr)} for node in own]
            new["nodes"] = [{"name": node.name} for node in own]
        yield Proposal(words, (document(case.cluster, old, new, change),))
        return


def _taken(case: Case) -> list[Prefix]:
    """Return the ranges on which nodes and hosts outside are."""
    fabric = case.network.fabric
    found: list[Prefix] = []
    for net in fabric.namespaces.values():
        if net.name.startswith(("node/", "ext/", "router")):
            ours = (each for name, each in net.devices.items() if name.startswith("eth"))
            found += [own.prefix for device in ours for own in device.addresses]
    cluster = case.cluster
    return found if cluster is None else [*found, *map(_alone, _outside(case))]


def _outside(case: Case) -> list[IpAddress]:
    return [] if case.cluster is None else [each.address for each in case.cluster.topology.fabric.external]


def _alone(address: IpAddress) -> Prefix:
    return Prefix.of(address, address.bits)


def _overlap(one: Prefix, other: Prefix) -> bool:
    return one.address in other or other.address in one
