# SPDX-License-Identifier: GPL-2.0-only
"""The life of nodes: leases, taints, evictions, what is left behind, and `kubectl drain`.

`start` sets the controllers to work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kube.nodes.eviction import TaintEviction
from emu.kube.nodes.garbage import PodGarbage
from emu.kube.nodes.lifecycle import NodeLifecycle

if TYPE_CHECKING:
    from emu.kube.api.store import Store

__all__ = ["NodeLifecycle", "start"]


def start(store: Store, *, minor: int = 35) -> NodeLifecycle:
    """Set the controllers of nodes to work, and return the one that hears of leases.

    Args:
        store: the API server.
        minor: the release of Kubernetes is 1.`minor`.
    """
    lifecycle = NodeLifecycle(store, minor=minor)
    TaintEviction(store)
    PodGarbage(store)
    return lifecycle
