# SPDX-License-Identifier: GPL-2.0-only
"""Changes of the `Cluster` document: its network, its kube-proxy, its ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from emu.verify.fixes.remedy import Document

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.cluster.cluster import Cluster
    from emu.cluster.topology import ClusterSpec, Topology
    from emu.kube.api.objects.field import Json


def with_cluster(change: Callable[[ClusterSpec], ClusterSpec]) -> Callable[[Topology], Topology]:
    """Return what changes the `Cluster` document of a topology."""
    return lambda topology: attrs.evolve(topology, cluster=change(topology.cluster))


def network_option(cluster: Cluster, option: str, value: Json) -> Document:
    """Return the change of one of the options that the network provider knows."""
    network = cluster.topology.cluster.network
    given = {option: network.options[option]} if option in network.options else {}
    old: dict[str, Any] = {"provider": network.provider, **given}
    return Document(
        {"network": old},
        {"network": {**old, option: value}},
        with_cluster(lambda spec: _with_option(spec, option, value)),
    )


def _with_option(spec: ClusterSpec, option: str, value: Json) -> ClusterSpec:
    network = spec.network
    return attrs.evolve(spec, network=attrs.evolve(network, options={**network.options, option: value}))
