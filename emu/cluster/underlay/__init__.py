# SPDX-License-Identifier: GPL-2.0-only
"""What machines hang on: everything between the nodes, and between them and the outside.

    lay         documents decide which underlay there is, and it is built
    base        what an underlay offers to whoever uses one
    wiring      cables, switches and addresses: what underlays are made of
    plain       the default: one switch, a router behind it
    routed      switches, routers and cables that documents name
    places      who is meant by the names in documents
    learning    what routers tell each other
    filtering   what drops frames on their way
    changes     other settings for cables in use: `set_link`
    segments    which subnets nodes are in
    names       how namespaces of an underlay are called

An underlay is machines and cables of the same kernel as all others: it has no
way of its own to carry a packet.
"""

from emu.cluster.underlay.base import Underlay
from emu.cluster.underlay.lay import lay
from emu.cluster.underlay.names import is_underlay
from emu.cluster.underlay.segments import NODE_NETWORK, common_segment, hosts

__all__ = ["NODE_NETWORK", "Underlay", "common_segment", "hosts", "is_underlay", "lay"]
