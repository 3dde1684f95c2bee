# SPDX-License-Identifier: GPL-2.0-only
"""What NetworkPolicy leaves to those who enforce it, and how it is settled here."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

EstablishedConnections: TypeAlias = Literal["keep", "recheck"]
HostNetworkPeer: TypeAlias = Literal["node", "pod"]


@attrs.frozen
class Settings:
    """The settings `networkPolicy` of a Cluster document.

    Attributes:
        established_connections: what becomes of connections that stood before
            policies changed: `keep` lets them go on, `recheck` judges what their
            clients send like a new connection. Replies pass either way.
        host_network_peer: what a pod on its node's network is to the selectors of
            others: `node` for no pod at all (only an ipBlock can mean it), `pod`
            for a pod that has the node's address.
    """

    established_connections: EstablishedConnections = "keep"
    host_network_peer: HostNetworkPeer = "node"
