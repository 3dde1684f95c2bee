# SPDX-License-Identifier: GPL-2.0-only
"""What a cloud's network did not carry, in the words of the document that describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.vpc import gateways
from emu.cluster.vpc.comments import AclRuling, AddressCheck, Guard
from emu.cluster.vpc.names import INTERNET, INTERNET_GATEWAY, NAT_GATEWAY, ROUTER
from emu.cluster.vpc.shape import routes_of
from emu.kernel.drops import DropReason
from emu.verify.causes.codes import (
    NACL_DENY,
    SG_DENY,
    SRC_DST_CHECK,
    UNDERLAY_FILTER,
    VPC_NO_PUBLIC_ADDRESS,
    VPC_NO_ROUTE,
)
from emu.verify.causes.rules import comment_of
from emu.verify.causes.scene import called
from emu.verify.causes.words import listed, port_words

if TYPE_CHECKING:
    from emu.cluster.vpc.layout import Eni
    from emu.cluster.vpc.underlay import VpcUnderlay
    from emu.verify.causes.cause import Cause
    from emu.verify.causes.scene import Scene

FABRIC: Final = "Fabric"


def refine(scene: Scene, cause: Cause) -> Cause | None:
    """Return the cause if it was a VPC that did not carry the packet."""
    vpc = vpc_of(scene)
    if vpc is None:
        return None
    finder = _Finder(scene, cause, vpc)
    if scene.end.reason is DropReason.IP_INNOROUTES:
        return finder.no_route()
    if scene.end.reason is DropReason.NETFILTER_DROP and scene.end.net.startswith("vpc/"):
        return finder.refused(comment_of(cause.rule))
    return None


def vpc_of(scene: Scene) -> VpcUnderlay | None:
    """Return the VPC of a cluster, None if it is in none."""
    if not scene.network.is_cluster:
        return None
    from emu.cluster.cluster import Cluster  # noqa: PLC0415 - a network needs no control plane
    from emu.cluster.vpc.underlay import VpcUnderlay  # noqa: PLC0415

    assert isinstance(scene.network, Cluster)
    found = scene.network.control_plane.underlay
    return found if isinstance(found, VpcUnderlay) else None


class _Finder:
    def __init__(self, scene: Scene, cause: Cause, vpc: VpcUnderlay) -> None:
        self._scene = scene
        self._cause = cause
        self._vpc = vpc

    def refused(self, comment: str) -> Cause | None:
        """Return why a rule of the VPC dropped it."""
        check, groups, ruling = AddressCheck.of(comment), Guard.of(comment), AclRuling.of(comment)
        if check is not None:
            return self._check(check.owner, check.iface)
        if groups is not None:
            return self._groups(groups)
        if ruling is not None:
            return self._acl(ruling)
        if comment == gateways.NO_PUBLIC:
            src = self._scene.there.src
            words = f"{src} leaves by the internet gateway, and {self._whose(src)} has no public address"
            return self._told(VPC_NO_PUBLIC_ADDRESS, words, "", "give it a public address, or a NAT gateway")
        if comment == gateways.NOT_CARRIED:
            words = f"the NAT gateway carries TCP, UDP and ICMP, and not {port_words(self._scene.there)}"
            return self._told(UNDERLAY_FILTER, words, "natGateway", "give the node a public address")
        return None

    def _check(self, owner: str, iface: str) -> Cause:
        there = self._scene.there
        chain = self._scene.decision.chain[1] if self._scene.decision and self._scene.decision.chain else ""
        side, address = ("source", there.src) if chain.endswith("-SRC") else ("destination", there.dst)
        words = (
            f"the interface of {self._called(owner)} ({iface}) drops it: {side} {address} "
            "is not an address of this interface"
        )
        name = owner.removeprefix("node/")
        index = next((at for at, each in enumerate(self._vpc.spec.interfaces) if each.node == name), None)
        given = None if index is None else self._vpc.spec.interfaces[index].source_dest_check
        field = "sourceDestCheck" if given is None else f"interfaces[{index}].sourceDestCheck"
        fix = "switch the source/destination check off: sourceDestCheck: false"
        return self._told(SRC_DST_CHECK, words, field, fix)

    def _groups(self, guard: Guard) -> Cause:
        groups, owner, iface, direction = guard
        there = self._scene.there
        by = f"security group {listed(groups)}" if len(groups) == 1 else f"security groups {listed(groups)}"
        way = f"in from {there.src}" if direction == "ingress" else f"out to {there.dst}"
        words = (
            f"no {direction} rule of {by} at the interface of {self._called(owner)} ({iface}) "
            f"lets {port_words(there)} {way}"
        )
        names = [each.name for each in self._vpc.spec.groups]
        field = next((f"securityGroups[{names.index(each)}]" for each in groups if each in names), "")
        side = "from" if direction == "ingress" else "to"
        whom = there.src if direction == "ingress" else there.dst
        fix = f"add an {direction} rule to security group {groups[0]}: {port_words(there)} {side} {whom}"
        return self._told(SG_DENY, words, field, fix)

    def _acl(self, ruling: AclRuling) -> Cause:
        name, direction, number, subnet = ruling
        there = self._scene.there
        names = [each.name for each in self._vpc.spec.acls]
        index = names.index(name)
        acl = self._vpc.spec.acls[index]
        field = f"networkACLs[{index}]"
        if number is not None:
            rules = acl.ingress if direction == "ingress" else acl.egress
            place = next(rule.place for rule in rules if rule.number == number)
            field += f".{direction}[{place}]"
            said = f"rule {number} denies"
        else:
            said = f"no rule lets pass, in subnet {subnet},"
        words = f"network ACL {name}, {direction}: {said} {port_words(there)} {there.src} > {there.dst}"
        reply = self._scene.way.value == "reply"
        hint = " (an ACL knows no connections: answers need rules, too)" if reply else ""
        fix = f"let it pass by an {direction} rule of network ACL {name} with a lower number"
        return self._told(NACL_DENY, words + hint, field, fix)

    # --- routes ---

    def no_route(self) -> Cause | None:
        """Return why nobody knew a way."""
        net, dst = self._scene.end.net, self._scene.there.dst
        spec = self._vpc.spec
        if net == ROUTER:
            return self._no_route()
        if net == INTERNET and self._scene.device == "vpc" and self._is_pod(dst) and not spec.pod_routes:
            words = (
                f"{dst} left the VPC by a default route: no route table has its node's range for pods "
                "(podRoutes: false)"
            )
            return self._told(VPC_NO_ROUTE, words, "podRoutes", "podRoutes: true, or routes by hand")
        is_ours = spec.holds(dst) or bool(self._scene.store and self._scene.owners(dst))
        if net in {INTERNET, INTERNET_GATEWAY} and is_ours:
            words = f"{dst} is a private address of the VPC: the internet has no way to it"
            return self._told(
                VPC_NO_PUBLIC_ADDRESS, words, "", "ask a public address, or put a load balancer in front"
            )
        if net == NAT_GATEWAY:
            return self._told(VPC_NO_ROUTE, f"the NAT gateway has no way to {dst}", "natGateway", "")
        return None

    def _no_route(self) -> Cause:
        spec, dst = self._vpc.spec, self._scene.there.dst
        eni = next((each for each in self._vpc.interfaces if each.name == self._scene.device), None)
        if spec.holds(dst):
            words = f"nobody in the VPC has the address {dst}"
            return self._told(VPC_NO_ROUTE, words, "subnets", "")
        if eni is None:
            words = f"the VPC has no way to {dst}"
            return self._told(VPC_NO_ROUTE, words, "", "add a route to a route table")
        name, _ = routes_of(spec, eni.subnet)
        names = [each.name for each in spec.route_tables]
        words = f"route table {name} of subnet {eni.subnet.name} leads {dst} nowhere"
        if not spec.pod_routes and self._is_pod(dst):
            words += ": it has no routes to nodes' ranges for pods (podRoutes: false)"
            return self._told(VPC_NO_ROUTE, words, "podRoutes", "podRoutes: true, or routes by hand")
        field = f"routeTables[{names.index(name)}]" if name in names else ""
        return self._told(VPC_NO_ROUTE, words, field, f"add a route to {dst} to route table {name}")

    # --- words ---

    def _is_pod(self, address: object) -> bool:
        pods = [net for net in self._scene.owners(address) if "/" in net]  # type: ignore[arg-type]
        return any(self._scene.network.owners(net)[0] is not None for net in pods)

    def _told(self, code: str, words: str, field: str, fix: str) -> Cause:
        """Return the cause, with the place in the document where there is one."""
        spec = self._vpc.spec
        path = f"spec.vpc.{field}" if field else "spec.vpc"
        where = spec.places.get(field) or spec.places.get("")
        said = f"{words} ({path}, {where})" if where else words
        owner = FABRIC if where else ""
        return attrs.evolve(
            self._cause, code=code, words=said, object=owner, field=path if where else "", fix=fix
        )

    def _called(self, owner: str) -> str:
        return called(self._scene.network, owner)

    def _whose(self, address: object) -> str:
        eni: Eni | None = next((each for each in self._vpc.interfaces if each.address == address), None)
        return self._called(eni.owner) if eni is not None and eni.owner else "whoever has it"
