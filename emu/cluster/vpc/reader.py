# SPDX-License-Identifier: GPL-2.0-only
"""The key `vpc` of a `Fabric` document to a `VpcSpec`; what contradicts itself is a fault."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.cluster.topology import values
from emu.cluster.vpc.shape import with_subnets
from emu.cluster.vpc.spec import (
    DEFAULT_GROUP,
    EVERYWHERE,
    PUBLIC_RANGE,
    AclSpec,
    Gate,
    InterfaceSpec,
    NatGatewaySpec,
    RouteSpec,
    RouteTableSpec,
    SecurityGroupSpec,
    SubnetSpec,
    VpcSpec,
    meet,
    within,
)
from emu.cluster.vpc.traffic import acl_rules, group_rule, port_range
from emu.document import MappingNode, SequenceNode
from emu.document.fields import Fields, boolean, elements, integer, text
from emu.errors import did_you_mean
from emu.wire.addresses import IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from emu.document.fields import Place

_CIDR: Final = Prefix.parse("10.0.0.0/16")
_LONGEST: Final = 28  # five addresses of a subnet are the cloud's
_LEAST_MTU, _MOST_MTU = 576, 9001
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")
_REFUSED: Final = ("peerings", "transitGateway", "vpnGateway", "endpoints", "flowLogs", "ipv6")


def vpc(place: Place) -> VpcSpec:
    """Read a cloud's network."""
    fields = Fields(place)
    for key in _REFUSED:
        if fields.has(key):
            fields.place.at(key).fault("is not modelled: of a VPC, its subnets and two gateways are")
            fields.ignore(key)
    cidrs = fields.get("cidr", _ranges, (_CIDR,))
    given = fields.each("subnets", _subnet)
    nat = fields.get("natGateway", _nat_gateway, None)
    internet = fields.get("internetGateway", boolean, nat is not None)
    plain = VpcSpec(cidrs, given, internet_gateway=internet, nat_gateway=nat)
    subnets = with_subnets(plain).subnets
    _check_ranges(fields.place, plain)
    names = tuple(each.name for each in subnets)
    groups = _group_names(fields.place.at("securityGroups"))
    _check_nat(fields.place, nat, subnets, internet=internet)
    tables = fields.each("routeTables", lambda at: _table(at, names))
    _check_tables(fields.place, tables, internet=internet, has_nat=nat is not None)
    acls = fields.each("networkACLs", lambda at: _acl(at, names))
    _check_once(fields.place, "networkACLs", [each.subnets for each in acls])
    found = VpcSpec(
        cidrs,
        subnets,
        tables,
        internet,
        nat,
        fields.each("securityGroups", lambda at: _group(at, groups)),
        acls,
        fields.get("sourceDestCheck", boolean, True),
        fields.each("interfaces", lambda at: _interface(at, groups)),
        fields.get("podRoutes", boolean, True),
        fields.get("mtu", integer(_LEAST_MTU, _MOST_MTU), 0),
        fields.get("publicRange", values.prefix, PUBLIC_RANGE),
        places=dict(_places(place)),
    )
    return fields.done(found)


def _places(place: Place, way: str = "") -> Iterator[tuple[str, str]]:
    """Yield file and line of all that is said, by the way to it."""
    yield way, f"{place.file}:{place.line}"
    value = place.value
    if isinstance(value, MappingNode):
        for key in value:
            yield from _places(place.at(key), f"{way}.{key}" if way else key)
    elif isinstance(value, SequenceNode):
        for index in range(len(value)):
            yield from _places(place.at(index), f"{way}[{index}]")


def _name(place: Place) -> str:
    """Read a name as rules have it in their comments, where it ends at a comma or a space."""
    found = text(place)
    if isinstance(place.value, str) and not _NAME.fullmatch(found):
        place.wrong("a name of letters, digits, dots, - and _")
    return found


def _ranges(place: Place) -> tuple[Prefix, ...]:
    """Read one range or several."""
    if isinstance(place.value, SequenceNode):
        return elements(place, values.prefix)
    return (values.prefix(place),)


def _subnet(place: Place) -> SubnetSpec:
    fields = Fields(place)
    found = SubnetSpec(
        fields.must("name", text),
        fields.must("cidr", values.prefix),
        fields.get("zone", text, ""),
        fields.get("public", boolean, False),
    )
    if found.cidr.length > _LONGEST:
        fields.place.at("cidr").fault(f"a subnet is a /{_LONGEST} at least: five addresses are the cloud's")
    return fields.done(found)


def _nat_gateway(place: Place) -> NatGatewaySpec:
    fields = Fields(place)
    ports = fields.get("ports", port_range, (1024, 65535))
    return fields.done(
        NatGatewaySpec(fields.must("ip", values.address), fields.get("subnet", text, ""), ports)
    )


def _table(place: Place, subnets: Sequence[str]) -> RouteTableSpec:
    fields = Fields(place)
    found = RouteTableSpec(
        fields.must("name", text),
        fields.each("routes", _route),
        fields.get("subnets", lambda at: elements(at, lambda one: _known(one, subnets, "subnet")), ()),
    )
    return fields.done(found)


def _route(place: Place) -> RouteSpec:
    fields = Fields(place)
    return fields.done(RouteSpec(fields.must("to", values.prefix), fields.must("via", _via)))


