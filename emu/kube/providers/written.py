# SPDX-License-Identifier: GPL-2.0-only
"""What a provider wants on a node, as values: nothing here is done yet."""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

import attrs

from emu.kernel.route import Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.rules import RoutingRule
    from emu.kube.cni.netconf import NetConfList
    from emu.kube.cni.rules import Words
    from emu.kube.policy.wanted import Wanted
    from emu.kube.providers.mesh import Mesh
    from emu.wire.addresses import Interface, IpAddress, MacAddress, Prefix
    from emu.wire.vxlan import Vni

T = TypeVar("T")

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_NO_SYSCTLS: Final[Mapping[str, int]] = MappingProxyType({})


@attrs.frozen
class VxlanDevice:
    """A VXLAN device that is up and has one address."""

    name: str
    vni: Vni
    local: IpAddress
    device: str
    port: int
    mac: MacAddress
    mtu: int
    address: Interface


@attrs.frozen
class IpipDevice:
    """An IPIP device without ends of its own that is up and has one address."""

    name: str
    mtu: int
    address: Interface


@attrs.frozen
class PermanentNeighbour:
    """`ip neigh replace IP lladdr MAC dev DEVICE nud permanent`."""

    device: str
    ip: IpAddress
    mac: MacAddress


@attrs.frozen
class PermanentFdb:
    """`bridge fdb replace MAC dev DEVICE dst REMOTE self permanent`."""

    device: str
    mac: MacAddress
    remote: IpAddress


Way: TypeAlias = PermanentNeighbour | PermanentFdb | Route
"""A part of the way to another node's pods."""


class Ensure(enum.Enum):
    """How a daemon keeps its rules.

    `EACH`: a rule that is missing is appended. `ANEW`: if one is missing, all are
    taken out and appended again, so their order is always right.
    """

    EACH = "each"
    ANEW = "anew"


@attrs.frozen
class RuleGroup:
    """Rules that are ensured together.

    Attributes:
        table: of iptables.
        chains: chains of their own, made first.
        rules: chain and rule, in the order in which they are appended.
        ensure: see there.
    """

    table: str
    chains: tuple[str, ...]
    rules: tuple[tuple[str, Words], ...]
    ensure: Ensure = Ensure.EACH


@attrs.frozen
class Written:
    """All that a provider writes to one node.

    Attributes:
        config: what pods are configured with, None while the node is not
            ready for them.
        files: by path; the configuration is one of them, unless it is only in memory.
        annotations: of the Node object.
        sysctls: by name.
        vxlans: tunnel devices.
        ipips: the same, of IPIP.
        mesh: weave's devices.
        rules: of iptables.
        tables: rules that take the place of all that begin with the same words, and their sets.
        ways: to the other nodes' pods, in the order in which they are written.
        addresses: of devices that are there already, which get no route to their subnets in `main`.
        routing_rules: which table is asked for what.
    """

    config: NetConfList | None = None
    files: Mapping[str, object] = _NOTHING
    annotations: Mapping[str, str] = _NOTHING
    sysctls: Mapping[str, int] = _NO_SYSCTLS
    vxlans: tuple[VxlanDevice, ...] = ()
    ipips: tuple[IpipDevice, ...] = ()
    mesh: Mesh | None = None
    rules: tuple[RuleGroup, ...] = ()
    tables: tuple[Wanted, ...] = ()
    ways: tuple[Way, ...] = ()
    announced: tuple[Prefix, ...] | None = None
    addresses: tuple[tuple[str, Interface], ...] = ()
    routing_rules: tuple[RoutingRule, ...] = ()
