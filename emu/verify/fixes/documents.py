# SPDX-License-Identifier: GPL-2.0-only
"""Changes of the `Cluster` document: its network, its kube-proxy, its ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from emu.verify.fixes.remedy import Document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emu.cluster.cluster import Cluster
    from emu.cluster.topology import ClusterSpec
    from emu.kube.api.objects.field import Json
    from emu.verify.fixes.patch import Value


def document(
    cluster: Cluster,
    old: Mapping[str, Value],
    new: Mapping[str, Value],
    change: Callable[[ClusterSpec], ClusterSpec],
) -> Document:
    """Return a change of the `Cluster` document of a cluster, or such a document if it has none."""
    return Document(
        old,
        new,
        lambda topology: attrs.evolve(topology, cluster=change(topology.cluster), has_cluster=True),
        is_new=not cluster.topology.has_cluster,
    )


def network_option(cluster: Cluster, option: str, value: Json) -> Document:
    """Return the change of one of the options that the network provider knows."""
    network = cluster.topology.cluster.network
    given = {option: network.options[option]} if option in network.options else {}
    old: dict[str, Any] = {"provider": network.provider, **given}
    new = {**old, option: value}
    return document(
        cluster, {"network": old}, {"network": new}, lambda spec: _with_option(spec, option, value)
    )


def _with_option(spec: ClusterSpec, option: str, value: Json) -> ClusterSpec:
    network = spec.network
    return attrs.evolve(spec, network=attrs.evolve(network, options={**network.options, option: value}))
