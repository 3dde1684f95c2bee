# SPDX-License-Identifier: GPL-2.0-only
"""Topologies: what `-f` names, from files to typed values.

files --> documents --+--> emu/v1 Cluster, or kind's Cluster --> ClusterSpec
                      +--> emu/v1 Fabric ----------------------> FabricSpec
                      +--> everything else --------------------> API objects
"""

from __future__ import annotations

from emu.cluster.topology.fabric.external import ExternalSpec
from emu.cluster.topology.fabric.spec import FabricSpec
from emu.cluster.topology.load import Topology, load_topology
from emu.cluster.topology.spec import ClusterSpec, NetworkSpec, NodeSpec, ProxySpec

__all__ = [
    "ClusterSpec",
    "ExternalSpec",
    "FabricSpec",
    "NetworkSpec",
    "NodeSpec",
    "ProxySpec",
    "Topology",
    "load_topology",
]
