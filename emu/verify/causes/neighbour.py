# SPDX-License-Identifier: GPL-2.0-only
"""Next hops that are not reached: what became of the question for their MAC address, and of their link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.drops import DropReason
from emu.kernel.facts import Resolved
from emu.observe.recording import Kind
from emu.verify.causes.codes import HOST_DOWN, UNDERLAY_FILTER
from emu.verify.causes.scene import called
from emu.wire import ethernet
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.observe.recording import Step
    from emu.verify.causes.cause import Cause
    from emu.verify.causes.scene import Scene

_ARP: Final = ethernet.ARP.to_bytes(2, "big")
_REQUEST, _REPLY = 1, 2
_HARMLESS: Final = frozenset((DropReason.OTHERHOST,))


def refine(scene: Scene, cause: Cause) -> Cause | None:
    """Return the cause if a next hop has no link, or it and who asked for it do not hear each other."""
    if cause.code == DropReason.NEIGH_FAILED.name:
        address = _asked(scene)
        if address is None:
            return None
        return _without_link(scene, cause, address) or _unheard(scene, cause, address)
    if scene.end.reason is DropReason.OTHERHOST:
        found = next((each.fact for each in reversed(scene.steps) if isinstance(each.fact, Resolved)), None)
        return None if found is None else _without_link(scene, cause, found.address)
    return None


# --- the link ---


def _without_link(scene: Scene, cause: Cause, address: IpAddress) -> Cause | None:
    """Explain that the only one who has an address cannot be heard."""
    holders = list(_holders(scene, address))
    if len(holders) != 1 or holders[0][1].is_running:
        return None
    net, device = holders[0]
    name = called(scene.network, net.name)
    plain = net.name.removeprefix("node/")
    cable = scene.network.fabric.cable(net, device.name)
    blame = attrs.evolve(
        cause, net=net.name, device=device.name, object=name if " " in name else "", field=""
    )
    if cable is not None and cable.is_dead:
        words = f"{name} ({address}) is cut off or has no power"
        return attrs.evolve(blame, code=HOST_DOWN, words=words, fix=f"recover {plain}")
    if cable is not None and cable.is_down:
        words = f"{device.name} of {name} ({address}) has no carrier: {cable.name} is down"
        code = DropReason.CABLE_UNPLUGGED.name
        return attrs.evolve(blame, code=code, words=words, fix=f"link {plain}:{device.name} up")
    words = f"{device.name} of {name} ({address}) is down or has no carrier"
    fix = "" if device.up else f"ip link set {device.name} up in {net.name}"
    return attrs.evolve(blame, code=DropReason.DEV_READY.name, words=words, fix=fix)


def _holders(scene: Scene, address: IpAddress) -> Iterator[tuple[Namespace, Device]]:
    for net in scene.network.fabric.namespaces.values():
        for device in net.devices.values():
            if any(own.address == address for own in device.addresses):
                yield net, device


# --- the question ---


def _asked(scene: Scene) -> IpAddress | None:
    """Return for whose MAC address was asked in vain."""
    asked = [each for each in _arp(scene, _REQUEST) if _leaves(each, scene.end.net, scene.device)]
    return IpAddress(asked[-1].octets[38:42]) if asked else None


def _unheard(scene: Scene, cause: Cause, address: IpAddress) -> Cause | None:
    """Explain that the question for an address, or the answer, was lost on its way."""
    asker = scene.end.net
    requests = [each for each in _arp(scene, _REQUEST) if each.octets[38:42] == bytes(address)]
    replies = [each for each in _arp(scene, _REPLY) if each.octets[28:32] == bytes(address)]
    ours = {each.packet_id for each in requests if _leaves(each, asker, scene.device)}
    for what, packets in (("answer", {each.packet_id for each in replies}), ("question", ours)):
        lost = _lost(scene, packets)
        if lost is None:
            continue
        assert lost.reason is not None, "a drop has a reason"
        is_filtered = lost.reason is DropReason.TC_INGRESS
        code = UNDERLAY_FILTER if is_filtered else lost.reason.name
        place, name = called(scene.network, lost.net), called(scene.network, asker)
        words = (
            f"the ARP {what} of {name} for {address} is lost at {place}: {lost.detail or lost.reason.value}"
            if what == "question"
            else f"{name} does not hear who has {address}, the answer is lost at {place}: "
            f"{lost.detail or lost.reason.value}"
        )
        fix = f"let ARP pass between the nodes in {lost.net}" if is_filtered else ""
        return attrs.evolve(cause, code=code, words=words, net=lost.net, device=lost.device, fix=fix)
    return None


def _lost(scene: Scene, packets: Iterable[int]) -> Step | None:
    """Return where the last of some packets was lost."""
    wanted = frozenset(packets)
    drops = [
        step
        for step, _ in scene.exchange.told
        if step.kind is Kind.DROP and step.packet_id in wanted and step.reason not in _HARMLESS
    ]
    return drops[-1] if drops else None


def _arp(scene: Scene, operation: int) -> Iterator[Step]:
    """Yield the steps of questions, or answers, at devices."""
    for step, _ in scene.exchange.told:
        octets = step.octets
        if step.framed and octets[12:14] == _ARP and octets[20:22] == operation.to_bytes(2, "big"):
            yield step


def _leaves(step: Step, net: str, device: str) -> bool:
    return step.kind is Kind.OUT and step.net == net and step.device in {device, ""}
