# SPDX-License-Identifier: GPL-2.0-only
"""The VPC that a cluster is in, as a whole: what documents leave out is made as a cloud makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.vpc.spec import (
    EVERYWHERE,
    Gate,
    NatGatewaySpec,
    RouteSpec,
    SubnetSpec,
    VpcSpec,
)
from emu.wire.addresses import IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterable

PUBLIC: Final = "public"
PRIVATE: Final = "private"
_CIDR: Final = Prefix.parse("10.0.0.0/16")
_NAT_ADDRESS: Final = IpAddress.parse("203.0.113.9")
_PARTS: Final = 4  # bits by which a subnet that is made is smaller than the VPC
_ROOMY: Final = 20  # of a VPC that is smaller than this one, halves are made


def with_subnets(spec: VpcSpec) -> VpcSpec:
    """Return a VPC with the subnets that its gateways need, if it names none.

    With a NAT gateway they are `public`, where that stands, and `private`, where
    nodes are; else one, which is `public` if there is an internet gateway.
    """
    if spec.subnets or not spec.cidrs:
        return spec
    whole = spec.cidrs[0]
    length = min(whole.length + _PARTS if whole.length <= _ROOMY else whole.length + 1, 32)
    first = SubnetSpec(PUBLIC, Prefix(whole.address, length), public=True)
    second = Prefix(IpAddress.from_int(int(whole.address) + (1 << (32 - length))), length)
    if spec.nat_gateway is not None:
        return attrs.evolve(spec, subnets=(first, SubnetSpec(PRIVATE, second)))
    name = PUBLIC if spec.internet_gateway else PRIVATE
    return attrs.evolve(spec, subnets=(SubnetSpec(name, first.cidr, public=spec.internet_gateway),))


def made(segments: Iterable[Prefix]) -> VpcSpec:
    """Return the VPC of a cluster whose documents describe none: its nodes are private, with a way out.

    Args:
        segments: the subnets of nodes that have addresses already.
    """
    given = tuple(dict.fromkeys(segments))
    nat = NatGatewaySpec(_NAT_ADDRESS)
    if not given:
        return with_subnets(VpcSpec((_CIDR,), internet_gateway=True, nat_gateway=nat, is_made=True))
    own = next(
        each for each in _EDGES if not any(each.address in one or one.address in each for one in given)
    )
    names = [PRIVATE, *(f"{PRIVATE}-{number}" for number in range(2, len(given) + 1))]
    private = (SubnetSpec(name, each) for name, each in zip(names, given, strict=True))
    subnets = (SubnetSpec(PUBLIC, own, public=True), *private)
    return VpcSpec((*given, own), subnets, internet_gateway=True, nat_gateway=nat, is_made=True)


_EDGES: Final = tuple(map(Prefix.parse, ("10.255.255.0/24", "172.31.255.0/24", "192.168.255.0/24")))


def routes_of(spec: VpcSpec, subnet: SubnetSpec) -> tuple[str, tuple[RouteSpec, ...]]:
    """Return the name of the route table that a subnet has, and its routes.

    Without a table of its own it has the main table; without that, a public one
    leads everything to the internet gateway, and another one to the NAT gateway
    if there is one.
    """
    for table in spec.route_tables:
        if subnet.name in table.subnets:
            return table.name, table.routes
    for table in spec.route_tables:
        if not table.subnets:
            return table.name, table.routes
    if subnet.public and spec.internet_gateway:
        return PUBLIC, (RouteSpec(EVERYWHERE, Gate.INTERNET),)
    if not subnet.public and spec.nat_gateway is not None:
        return PRIVATE, (RouteSpec(EVERYWHERE, Gate.NAT),)
    return "main", ()


def is_public(spec: VpcSpec, subnet: SubnetSpec) -> bool:
    """Return whether machines of a subnet get public addresses."""
    return subnet.public and spec.internet_gateway
