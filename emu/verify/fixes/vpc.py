# SPDX-License-Identifier: GPL-2.0-only
"""What keeps a VPC from carrying packets: changes of the document that describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from emu.cluster.vpc import writer
from emu.cluster.vpc.comments import AclRuling, Guard
from emu.cluster.vpc.nodes import vpc_of
from emu.cluster.vpc.shape import routes_of
from emu.cluster.vpc.spec import (
    EVERYWHERE,
    AclRule,
    Gate,
    GroupRule,
    InterfaceSpec,
    RouteSpec,
    RouteTableSpec,
    Traffic,
)
from emu.kube.api.objects import Node
from emu.verify.causes.rules import comment_of
from emu.verify.fixes.fix import Proposal
from emu.verify.fixes.remedy import Document, Question
from emu.verify.story import Way
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from emu.cluster.topology import Topology
    from emu.cluster.vpc.spec import AclSpec, SubnetSpec, VpcSpec
    from emu.verify.fivetuple import FiveTuple
    from emu.verify.fixes.case import Case
    from emu.wire.addresses import IpAddress

Ports: TypeAlias = tuple[tuple[int, int], ...]
_EPHEMERAL: Final = (1024, 65535)
_FREE: Final = 100  # a number for the first rule of an ACL


def switch_the_check_off(case: Case) -> Iterator[Proposal]:
    """Let interfaces take and give packets of addresses that are not theirs."""
    spec = _described(case)
    if spec is None:
        return
    words = "nodes carry packets of their pods' addresses: switch the source/destination check off"

    def change(vpc: VpcSpec) -> VpcSpec:
        own = tuple(attrs.evolve(each, source_dest_check=None) for each in vpc.interfaces)
        return attrs.evolve(vpc, source_dest_check=False, interfaces=own)

    old, new = {"sourceDestCheck": spec.source_dest_check}, {"sourceDestCheck": False}
    yield Proposal(words, (_document(old, new, change),))


def admit_by_a_group(case: Case) -> Iterator[Proposal]:
    """Add a rule to the security group that lets no such packet pass."""
    spec, there = _described(case), _there(case)
    found = Guard.of(comment_of(case.cause.rule))
    if spec is None or there is None or found is None:
        return
    group, direction = spec.group(found.groups[0]), found.direction
    whom = Prefix.of(there.src if direction == "ingress" else there.dst, 32)
    rule = GroupRule(_traffic(there), (whom,))
    if direction == "ingress":
        new = attrs.evolve(group, ingress=(*group.ingress, rule))
    else:
        new = attrs.evolve(group, egress=(*(group.egress or ()), rule))
    side = "from" if direction == "ingress" else "to"
    words = f"security group {group.name} lets nothing like it pass: add an {direction} rule {side} {whom}"

    def change(vpc: VpcSpec) -> VpcSpec:
        others = tuple(each for each in vpc.groups if each.name != new.name)
        place = next((at for at, each in enumerate(vpc.groups) if each.name == new.name), len(others))
        return attrs.evolve(vpc, groups=(*others[:place], new, *others[place:]))

    is_described = any(each.name == group.name for each in spec.groups)
    before: dict[str, Any] = {"securityGroups": [writer.group(group)]} if is_described else {}
    yield Proposal(words, (_document(before, {"securityGroups": [writer.group(new)]}, change),))


def admit_by_an_acl(case: Case) -> Iterator[Proposal]:
    """Add a rule to the network ACL that denies the packet, in front of the one that does."""
    spec, there = _described(case), _there(case)
    ruling = AclRuling.of(comment_of(case.cause.rule))
    if spec is None or there is None or ruling is None:
        return
    acl = next(each for each in spec.acls if each.name == ruling.acl)
    direction = ruling.direction
    other = "egress" if direction == "ingress" else "ingress"
    port = ((there.dport, there.dport),) if there.has_ports else ()
    answers = (_EPHEMERAL,) if there.has_ports else ()
    if case.cause.way is Way.REPLY:
        yield from _acl_with(acl, {direction: (answers,)}, there.protocol)
        return
    yield from _acl_with(acl, {direction: (port,), other: (answers,)}, there.protocol)
    if port:
        both = (port, answers)
        yield from _acl_with(acl, {"ingress": both, "egress": both}, there.protocol)


def _acl_with(acl: AclSpec, wanted: Mapping[str, Sequence[Ports]], protocol: int) -> Iterator[Proposal]:
    """Yield the proposal of an ACL that allows more, by rules that come first, if there is room for them."""
    new = acl
    for direction, every in wanted.items():
        rules = new.ingress if direction == "ingress" else new.egress
        first = min((rule.number for rule in rules), default=2 * _FREE)
        if first <= len(every):
            return
        more = [
            AclRule(first - len(every) + at, allows=True, traffic=Traffic(protocol, ports))
            for at, ports in enumerate(every)
        ]
        both = (*more, *rules)
        new = attrs.evolve(new, ingress=both) if direction == "ingress" else attrs.evolve(new, egress=both)

    def change(vpc: VpcSpec) -> VpcSpec:
        return attrs.evolve(vpc, acls=tuple(new if each.name == new.name else each for each in vpc.acls))

    told = " and ".join(sorted(wanted))
    words = f"network ACL {acl.name} is asked for every packet, answers too: allow more by {told} rules"
    before, after = {"networkACLs": [writer.acl(acl)]}, {"networkACLs": [writer.acl(new)]}
    yield Proposal(words, (_document(before, after, change),))


def add_a_route(case: Case) -> Iterator[Proposal]:
    """Give the route table a way: nodes' ranges for pods, or a gateway."""
    spec, there = _described(case), _there(case)
    if spec is None or there is None:
        return
    if not spec.pod_routes:
        words = "the VPC has no routes to nodes' ranges for pods: let the cloud's route controller write them"
        yield Proposal(
            words,
            (
                _document(
                    {"podRoutes": False},
                    {"podRoutes": True},
                    lambda vpc: attrs.evolve(vpc, pod_routes=True),
                ),
            ),
        )
    subnet = _subnet_of(case, spec, there.src)
    if subnet is None or spec.holds(there.dst):
        return
    name, routes = routes_of(spec, subnet)
    gates = [Gate.NAT] if spec.nat_gateway is not None and not subnet.public else []
    gates += [Gate.INTERNET] if spec.internet_gateway else []
    for gate in gates:
        kept = tuple(each for each in routes if each.to != EVERYWHERE)
        table = RouteTableSpec(name, (*kept, RouteSpec(EVERYWHERE, gate)), (subnet.name,))
        old = next((each for each in spec.route_tables if each.name == name), None)
        table = table if old is None else attrs.evolve(table, subnets=old.subnets)
        words = f"route table {name} leads {there.dst} nowhere: add a route to the {gate.value}"
        before = {} if old is None else {"routeTables": [writer.route_table(old)]}
        after = {"routeTables": [writer.route_table(table)]}

        def change(vpc: VpcSpec, table: RouteTableSpec = table) -> VpcSpec:
            others = tuple(each for each in vpc.route_tables if each.name != table.name)
            return attrs.evolve(vpc, route_tables=(*others, table))

        yield Proposal(words, (_document(before, after, change),))


