# SPDX-License-Identifier: GPL-2.0-only
"""Load balancers that pass a request on to nobody, and nodes that lead requests past them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.loadbalancers.rules import NO_NODE, NO_SOURCE
from emu.verify.causes.cause import Cause
from emu.verify.causes.codes import (
    LB_BYPASSED,
    LB_PENDING,
    LB_PROXY_HEADER,
    LB_SOURCE_RANGE,
    LB_UNHEALTHY,
    SVC_NO_SUCH_PORT,
)
from emu.verify.causes.rules import comment_of
from emu.verify.causes.words import PROTOCOLS, listed
from emu.verify.story import Way

if TYPE_CHECKING:
    from emu.cluster.cluster import Cluster
    from emu.cluster.emulation import Emulation
    from emu.kube.loadbalancers.frontends import Frontend
    from emu.kube.loadbalancers.machine import Machine
    from emu.verify.causes.scene import Scene
    from emu.verify.endpoint import Target
    from emu.verify.story import Packet, Story

_MACHINE: Final = "lb/"
_OUTSIDE: Final = "ext/"


def refine(scene: Scene, cause: Cause) -> Cause | None:
    """Return the cause if a balancer ended the packet: it has no node or port, or lets nobody in."""
    machine = _machine(scene.network, scene.end.net)
    if machine is None:
        return _pending(scene, cause)
    comment = comment_of(cause.rule)
    name = machine.spec.name
    if comment.startswith(NO_NODE):
        found = _frontend(machine, comment.removeprefix(NO_NODE).strip())
        return None if found is None else _unhealthy(cause, machine, found)
    if comment.startswith(NO_SOURCE):
        found = _frontend(machine, comment.removeprefix(NO_SOURCE).strip())
        whose = "the Service" if found is None else _whose(found)
        ranges = "" if found is None else f" ({', '.join(map(str, found.sources))})"
        words = f"{scene.there.src} is in none of the loadBalancerSourceRanges of {whose}{ranges}"
        fix = f"add a range with {scene.there.src} to spec.loadBalancerSourceRanges of {whose}"
        return attrs.evolve(
            cause,
            code=LB_SOURCE_RANGE,
            words=words,
            object=whose,
            field="spec.loadBalancerSourceRanges",
            fix=fix,
        )
    here = [each for each in machine.frontends if each.address == scene.there.dst]
    if not here or any((each.port, each.protocol) == _port(scene) for each in here):
        return None
    known = ", ".join(f"{each.port}/{each.protocol.upper()}" for each in here)
    asked = f"port {scene.there.dport}/" if scene.there.has_ports else ""
    words = (
        f"load balancer {name} has no {asked}{PROTOCOLS.get(scene.there.protocol, scene.there.protocol)} "
        f"at {scene.there.dst} (it has {known})"
    )
    return attrs.evolve(
        cause, code=SVC_NO_SUCH_PORT, words=words, object=_whose(here[0]), field="spec.ports", fix=""
    )


def _pending(scene: Scene, cause: Cause) -> Cause | None:
    """Tell that somebody outside asks for a Service that has no address for him yet."""
    kind, _, name = scene.target.point.partition("/")
    is_outside = scene.source.namespace.startswith(_OUTSIDE)
    if kind != "svc" or not is_outside or scene.network.owners(scene.end.net) != (None, None):
        return None
    namespace, _, name = name.rpartition("/")
    service = scene.service(namespace or "default", name)
    if service is None or service.spec.type != "LoadBalancer" or service.status.load_balancer.ingress:
        return None
    whose = f"Service {service.metadata.namespace}/{name}"
    ports = [each.node_port for each in service.spec.ports if each.node_port]
    node = f", or ask a node at port {ports[0]}" if ports else ""
    words = f"{whose} has no address for those outside: no load balancer has given it one (<pending>)"
    fix = f"give a Fabric document an entry under loadBalancers (none is modelled in a VPC){node}"
    return attrs.evolve(
        cause, code=LB_PENDING, words=words, object=whose, field="status.loadBalancer", fix=fix
    )


def of_ended(network: Emulation, story: Story, target: Target) -> Cause | None:
    """Return why a connection was ended that stood: nobody to pass it on to, or a header that nobody wants.

    Args:
        network: as the packets left it.
        story: all of it.
        target: whom the connection was for.
    """
    request = story.request
    if request is None or not request.is_accepted:
        return None
    machine = _machine(network, request.end.step.net)
    if machine is not None:
        found = next(
            (
                each
                for each in machine.frontends
                if (each.address, each.port) == (request.tuples[-1].dst, request.tuples[-1].dport)
            ),
            None,
        )
        if found is None:
            return None
        if story.onward is None:
            cause = Cause("", "", Way.REQUEST, machine.net.name)
            return _unhealthy(cause, machine, found)
        return _strange_header(machine, found, story.last) if machine.spec.proxy_protocol else None
    return _bypassed(network, request, target) if target.says else None


def _unhealthy(cause: Cause, machine: Machine, frontend: Frontend) -> Cause:
    """Tell that no node works, and how that was found out."""
    check, whose = frontend.check, _whose(frontend)
    nodes = listed([target.node for target in frontend.targets]) if frontend.targets else ""
    if check is None or not frontend.targets:
        words = f"load balancer {machine.spec.name} has no node for {whose}"
        fix = "take the label node.kubernetes.io/exclude-from-external-load-balancers from a node"
    else:
        how = "GET /healthz of" if check.kind == "http" else "a connection to"
        words = (
            f"load balancer {machine.spec.name} has no healthy node for {whose}: {how} port {check.port} "
            f"fails on {nodes}"
        )
        fix = f"have an endpoint of {whose} be ready"
    return attrs.evolve(cause, code=LB_UNHEALTHY, words=words, object=whose, field="", fix=fix)


def _strange_header(machine: Machine, frontend: Frontend, story: Story) -> Cause | None:
    """Tell that a server does not know the header that a proxy sends first."""
    request = story.request
    if request is None or not request.is_accepted:
        return None
    step = request.end.step
    words = (
        f"load balancer {machine.spec.name} begins with a header of the PROXY protocol, and {step.net} does "
        "not know it"
    )
    fix = f"have the servers of {_whose(frontend)} expect the PROXY protocol, or the balancer not send it"
    return Cause(LB_PROXY_HEADER, words, Way.REPLY, step.net, step.device, fix, _whose(frontend))


def _bypassed(network: Emulation, request: Packet, target: Target) -> Cause | None:
    """Tell that kube-proxy led a connection past the balancer that adds the header."""
    cluster = _cluster(network)
    if cluster is None:
        return None
    for machine in cluster.control_plane.balancers.machines.values():
        for each in machine.frontends:
            if (each.address, each.port) != (target.address, target.port):
                continue
            step, mode = request.end.step, machine.spec.mode
            words = (
                f"kube-proxy takes {target.address} of {_whose(each)} for its own (ipMode {mode}) and leads "
                f"past load balancer {machine.spec.name}: {step.net} waits for its PROXY header, and ends "
                "the connection"
            )
            return Cause(
                LB_BYPASSED,
                words,
                Way.REPLY,
                step.net,
                step.device,
                f"have load balancer {machine.spec.name} write ipMode Proxy into the status",
                _whose(each),
                "status.loadBalancer.ingress[0].ipMode",
            )
    return None


def _cluster(network: Emulation) -> Cluster | None:
    from emu.cluster.cluster import Cluster  # noqa: PLC0415 - a network needs no control plane

    return network if isinstance(network, Cluster) else None


def _machine(network: Emulation, net: str) -> Machine | None:
    """Return the balancer that is the namespace `net`."""
    cluster = _cluster(network) if net.startswith(_MACHINE) else None
    if cluster is None:
        return None
    return cluster.control_plane.balancers.machines.get(net.removeprefix(_MACHINE))


def _frontend(machine: Machine, name: str) -> Frontend | None:
    return next((each for each in machine.frontends if each.name == name), None)


def _whose(frontend: Frontend) -> str:
    return f"Service {frontend.service.namespace}/{frontend.service.name}"


def _port(scene: Scene) -> tuple[int, str]:
    return scene.there.dport, PROTOCOLS.get(scene.there.protocol, "").lower()
