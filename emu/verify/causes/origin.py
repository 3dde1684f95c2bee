# SPDX-License-Identifier: GPL-2.0-only
"""What somebody's rule, route or device comes from: an object of Kubernetes, and the field in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.cluster.emulation import Emulation
    from emu.kube.api.store import Store


@attrs.frozen
class Origin:
    """Where something comes from.

    Attributes:
        object: `KIND NS/NAME` of an object (`Service default/web`, `Node worker-1`), or a
            program that acts for the whole cluster (`kube-proxy`, `provider flannel`).
        field: the path in that object, like `spec.ports[0].targetPort`; empty for all of it.
    """

    object: str
    field: str = ""


def store_of(network: Emulation) -> Store | None:
    """Return the API server of a cluster; None of a network, which has no objects."""
    if not network.is_cluster:
        return None
    from emu.cluster.cluster import Cluster  # noqa: PLC0415 - a network needs no control plane

    assert isinstance(network, Cluster)
    return network.store


def provider_of(network: Emulation) -> str:
    """Return the name of the network provider of a cluster, empty of a network."""
    if not network.is_cluster:
        return ""
    from emu.cluster.cluster import Cluster  # noqa: PLC0415 - as above

    assert isinstance(network, Cluster)
    return network.topology.cluster.network.provider


def sandboxes(network: Emulation) -> Iterator[tuple[str, str]]:
    """Yield each pod that runs, as `NS/NAME`, and the id of its sandbox."""
    if not network.is_cluster:
        return
    from emu.cluster.cluster import Cluster  # noqa: PLC0415 - as above

    assert isinstance(network, Cluster)
    for kubelet in network.kubelets.by_node.values():
        for key, run in kubelet.pods.items():
            yield f"{key.namespace}/{key.name}", run.sandbox_id
