# SPDX-License-Identifier: GPL-2.0-only
"""What is between the nodes and lets no tunnel pass: another port, no tunnel, another device."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import attrs

from emu.verify.fixes.documents import document, network_option
from emu.verify.fixes.fix import Proposal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from emu.cluster.cluster import Cluster
    from emu.cluster.topology import ClusterSpec
    from emu.verify.fixes.case import Case

_STANDARD: Final = 4789  # IANA's; Linux's own is 8472


def _another_mode(cluster: Cluster, options: Mapping[str, Any]) -> Iterator[Proposal]:
    """Have calico use its tunnel between segments alone, or the other tunnel everywhere."""
    vxlan = options.get("vxlanMode", "Never")
    mine, other = ("ipipMode", "vxlanMode") if vxlan == "Never" else ("vxlanMode", "ipipMode")
    kind, another = ("IPIP", "VXLAN") if vxlan == "Never" else ("VXLAN", "IPIP")
    words = f"what is between the nodes lets no {kind} pass: nodes on one segment need no tunnel"
    yield Proposal(words, (network_option(cluster, mine, "CrossSubnet"),))
    old = {"provider": "calico", **{key: options[key] for key in (mine, other) if key in options}}
    change = document(
        cluster,
        {"network": old},
        {"network": {"provider": "calico", mine: "Never", other: "Always"}},
        partial(_by_mode, modes={mine: "Never", other: "Always"}),
    )
    yield Proposal(f"what is between the nodes lets no {kind} pass: try {another}", (change,))


def _by_mode(spec: ClusterSpec, modes: Mapping[str, str]) -> ClusterSpec:
    network = spec.network
    return attrs.evolve(spec, network=attrs.evolve(network, options={**network.options, **modes}))


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
    """Have the tunnel take the port that VXLAN was given, or have the provider write plain routes."""
    if case.cluster is None:
        return
    network = case.cluster.topology.cluster.network
    options = network.options
    if network.provider == "calico":
        yield from _another_mode(case.cluster, options)
    if network.provider != "flannel":
        return
    if options.get("backend", "vxlan") == "vxlan":
        if options.get("port") != _STANDARD:
            words = f"what is between the nodes lets no VXLAN pass: try {_STANDARD}, the port it was given"
            yield Proposal(words, (network_option(case.cluster, "port", _STANDARD),))
        words = "what is between the nodes lets no VXLAN pass: nodes on one segment need no tunnel"
        yield Proposal(words, (network_option(case.cluster, "backend", "host-gw"),))