def _via(place: Place) -> Gate | str:
    """Read where a route leads: a gateway, or `node/NAME`."""
    said = text(place)
    gates = {gate.value: gate for gate in Gate}
    if said in gates:
        return gates[said]
    kind, slash, name = said.partition("/")
    if kind == "node" and slash and name:
        return name
    if isinstance(place.value, str):
        place.wrong(f"one of {', '.join(gates)}, node/NAME", did_you_mean(said, gates))
    return Gate.NOWHERE


def _group_names(place: Place) -> tuple[str, ...]:
    """Return how the security groups are called that a document describes, and `default`."""
    items = place.value if isinstance(place.value, SequenceNode) else ()
    names = [str(each.get("name")) for each in items if isinstance(each, MappingNode)]
    for index, name in enumerate(names):
        if name in names[:index]:
            place.at(index).fault(f"a second security group {name}")
    return tuple(dict.fromkeys((*names, DEFAULT_GROUP)))


def _group(place: Place, groups: tuple[str, ...]) -> SecurityGroupSpec:
    fields = Fields(place)
    has_egress = fields.has("egress")
    egress = fields.each("egress", group_rule("to", groups))
    return fields.done(
        SecurityGroupSpec(
            fields.must("name", _name),
            fields.each("ingress", group_rule("from", groups)),
            egress if has_egress else None,
        )
    )


def _acl(place: Place, subnets: Sequence[str]) -> AclSpec:
    fields = Fields(place)
    named = fields.must("subnets", lambda at: elements(at, lambda one: _known(one, subnets, "subnet")))
    return fields.done(
        AclSpec(
            fields.must("name", _name),
            named,
            acl_rules(fields, "ingress", "from"),
            acl_rules(fields, "egress", "to"),
        )
    )


def _interface(place: Place, groups: Sequence[str]) -> InterfaceSpec:
    fields = Fields(place)

    def members(at: Place) -> tuple[str, ...]:
        return elements(at, lambda one: _known(one, groups, "security group"))

    return fields.done(
        InterfaceSpec(
            fields.must("node", values.name),
            fields.get("securityGroups", members, None),
            fields.get("sourceDestCheck", boolean, None),
            fields.get("publicIP", _public, None),
        )
    )


def _public(place: Place) -> IpAddress | bool:
    return place.value if isinstance(place.value, bool) else values.address(place)


def _known(place: Place, names: Sequence[str], what: str) -> str:
    """Read the name of something that has to be there."""
    found = text(place)
    if found not in names and isinstance(place.value, str):
        there = ", ".join(names) or "none"
        place.fault(f"there is no {what} {found} (there are {there}){did_you_mean(found, names)}")
    return found


# --- what has to fit together ---


def _check_ranges(place: Place, spec: VpcSpec) -> None:
    at = place.at("subnets")
    unread = {
        index
        for index, subnet in enumerate(spec.subnets)
        if subnet.cidr == EVERYWHERE and at.at(index).at("cidr").value != str(EVERYWHERE)
    }
    for index, subnet in enumerate(spec.subnets):
        told = ", ".join(map(str, spec.cidrs))
        if index not in unread and not within(subnet.cidr, spec.cidrs):
            at.at(index).at("cidr").fault(f"{subnet.cidr} is not within the VPC's {told}")
        for number, other in enumerate(spec.subnets[:index]):
            if not unread & {index, number} and meet(subnet.cidr, other.cidr):
                at.at(index).at("cidr").fault(f"{subnet.cidr} overlaps with {other.name}'s {other.cidr}")
            if subnet.name == other.name:
                at.at(index).at("name").fault(f"a second subnet {subnet.name}")


def _check_nat(
    place: Place, nat: NatGatewaySpec | None, subnets: Iterable[SubnetSpec], *, internet: bool
) -> None:
    if nat is None:
        return
    at = place.at("natGateway")
    if not internet:
        place.at("internetGateway").fault("a NAT gateway needs the internet gateway: true")
    public = [each.name for each in subnets if each.public]
    if nat.subnet and nat.subnet not in public:
        told = ", ".join(public) or "none"
        at.at("subnet").fault(f"is no public subnet (there are {told}){did_you_mean(nat.subnet, public)}")
    elif not public:
        at.fault("needs a public subnet to stand in, and there is none")


def _check_tables(place: Place, tables: Sequence[RouteTableSpec], *, internet: bool, has_nat: bool) -> None:
    at = place.at("routeTables")
    _check_once(place, "routeTables", [each.subnets for each in tables])
    mains = [index for index, each in enumerate(tables) if not each.subnets]
    for index in mains[1:]:
        at.at(index).fault("a second table without subnets: one is the main table")
    there = {Gate.INTERNET: internet, Gate.NAT: has_nat}
    for number, table in enumerate(tables):
        for index, route in enumerate(table.routes):
            if isinstance(route.via, Gate) and not there.get(route.via, True):
                at.at(number).at("routes").at(index).at("via").fault(f"the VPC has no {route.via.value}")


def _check_once(place: Place, key: str, subnets: Sequence[Iterable[str]]) -> None:
    """Report subnets that two of a list name."""
    seen: set[str] = set()
    for index, names in enumerate(subnets):
        for number, name in enumerate(names):
            if name in seen:
                place.at(key).at(index).at("subnets").at(number).fault(f"{name} has one already")
            seen.add(name)
