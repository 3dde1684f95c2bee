# SPDX-License-Identifier: GPL-2.0-only
"""What nodes ask of pods: asked where two clusters have other network providers.

Providers give nodes other addresses among pods, and other ways to them: kubelets
and whatever runs on a node's network come by these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.kube.api.objects import Node
from emu.verify.questions import Flow, Member, Party, workloads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.cluster.cluster import Cluster


def flows(cluster: Cluster) -> Iterator[Flow]:
    """Yield the flows of all nodes to the first pod of each workload that has ports."""
    names = sorted(each.metadata.name for each in cluster.store.each(Node))
    nodes = Party("node/*", "node/*", tuple([Member(f"node/{name}", f"node/{name}") for name in names]))
    for each in workloads(cluster.store):
        first = each.party.members[0]
        target = attrs.evolve(each.party, point=first.point, shown=first.shown, members=(first,))
        for port in each.ports:
            yield Flow(nodes, target, port)
