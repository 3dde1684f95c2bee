# SPDX-License-Identifier: GPL-2.0-only
"""Ports where nobody listens: who does listen there, and who sent the packet to this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel import sctp, tcp
from emu.kernel.drops import DropReason
from emu.kernel.facts import Translated
from emu.kernel.sockets import SocketKind
from emu.verify.causes import nft, node_ports
from emu.verify.causes.objects import service_at
from emu.verify.causes.rules import port_index, port_of_rule, ports
from emu.verify.causes.scene import called
from emu.verify.causes.words import PROTOCOLS, listed, port_words
from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.namespace import Namespace
    from emu.kernel.sockets import Socket
    from emu.observe.recording import Step
    from emu.verify.causes.cause import Cause
    from emu.verify.causes.scene import Scene

_FIRST_NODE_PORT: Final = 30000
_LAST_NODE_PORT: Final = 32767
_KINDS: Final = (("TCP", SocketKind.TCP), ("UDP", SocketKind.UDP), ("SCTP", SocketKind.SCTP))


def refine(scene: Scene, cause: Cause) -> Cause | None:
    """Return the cause with who listens and whose port this is, None if the packet found a socket."""
    if cause.code != DropReason.NO_SOCKET.name or not scene.there.has_ports:
        return None
    owner = called(scene.network, scene.end.net)
    known = list(_listening(scene.net))
    listening = f"it listens on {listed(known)}" if known else "it listens on no port"
    sent = _sent_by(scene)
    if sent is not None:
        whose, index, port = sent
        target = f"targetPort {port}" if port else f"port {scene.there.dport}"
        missing = f"nobody listens on {port_words(scene.there)} in {owner}"
        words = f"{whose} sends to {target}, and {missing} ({listening})"
        field = f"spec.ports[{index}].targetPort"
        fix = f"let {field} of {whose} be a port that its pods listen on"
        return attrs.evolve(cause, words=words, object=whose, field=field, fix=fix)
    if not owner.startswith("Pod "):
        unserved = node_ports.unserved(scene, cause)
        if unserved is not None:
            return unserved
        hint = _node_ports(scene)
        return attrs.evolve(cause, words=f"{cause.words}; {hint}") if hint else None
    words = f"{cause.words} in {owner} ({listening})"
    return attrs.evolve(cause, words=words, object=owner, field="spec.containers")


def _listening(net: Namespace) -> Iterator[str]:
    """Yield the ports that programs listen on, with the address if that is not any."""
    for name, kind in _KINDS:
        for socket in sorted(net.sockets.of(kind), key=lambda each: each.local_port):
            if _is_listening(socket, kind):
                address = "" if socket.local == ANY_IP4 else f"{socket.local}:"
                yield f"{name} {address}{socket.local_port}"


def _is_listening(socket: Socket, kind: SocketKind) -> bool:
    if kind is SocketKind.UDP:
        return bool(socket.local_port) and not socket.is_connected
    return tcp.is_listening(socket) or sctp.is_listening(socket)


def _node_ports(scene: Scene) -> str:
    """Return which node ports there are if one of their range was asked; empty if none was."""
    port = scene.there.dport
    if scene.store is None or not _FIRST_NODE_PORT <= port <= _LAST_NODE_PORT:
        return ""
    known = [(service.metadata, each) for service, each in ports(scene.store) if each.node_port]
    asked = port, PROTOCOLS.get(scene.there.protocol)
    if any((each.node_port, each.protocol) == asked for _, each in known):
        return ""
    names = [f"{each.node_port}/{each.protocol} of {meta.namespace}/{meta.name}" for meta, each in known]
    hint = f" (there is {listed(names)})" if names else ""
    return f"no Service has the node port {port_words(scene.there)}{hint}"


def _sent_by(scene: Scene) -> tuple[str, int, str] | None:
    """Return the Service that translated the packet to this port, which of its ports, its targetPort."""
    for step in reversed(scene.steps):
        if step.stage == "ipvs":
            return _balanced_by(scene, step)
        if step.chain is None or not (
            step.chain[1].startswith("KUBE-SEP-") or nft.is_endpoint(step.chain[1])
        ):
            continue
        named = port_of_rule(scene.network.fabric.namespace(step.net), scene.store, step.chain[1], step.rule)
        if named is None:
            return None
        return _port_of(scene, named)
    return None


def _balanced_by(scene: Scene, step: Step) -> tuple[str, int, str] | None:
    """Return the same of a virtual service of IPVS that was asked before `step`."""
    asked = next((one for one in scene.packet.tuples if one.dst != scene.there.dst), None)
    service = (
        None if scene.store is None or asked is None else service_at(scene.store, str(asked.dst), asked.dport)
    )
    is_answer = isinstance(step.fact, Translated) and step.fact.is_source
    if is_answer or service is None or asked is None:
        return None
    ports = (each for each in service.spec.ports if asked.dport in {each.port, each.node_port})
    name = next((each.name for each in ports if each.protocol == PROTOCOLS.get(asked.protocol)), None)
    meta = service.metadata
    return None if name is None else _port_of(scene, (meta.namespace, meta.name, name))


def _port_of(scene: Scene, named: tuple[str, str, str]) -> tuple[str, int, str]:
    """Return a Service, which of its ports has a name, and the targetPort of that."""
    index, target = port_index(scene.store, named), ""
    service = scene.service(named[0], named[1])
    if service is not None and index < len(service.spec.ports):
        port = service.spec.ports[index]
        target = str(port.port if port.target_port is None else port.target_port)
    return f"Service {named[0]}/{named[1]}", index, target