def take_a_public_address(case: Case) -> Iterator[Proposal]:
    """Ask a node by its public address, or give it one."""
    spec, there = _described(case), _there(case)
    if spec is None or there is None or case.cluster is None:
        return
    for node in case.store.list(Node):
        name = node.metadata.name
        if str(there.dst) in node.addresses("InternalIP"):
            for public in node.addresses("ExternalIP"):
                words = f"the internet knows node {name} by {public}, and not by {there.dst}: ask that"
                port = case.verdict.target.port
                protocol = case.verdict.target.protocol.value.lower()
                target = f"{public}:{port}/{protocol}" if port else f"{public}/{protocol}"
                yield Proposal(words, (Question(case.source, target, case.namespace),))
        if str(there.src) in node.addresses("InternalIP"):
            words = f"node {name} has no public address, which the internet gateway needs: give it one"

            def change(vpc: VpcSpec, name: str = name) -> VpcSpec:
                kept = tuple(each for each in vpc.interfaces if each.node != name)
                own = attrs.evolve(vpc.interface(name), public_ip=True)
                return attrs.evolve(vpc, interfaces=(*kept, own))

            new = {"interfaces": [{"node": name, "publicIP": True}]}
            old: dict[str, Any] = {}
            if spec.interface(name) != InterfaceSpec(name):
                old = {"interfaces": [{"node": name, "publicIP": False}]}
            yield Proposal(words, (_document(old, new, change),))


# --- parts ---


def _described(case: Case) -> VpcSpec | None:
    """Return the VPC that a document describes, None if there is none."""
    if case.cluster is None or case.cluster.topology.fabric.vpc is None:
        return None
    return vpc_of(case.cluster.topology)


def _there(case: Case) -> FiveTuple | None:
    """Return between whom the packet travelled that ended."""
    packet = case.packet
    return packet.tuples[-1] if packet is not None and packet.tuples else None


def _traffic(there: FiveTuple) -> Traffic:
    return Traffic(there.protocol, ((there.dport, there.dport),) if there.has_ports else ())


def _subnet_of(case: Case, spec: VpcSpec, address: IpAddress) -> SubnetSpec | None:
    """Return the subnet that an address is in, or that of the node whose pod has it."""
    found = spec.subnet_of(address)
    pod = None if found is not None else case.pod_at(address)
    for node in case.store.list(Node) if pod is not None else ():
        if pod is not None and node.metadata.name == pod.spec.node_name:
            own = Prefix.parse(f"{node.addresses('InternalIP')[0]}/32").address
            return spec.subnet_of(own)
    return found


def _document(
    old: Mapping[str, Any], new: Mapping[str, Any], change: Callable[[VpcSpec], VpcSpec]
) -> Document:
    """Return a change of the key `vpc` of the `Fabric` document."""

    def changed(topology: Topology) -> Topology:
        vpc = topology.fabric.vpc
        assert vpc is not None, "it is described"
        return attrs.evolve(topology, fabric=attrs.evolve(topology.fabric, vpc=change(vpc)))

    known = {"cidr": "10.0.0.0/16"}  # as before: it tells that there is a vpc, and is not shown
    return Document({"vpc": {**known, **old}}, {"vpc": {**known, **new}}, changed, kind="Fabric")
