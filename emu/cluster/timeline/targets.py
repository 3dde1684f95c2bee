# SPDX-License-Identifier: GPL-2.0-only
"""Whom a client of a scenario asks: an address and a port, or a name that it looks up each time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.expectation import split_flow
from emu.cluster.points import address_outside, parse_point, pods_of, service_of
from emu.errors import EndPointError, UnknownNameError
from emu.kube.api.objects import Pod
from emu.wire.addresses import ANY_IP4, IpAddress

if TYPE_CHECKING:
    from emu.cluster.cluster import Cluster
    from emu.cluster.points import Point
    from emu.cluster.timeline.traffic import TrafficSpec
    from emu.kernel.namespace import Namespace

_LITERAL: Final = re.compile(r"[0-9.]+")
_HTTP: Final = 80
_DNS: Final = 53


@attrs.frozen
class Target:
    """Whom a client asks.

    Attributes:
        address: unspecified where `name` has to be looked up.
        port: 0 for a ping.
        name: for DNS, and for the Host field of HTTP.
        is_pending: who asks is outside, and no load balancer has given the Service an address yet.
    """

    address: IpAddress
    port: int
    name: str = ""
    is_pending: bool = False


def find_target(cluster: Cluster, spec: TrafficSpec) -> Target:
    """Return whom a client asks.

    Raises:
        EndPointError: there is no such port, or no address to ask.
        UnknownNameError: there is no such object.
    """
    word, flow = split_flow(spec.target)
    port = flow.partition("/")[0].removeprefix(":")
    if spec.kind == "dns":
        return Target(ANY_IP4, 0, word)
    if _LITERAL.fullmatch(word):
        return Target(IpAddress.parse(word), _number(spec, port))
    if "." in word and "/" not in word and cluster.store.find(Pod, word, "default") is None:
        return Target(ANY_IP4, _number(spec, port), word)
    point = parse_point(word)
    match point.kind:
        case "svc":
            return _service(cluster, spec, point, port)
        case "node" | "ext":
            net = cluster.host(word).net
            return Target(_first_address(net), _number(spec, port), point.name)
        case _:
            return _pod(cluster, spec, point, port)


def _number(spec: TrafficSpec, port: str) -> int:
    if spec.kind == "ping":
        return 0
    if port.isdigit():
        return int(port)
    if not port and spec.kind == "http":
        return _HTTP
    raise EndPointError(f"{spec.target!r}: {spec.kind} needs the number of a port")


def _service(cluster: Cluster, spec: TrafficSpec, point: Point, port: str) -> Target:
    service = service_of(cluster.store, point)
    asker = cluster.host(spec.source).net.name
    outside = address_outside(service, asker)
    if outside is None and (service.is_headless or not service.spec.cluster_ip):
        raise EndPointError(f"{spec.target!r} has no address: ask it by its DNS name")
    address = outside or IpAddress.parse(service.spec.cluster_ip)
    is_pending = outside is None and asker.startswith("ext/")
    name = f"{point.name}.{point.namespace}"
    if port.isdigit() or spec.kind == "ping":
        return Target(address, int(port or 0), name, is_pending)
    ports = service.spec.ports
    named = [each for each in ports if each.name == port] if port or len(ports) != 1 else ports
    if not named:
        known = ", ".join(f"{each.name or each.port}" for each in ports)
        raise EndPointError(f"{spec.target!r}: which port? ({known})")
    return Target(address, named[0].port, name, is_pending)


def _pod(cluster: Cluster, spec: TrafficSpec, point: Point, port: str) -> Target:
    pods = pods_of(cluster.store, point)
    if len(pods) != 1:
        raise EndPointError(f"{spec.target!r} has {len(pods)} pods: say which one, like {point}[0]")
    (pod,) = pods
    if not pod.status.pod_ip:
        raise UnknownNameError(f"pod {pod.metadata.name} has no address: it is {pod.status.phase}")
    named = [
        each.container_port
        for container in pod.spec.containers
        for each in container.ports
        if each.name == port
    ]
    number = named[0] if port and named else _number(spec, port)
    return Target(IpAddress.parse(pod.status.pod_ip), number, point.name)


def _first_address(net: Namespace) -> IpAddress:
    """Return a host's first address."""
    for device in net.devices.values():
        for each in device.addresses:
            if not each.address.is_loopback:
                return each.address
    raise UnknownNameError(f"{net.name} has no address")
