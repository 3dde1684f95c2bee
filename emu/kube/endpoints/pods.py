# SPDX-License-Identifier: GPL-2.0-only
"""A pod as an endpoint of a Service.

Source: staging/src/k8s.io/endpointslice/utils.go (`podToEndpoint`, `getEndpointPorts`),
util/controller_utils.go (`ShouldPodBeInEndpoints`).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from emu.kube.api.defaults import family_of
from emu.kube.api.objects.meta import Reference
from emu.kube.api.objects.service import Endpoint, EndpointConditions, EndpointPort

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kube.api.objects import Node, Pod, Service
    from emu.kube.api.objects.container import Container
    from emu.kube.api.objects.service import ServicePort

ZONE: Final = "topology.kubernetes.io/zone"


def has_selector(service: Service) -> bool:
    """Whether its endpoints are made by the controllers: an empty selector counts as none."""
    return bool(service.spec.selector) and service.spec.type != "ExternalName"


def is_candidate(pod: Pod) -> bool:
    """Whether a pod can be an endpoint at all: it has an address and has not ended."""
    return not pod.is_finished and bool(pod.status.pod_ip or pod.status.pod_ips)


def addresses(pod: Pod, family: str) -> tuple[str, ...]:
    """Return the pod's addresses of a family, `IPv4` or `IPv6`; an endpoint has the first."""
    found = tuple(each.ip for each in pod.status.pod_ips) or (pod.status.pod_ip,)
    return tuple(each for each in found if each and family_of(each) == family)


@cache
def conditions(*, ready: bool, terminating: bool, published: bool) -> EndpointConditions:
    """Return what may be sent to a pod.

    Args:
        ready: the pod's condition Ready is True.
        terminating: somebody has asked for its end.
        published: the Service publishes addresses that are not ready.
    """
    return EndpointConditions(
        ready=published or (ready and not terminating), serving=ready, terminating=terminating
    )


def hostname(pod: Pod, service: Service) -> str | None:
    """Return the pod's name below the Service's; it has one if its subdomain is the Service."""
    spec = pod.spec
    return spec.hostname if spec.hostname and spec.subdomain == service.metadata.name else None


def reference(pod: Pod) -> Reference:
    """Return how an endpoint names its pod."""
    metadata = pod.metadata
    return Reference("Pod", metadata.name, metadata.namespace, metadata.uid)


def endpoint_of(pod: Pod, service: Service, node: Node | None, family: str) -> Endpoint | None:
    """Return the pod as an endpoint of the Service, None if it has no address of the family."""
    found = addresses(pod, family)
    if not found:
        return None
    return Endpoint(
        found[:1],
        conditions(
            ready=pod.is_ready,
            terminating=pod.metadata.is_terminating,
            published=service.spec.publish_not_ready_addresses,
        ),
        hostname=hostname(pod, service),
        target_ref=reference(pod),
        node_name=pod.spec.node_name or None,
        zone=node.metadata.labels.get(ZONE) if node is not None else None,
    )


# --- ports ---


def _containers(pod: Pod) -> Iterator[Container]:
    yield from pod.spec.containers
    yield from (each for each in pod.spec.init_containers if each.restart_policy == "Always")


def port_number(pod: Pod, port: ServicePort) -> int | None:
    """Return the pod's port that a Service's port leads to, None if no container has one of that name."""
    target = port.target_port or port.port
    if isinstance(target, int):
        return target
    for container in _containers(pod):
        for each in container.ports:
            if each.name == target and each.protocol == port.protocol:
                return each.container_port
    return None


def ports_of(pod: Pod, service: Service) -> tuple[EndpointPort, ...]:
    """Return the ports of the Service as they are on the pod; what the pod lacks is left out."""
    found = []
    for port in service.spec.ports:
        number = port_number(pod, port)
        if number is not None:
            found.append(EndpointPort(port.name, number, port.protocol, port.app_protocol))
    return tuple(found)


def has_named_target(service: Service) -> bool:
    """Whether ports may differ from pod to pod."""
    return any(isinstance(each.target_port, str) for each in service.spec.ports)
