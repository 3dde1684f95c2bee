# SPDX-License-Identifier: GPL-2.0-only
"""Hypothesis strategies for what is around the nodes: racks with routers, cables that take their time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st

from emu.cluster.topology.fabric.links import EndSpec, LinkSpec
from emu.cluster.topology.fabric.routers import InterfaceSpec, RouterSpec
from emu.cluster.topology.fabric.spec import FabricSpec
from emu.sim.time import MICROSECOND
from emu.wire.addresses import Interface, IpAddress

if TYPE_CHECKING:
    from emu.cluster.topology import ClusterSpec

RACKS: Final = 6
"""How many there are room for, whether nodes are there or not."""

ROUTERS_BETWEEN_RACKS: Final = 3
ROUTERS_OUTSIDE: Final = 2
"""How many a packet passes from a rack to another, and to a host outside: the spine is where those hang."""

_SPINE: Final = "spine"
_UNDERLAY: Final = "underlay"
_DELAYS: Final = (0, 0, 10 * MICROSECOND, 1000 * MICROSECOND)
_BANDWIDTHS: Final = (0, 0, 100_000_000)


@st.composite
def links(draw: st.DrawFn, one: EndSpec, other: EndSpec) -> LinkSpec:
    """Draw a cable that loses nothing; shrinks to one that takes no time."""
    latency = draw(st.sampled_from(_DELAYS))
    jitter = draw(st.sampled_from((0, latency // 2)))
    return LinkSpec((one, other), 0, latency, jitter, draw(st.sampled_from(_BANDWIDTHS)))


@st.composite
def racks(draw: st.DrawFn) -> FabricSpec:
    """Draw a spine and a router for each rack, whose subnet is 10.1.N.0/24; all know all networks."""
    ports = tuple(InterfaceSpec(f"tor{number}", (_address(10, 0, number, 1),)) for number in range(RACKS))
    routers = [RouterSpec(_SPINE, ports)]
    cables = []
    for number in range(RACKS):
        name = f"tor-{number}"
        rack = InterfaceSpec("rack", (_address(10, 1, number, 1),), ())
        spine = InterfaceSpec("spine", (_address(10, 0, number, 2),))
        routers.append(RouterSpec(name, (rack, spine), multipath=draw(st.booleans())))
        cables.append(draw(links(EndSpec(_SPINE, f"tor{number}"), EndSpec(name, "spine"))))
    return FabricSpec(links=tuple(cables), routers=tuple(routers))


@st.composite
def fabrics(draw: st.DrawFn, cluster: ClusterSpec) -> FabricSpec:
    """Draw what nodes hang on; shrinks to the default.

    Nodes whose first addresses are in different subnets may be in racks; those
    of one subnet may have cables that take their time. A cloud has its own.
    """
    if cluster.network.provider == "vpc" or not draw(st.booleans()):
        return FabricSpec()
    segments = {node.addresses[0][0].prefix for node in cluster.nodes if node.addresses}
    if len(segments) > 1:
        return draw(racks())
    slow = draw(st.lists(st.sampled_from([node.name for node in cluster.nodes]), max_size=2, unique=True))
    cables = [draw(links(EndSpec(name, "eth0"), EndSpec(_UNDERLAY))) for name in slow]
    return FabricSpec(links=tuple(cables))


def _address(*octets: int) -> Interface:
    return Interface(IpAddress(bytes(octets)), 24)
