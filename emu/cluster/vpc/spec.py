# SPDX-License-Identifier: GPL-2.0-only
"""What the key `vpc` of a `Fabric` document says: a cloud's network, in the cloud's words."""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from emu.wire.addresses import IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

EVERYWHERE: Final = Prefix.parse("0.0.0.0/0")
DEFAULT_GROUP: Final = "default"
"""The security group of whoever has none of his own; there is one without anybody naming it."""

PUBLIC_RANGE: Final = Prefix.parse("203.0.113.64/26")
"""Where public addresses come from that nobody names."""

AWS_MTU: Final = 9001
GCP_MTU: Final = 1460


_NOWHERE: Final[Mapping[str, str]] = MappingProxyType({})


class Gate(enum.Enum):
    """Where a route leads that leads to no machine, as documents spell it."""

    INTERNET = "internetGateway"
    NAT = "natGateway"
    NOWHERE = "blackhole"


@attrs.frozen
class RouteSpec:
    """A route of a route table: `via` a gateway or the node of that name."""

    to: Prefix
    via: Gate | str


@attrs.frozen
class RouteTableSpec:
    """A route table; one that names no subnets is the main table, for all that no other one names."""

    name: str
    routes: tuple[RouteSpec, ...]
    subnets: tuple[str, ...] = ()


@attrs.frozen
class SubnetSpec:
    """A subnet.

    Attributes:
        name: by which it is referred to.
        cidr: its addresses.
        zone: where it is; nodes of that zone get addresses here.
        public: whether its default route leads to the internet gateway, unless
            a route table says otherwise, and its nodes have public addresses.
    """

    name: str
    cidr: Prefix
    zone: str = ""
    public: bool = False


@attrs.frozen
class NatGatewaySpec:
    """A NAT gateway.

    Attributes:
        ip: its public address.
        subnet: where it stands; empty for the first public subnet.
        ports: of which it takes one for each connection, lowest and highest.
    """

    ip: IpAddress
    subnet: str = ""
    ports: tuple[int, int] = (1024, 65535)


Who: TypeAlias = Prefix | str
"""Addresses, or the members of the security group of that name."""


@attrs.frozen
class Traffic:
    """What packets a rule is for.

    Attributes:
        protocol: number of IP's; -1 for all.
        ports: destination ports, lowest and highest each; none for all.
    """

    protocol: int = -1
    ports: tuple[tuple[int, int], ...] = ()


@attrs.frozen
class GroupRule:
    """A rule of a security group: what may pass, from or to whom."""

    traffic: Traffic
    who: tuple[Who, ...] = (EVERYWHERE,)


@attrs.frozen
class SecurityGroupSpec:
    """A security group. Without `egress` everything may leave; an empty list lets nothing out."""

    name: str
    ingress: tuple[GroupRule, ...] = ()
    egress: tuple[GroupRule, ...] | None = None


@attrs.frozen
class AclRule:
    """A rule of a network ACL: the first that fits decides. `place` is that in the document's list."""

    number: int
    allows: bool
    traffic: Traffic
    who: Prefix = EVERYWHERE
    place: int = attrs.field(default=0, eq=False, repr=False)


@attrs.frozen
class AclSpec:
    """A network ACL of some subnets. What no rule fits is denied."""

    name: str
    subnets: tuple[str, ...]
    ingress: tuple[AclRule, ...] = ()
    egress: tuple[AclRule, ...] = ()


@attrs.frozen
class InterfaceSpec:
    """What is otherwise at a node's interfaces. None: as everywhere.

    Attributes:
        node: whose.
        groups: its security groups.
        source_dest_check: whether it is checked.
        public_ip: its public address; False for none.
    """

    node: str
    groups: tuple[str, ...] | None = None
    source_dest_check: bool | None = None
    public_ip: IpAddress | bool | None = None


@attrs.frozen
class Pool:
    """How a provider takes addresses of pods from subnets: so many interfaces a node, so many addresses each.

    One address of an interface is its own, the others are for pods.
    """

    interfaces: int
    addresses: int


@attrs.frozen
class VpcSpec:
    """A cloud's network.

    Attributes:
        cidrs: its addresses.
        subnets: parts of it; none: they are made as the gateways need them.
        route_tables: which way packets go that leave a subnet.
        internet_gateway: whether public addresses reach the internet, and are reached.
        nat_gateway: what carries private addresses to the internet.
        groups: security groups.
        acls: network ACLs; a subnet without one lets all pass.
        source_dest_check: whether an interface takes and gives only packets of its own addresses.
        interfaces: what is otherwise at some nodes.
        pod_routes: whether nodes' ranges for pods are entered into the route
            tables, as a cloud's route controller does.
        mtu: of interfaces; 0 for what the cloud has.
        public_range: where public addresses come from that nobody names.
        pool: how pods get addresses of subnets; None: they do not.
        has_alias_ranges: whether nodes' ranges for pods belong to their interfaces.
        has_host_masks: whether a machine knows no neighbours but the gateway.
        is_made: nobody described it.
        places: file and line of what it says, by the way to it: `securityGroups[0]`.
    """

    cidrs: tuple[Prefix, ...]
    subnets: tuple[SubnetSpec, ...] = ()
    route_tables: tuple[RouteTableSpec, ...] = ()
    internet_gateway: bool = False
    nat_gateway: NatGatewaySpec | None = None
    groups: tuple[SecurityGroupSpec, ...] = ()
    acls: tuple[AclSpec, ...] = ()
    source_dest_check: bool = True
    interfaces: tuple[InterfaceSpec, ...] = ()
    pod_routes: bool = True
    mtu: int = 0
    public_range: Prefix = PUBLIC_RANGE
    pool: Pool | None = None
    has_alias_ranges: bool = False
    has_host_masks: bool = False
    is_made: bool = False
    places: Mapping[str, str] = attrs.field(default=_NOWHERE, eq=False, repr=False)

    @property
    def interface_mtu(self) -> int:
        """The MTU of interfaces."""
        return self.mtu or (GCP_MTU if self.has_alias_ranges else AWS_MTU)

    def holds(self, address: IpAddress) -> bool:
        """Return whether `address` is one of the VPC."""
        return any(address in each for each in self.cidrs)

    def subnet_of(self, address: IpAddress) -> SubnetSpec | None:
        """Return the subnet that `address` is in, None if it is in none."""
        return next((each for each in self.subnets if address in each.cidr), None)

    def interface(self, node: str) -> InterfaceSpec:
        """Return what is otherwise at a node."""
        return next((each for each in self.interfaces if each.node == node), InterfaceSpec(node))

    def group(self, name: str) -> SecurityGroupSpec:
        """Return a security group; `default` lets its members talk to one another, unless it is described."""
        members = SecurityGroupSpec(DEFAULT_GROUP, (GroupRule(Traffic(), (DEFAULT_GROUP,)),))
        return next((each for each in self.groups if each.name == name), members)

    def groups_of(self, node: str) -> tuple[str, ...]:
        """Return the security groups of a node's interfaces."""
        given = self.interface(node).groups
        return (DEFAULT_GROUP,) if given is None else given

    def is_checked(self, node: str) -> bool:
        """Return whether a node's interfaces check source and destination."""
        given = self.interface(node).source_dest_check
        return self.source_dest_check if given is None else given


def meet(one: Prefix, other: Prefix) -> bool:
    """Return whether two ranges have addresses in common."""
    return one.address in other or other.address in one


def within(inner: Prefix, outers: Iterable[Prefix]) -> bool:
    """Return whether one of some ranges holds all of another one."""
    return any(inner.length >= outer.length and inner.address in outer for outer in outers)
