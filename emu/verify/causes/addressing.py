# SPDX-License-Identifier: GPL-2.0-only
"""Addresses that two hosts have, and ranges that two networks have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.drops import DropReason
from emu.kernel.facts import Resolved, Routed
from emu.verify.causes.codes import CIDR_OVERLAP, DUP_IP
from emu.verify.causes.scene import called
from emu.verify.causes.segment import neighbours
from emu.verify.causes.words import listed
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.namespace import Namespace
    from emu.observe.recording import Step
    from emu.verify.causes.cause import Cause
    from emu.verify.causes.scene import Scene
    from emu.wire.addresses import IpAddress

_WRONG_HOST: Final = frozenset(
    (
        DropReason.NO_SOCKET,
        DropReason.OTHERHOST,
        DropReason.IP_INADDRERRORS,
        DropReason.IP_INNOROUTES,
        DropReason.TCP_RESET,
        DropReason.TCP_FLAGS,
    )
)


def refine(scene: Scene, cause: Cause) -> Cause | None:
    """Return the cause if the packet got to another host than it was for, or was kept on a wrong link."""
    if scene.end.reason in _WRONG_HOST:
        return _duplicate(scene, cause)
    if cause.code == DropReason.NEIGH_FAILED.name:
        return _own_gateway(scene, cause) or _overlap(scene, cause)
    return None


# --- one address, two hosts ---


def _duplicate(scene: Scene, cause: Cause) -> Cause | None:
    """Explain a packet that followed a neighbour entry to a host it was not for."""
    found = _last_neighbour(scene)
    if found is None:
        return None
    step, (address, mac, device, _) = found
    asker = scene.network.fabric.namespace(step.net)
    link = neighbours(scene.network, asker, device)
    owners = sorted({net.name for net, each in link if any(own.address == address for own in each.addresses)})
    owners = owners or announcers(scene, address)
    holders = sorted({net.name for net, each in link if each.mac == mac and net is not asker})
    if not owners or not holders or owners == holders:
        return None
    if scene.end.net not in holders and scene.end.reason is not DropReason.OTHERHOST:
        return None
    names = [called(scene.network, each) for each in owners]
    holder = called(scene.network, holders[0])
    if len(owners) > 1:
        words = (
            f"{listed(names)} both have {address}, and {called(scene.network, asker.name)} sends to {holder}"
        )
        fix = f"give one of them another address: {listed(names)}"
    else:
        sender = called(scene.network, asker.name)
        words = f"{sender} has {mac} of {holder} as neighbour {address}, which is {names[0]}'s"
        fix = f"ip neigh flush to {address} in {asker.name}; have {names[0]} announce its address (arping -U)"
    return attrs.evolve(
        cause,
        code=DUP_IP,
        words=f"{words}: {cause.words}",
        fix=fix,
        object=next(
            (name for name in names if name.startswith(("Pod ", "Node ")) and name != holder), names[0]
        ),
        field="",
    )


def announcers(scene: Scene, address: IpAddress) -> list[str]:
    """Return the node that answers ARP for an address of a load balancer, which no device has."""
    from emu.cluster.cluster import Cluster  # noqa: PLC0415 - a network has no load balancers

    if not isinstance(scene.network, Cluster):
        return []
    speakers = scene.network.control_plane.balancers.speakers
    return [f"node/{each.announced[address]}" for each in speakers if address in each.announced]


def _last_neighbour(scene: Scene) -> tuple[Step, Resolved] | None:
    """Return the last neighbour that the packet was sent to, and the step."""
    for step in reversed(scene.steps):
        if isinstance(step.fact, Resolved):
            return step, step.fact
    return None


def _own_gateway(scene: Scene, cause: Cause) -> Cause | None:
    """Explain a packet that was to go on by a host whose address the sender has, too."""
    kept = _kept(scene, scene.there.dst)
    if kept is None:
        return None
    net, prefix, device = kept
    own = {each.address for link in net.devices.values() for each in link.addresses}
    gateways = (
        hop.gateway for route in net.fib.routes() if str(route.dst) == prefix for hop in route.nexthops
    )
    gateway = next((each for each in gateways if each is not None and each in own), None)
    if gateway is None:
        return None
    others = [name for name, _, _ in _holders(scene, gateway) if name != net.name]
    if not others:
        return None
    name, other = called(scene.network, net.name), called(scene.network, others[0])
    return attrs.evolve(
        cause,
        code=DUP_IP,
        words=(
            f"{name} and {other} both have {gateway}: by its route {prefix} via {gateway}, {name} looks for "
            f"{scene.there.dst} on {device}, where {other} was meant to send it on"
        ),
        fix=f"give one of them another address: {name}, {other}",
        object=next((each for each in (other, name) if each.startswith("Node ")), ""),
        field="",
    )


# --- one range, two networks ---


def _overlap(scene: Scene, cause: Cause) -> Cause | None:
    """Explain a packet that was kept on a link because of a route, while its destination is elsewhere."""
    destination = scene.there.dst
    kept = _kept(scene, destination)
    if kept is None:
        return None
    net, prefix, device = kept
    here = {(each.name, link.name) for each, link in neighbours(scene.network, net, device)}
    elsewhere = [
        (each, link, own)
        for each, link, own in _holders(scene, destination)
        if (each, link) not in here and each != net.name
    ]
    if not elsewhere:
        return None
    owner, _, real = elsewhere[0]
    whose, name = called(scene.network, owner), called(scene.network, net.name)
    words = (
        f"{name} takes {destination} for a neighbour on {device} by its route {prefix} dev {device}; it is "
        f"{whose}'s, of {real}, and the two ranges overlap"
    )
    fix = f"give one of the two networks another range: {prefix} of {name}, {real} of {whose}"
    _, node = scene.network.owners(net.name)
    return attrs.evolve(
        cause,
        code=CIDR_OVERLAP,
        words=words,
        fix=fix,
        object="" if node is None else f"Node {node}",
        field="" if node is None else "spec.podCIDR",
    )


def _kept(scene: Scene, destination: IpAddress) -> tuple[Namespace, str, str] | None:
    """Return where the packet was routed last, by which range and device, if that is a link of its own."""
    for step in reversed(scene.steps):
        fact = step.fact
        if isinstance(fact, Routed) and fact.is_unicast and fact.dst is not None and fact.dst.length:
            is_link = fact.gateway is None and fact.dst != Prefix(destination, destination.bits)
            return (scene.network.fabric.namespace(step.net), str(fact.dst), fact.device) if is_link else None
    return None


def _holders(scene: Scene, address: IpAddress) -> Iterator[tuple[str, str, str]]:
    """Yield who has `address`: namespace, device, and the range it is of."""
    for net in scene.network.fabric.namespaces.values():
        for device in net.devices.values():
            for own in device.addresses:
                if own.address == address:
                    yield net.name, device.name, str(own.prefix)
