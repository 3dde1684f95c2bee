# SPDX-License-Identifier: GPL-2.0-only
"""Ways that are missing: a route by whoever is next and knows further."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kube.api.objects import Node
from emu.verify.fixes.fix import Proposal
from emu.verify.fixes.remedy import Command
from emu.verify.story import Way
from emu.wire.addresses import IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.namespace import Namespace
    from emu.verify.fixes.case import Case


def add_a_route(case: Case) -> Iterator[Proposal]:
    """Give the host a route to whom it does not know, by a neighbour that is nearer."""
    net, dst = case.net, _wanted(case)
    if net is None or dst is None:
        return
    for prefix in _ranges(case, dst):
        for gateway in _gateways(case, net, dst):
            way = [str(prefix)] if gateway == dst else [str(prefix), "via", str(gateway)]
            words = f"{net.name} has no route to {dst}: add one by {gateway}"
            yield Proposal(words, (Command(case.host(net.name), ("ip", "route", "add", *way)),))


def _wanted(case: Case) -> IpAddress | None:
    """Return whom the packet that had no way was for."""
    packet = case.packet
    if packet is None or not packet.tuples:
        return case.verdict.target.address
    there = packet.tuples[-1]
    is_unsent_reply = case.cause.way is Way.REPLY and case.outcome.story.answer is None
    return there.src if is_unsent_reply else there.dst


def _ranges(case: Case, dst: IpAddress) -> list[Prefix]:
    """Return the range that `dst` is of: that of a node's pods, else the subnet where it is."""
    if case.cluster is not None:
        for node in case.store.list(Node):
            if node.spec.pod_cidr and dst in Prefix.parse(node.spec.pod_cidr):
                return [Prefix.parse(node.spec.pod_cidr)]
    for net in case.network.fabric.namespaces.values():
        for device in net.devices.values():
            for own in device.addresses:
                if own.address == dst:
                    return [own.prefix]
    return []


def _gateways(case: Case, net: Namespace, dst: IpAddress) -> list[IpAddress]:
    """Return neighbours that may know further: those who are at `dst`'s subnet themselves come first."""
    nearby = [
        own.prefix for device in net.devices.values() for own in device.addresses if not device.is_loopback
    ]
    nearer: list[IpAddress] = []
    further: list[IpAddress] = []
    for other in case.network.fabric.namespaces.values():
        if other is net:
            continue
        addresses = [own for device in other.devices.values() for own in device.addresses]
        beside = [each.address for each in addresses if any(each.address in prefix for prefix in nearby)]
        if not beside or not (other.sysctl.number("net.ipv4.ip_forward") or dst in beside):
            continue
        knows = any(dst in each.prefix for each in addresses if each.prefix.length)
        (nearer if knows else further).append(beside[0])
    return [*nearer, *further]
