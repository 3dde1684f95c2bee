# SPDX-License-Identifier: GPL-2.0-only
"""Which object of Kubernetes a step of a packet is owed to.

a rule                      who wrote it (`rules`)
a drop by a rule            the same
addresses that were changed the Service whose address it was
a route                     the node or the pod it leads to
a device                    the pod behind it, or the provider that made it
a socket                    the pod that it is in
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel.facts import End, Routed, Scheduled, Translated
from emu.kernel.route import RouteType
from emu.kube.api.objects import Node, Service
from emu.observe.recording import Kind
from emu.verify.causes.index import index_of
from emu.verify.causes.origin import Origin, provider_of, store_of
from emu.verify.causes.rules import isolated_pod, origin_of_rule, text_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.cluster.emulation import Emulation
    from emu.kernel.namespace import Namespace
    from emu.kube.api.store import Store
    from emu.observe.recording import Step


def object_of(network: Emulation, step: Step) -> str | None:
    """Return the object that `step` is owed to, as `KIND NS/NAME`; None if it is nobody's in particular.

    Beside objects (`Service default/web`, `NetworkPolicy shop/deny`, `Pod
    default/web-1`, `Node worker-1`) it may be a program that acts for the whole
    cluster: `kube-proxy`, `provider flannel`, `plugin portmap`. In a network
    document rules with comments of kube-proxy are named all the same.

    Args:
        network: what the step was taken in; it is only looked at.
        step: of a recording.
    """
    origin = origin_of(network, step)
    return None if origin is None else origin.object


def origin_of(network: Emulation, step: Step) -> Origin | None:
    """Return the object that `step` is owed to, and the field in it; None if it is nobody's in particular."""
    net = network.fabric.namespaces.get(step.net)
    if net is None:
        return None
    if step.chain is not None:
        return _of_rule(network, net, step.chain[1], step.rule, step.chain[0]) if step.rule else None
    if step.kind is Kind.DROP:
        chain, rule = text_at(net, step.fact)
        return _of_rule(network, net, chain, rule) if rule else _of_device(network, net, step.device)
    match step.fact:
        case Scheduled(service=service) if not service.mark:
            return _of_service(store_of(network), End(service.address, service.port))
        case Translated(is_source=is_source, after=after, before=None):
            return _of_service(store_of(network), after) if is_source else None
        case Translated(is_source=is_source, after=after, before=before):
            return _of_service(store_of(network), *((after, before) if is_source else (before, after)))
        case Routed() as route:
            return _of_route(network, net, route)
    if step.kind in {Kind.IN, Kind.OUT}:
        return _of_device(network, net, step.device)
    return _pod(network, net.name) if step.stage in {"socket", "echo", "icmp"} else None


def _of_rule(network: Emulation, net: Namespace, chain: str, rule: str, table: str = "") -> Origin | None:
    policies = isolating(network, rule)
    return policies[0] if policies else origin_of_rule(network, net, chain, rule, table)


def isolating(network: Emulation, rule: str) -> Sequence[Origin]:
    """Return the policies that isolate the pod that a refusing rule is about; none of another rule."""
    isolated, store = isolated_pod(rule), store_of(network)
    if isolated is None or store is None:
        return ()
    namespace, name, direction = isolated
    found = index_of(store).isolating(namespace, name, direction)
    return [Origin(f"NetworkPolicy {namespace}/{policy}", f"spec.{direction}") for policy in found]


def _of_service(store: Store | None, *ends: End) -> Origin | None:
    """Return the Service that is at the first of some ends that is a Service's."""
    if store is None:
        return None
    for end in ends:
        service = service_at(store, str(end.address), end.port or 0)
        if service is not None:
            return Origin(f"Service {service.metadata.namespace}/{service.metadata.name}")
    return None


def service_at(store: Store, address: str, port: int = 0) -> Service | None:
    """Return the Service that has `address`, or this node port if it is a node's."""
    found = index_of(store).service_at(address)
    if found is not None:
        return found
    if port and any(address in (each.address for each in node.status.addresses) for node in store.each(Node)):
        for service in store.each(Service):
            if any(each.node_port == port for each in service.spec.ports):
                return service
    return None


def _of_route(network: Emulation, net: Namespace, route: Routed) -> Origin | None:
    """Return whose range or address a route leads to."""
    store = store_of(network)
    if store is None or route.dst is None or not route.dst.length:
        return None
    for node in store.each(Node):
        if str(route.dst) in node.spec.pod_cidrs:
            return Origin(f"Node {node.metadata.name}", "spec.podCIDR")
    return None if route.kind is RouteType.LOCAL else _of_veth(network, net, route.device)


def _of_device(network: Emulation, net: Namespace, name: str) -> Origin | None:
    """Return what a device belongs to: the pod whose it is or leads to, the provider that made it, a node."""
    device = net.devices.get(name)
    if device is None:
        return _pod(network, net.name)
    owner = _pod(network, net.name) or _of_veth(network, net, name)
    if owner is not None or not network.is_cluster:
        return owner
    _, node = network.owners(net.name)
    if device.link.kind in {"bridge", "vxlan", "ipip"} and node is not None:
        return Origin(f"provider {provider_of(network)}")
    return None if node is None else Origin(f"Node {node}")


def _of_veth(network: Emulation, net: Namespace, name: str) -> Origin | None:
    """Return the pod at the other end of a device, None if there is none."""
    device = net.devices.get(name)
    if device is None or device.link.kind != "veth":
        return None
    far = network.fabric.far_end(net, name)
    return None if far is None else _pod(network, far[0].name)


def _pod(network: Emulation, net: str) -> Origin | None:
    """Return the pod that a network namespace is of, None if it is none's."""
    pod, _ = network.owners(net)
    return None if pod is None else Origin(f"Pod {pod}")
