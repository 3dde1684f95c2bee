# SPDX-License-Identifier: GPL-2.0-only
"""What is between the nodes and lets no tunnel pass: another port, no tunnel, another device."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from emu.verify.fixes.documents import document, network_option
from emu.verify.fixes.fix import Proposal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.cluster.topology import ClusterSpec
    from emu.verify.fixes.case import Case

_STANDARD: Final = 4789  # IANA's; Linux's own is 8472


def go_by_another_device(case: Case) -> Iterator[Proposal]:
    """Have the network's daemons go by a device that every node has, with addresses that differ."""
    if case.cluster is None:
        return
    cluster = case.cluster
    nets = [machine.net for machine in cluster.machines.values()]
    network = cluster.topology.cluster.network
    for name in [each for each in nets[0].devices if each.startswith("eth") and each != network.iface]:
        devices = [net.devices.get(name) for net in nets]
        addresses = [each.addresses[0].address for each in devices if each is not None and each.addresses]
        if len(set(addresses)) < len(nets):
            continue
        words = f"every node has another address on {name}: tell {network.provider} to go by it"
        old = {"provider": network.provider}
        change = document(
            cluster,
            {"network": {**old, "iface": network.iface} if network.iface else old},
            {"network": {**old, "iface": name}},
            partial(_by_device, name=name),
        )
        yield Proposal(words, (change,))


def _by_device(spec: ClusterSpec, name: str) -> ClusterSpec:
    return attrs.evolve(spec, network=attrs.evolve(spec.network, iface=name))


def take_another_way(case: Case) -> Iterator[Proposal]:
    """Have the tunnel take the port that VXLAN was given, or have flannel write plain routes."""
    if case.cluster is None or case.cluster.topology.cluster.network.provider != "flannel":
        return
    options = case.cluster.topology.cluster.network.options
    if options.get("backend", "vxlan") == "vxlan":
        if options.get("port") != _STANDARD:
            words = f"what is between the nodes lets no VXLAN pass: try {_STANDARD}, the port it was given"
            yield Proposal(words, (network_option(case.cluster, "port", _STANDARD),))
        words = "what is between the nodes lets no VXLAN pass: nodes on one segment need no tunnel"
        yield Proposal(words, (network_option(case.cluster, "backend", "host-gw"),))
