# SPDX-License-Identifier: GPL-2.0-only
"""The end points of a question about a cluster: who asks, and whom.

    FROM = POINT [":" PORT] | ADDRESS             its own port, a number
    TO   = (POINT | ADDRESS | DNS-NAME) [":" PORT-or-port-name] ["/" (tcp | udp | sctp | icmp)]
         | "dns://" NAME                          what a resolver asks for a name
         | a URL of http or https                 who answers for it: its host is an address or a DNS name

A POINT is a pod, a Service, a node, a host outside (`emu.cluster.points`). A DNS
name is looked up from where the question is asked, packets and all.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.apps.curl import url as urls
from emu.cluster.points import DEFAULT_NAMESPACE, address_outside, parse_point, pods_of, service_of
from emu.errors import EndPointError, UnknownNameError
from emu.kube.api.objects import Pod
from emu.verify import endpoint
from emu.verify.balanced import as_clients_ask
from emu.verify.endpoint import LITERAL, Protocol, Source, Target
from emu.verify.names import resolved, server_of
from emu.wire.addresses import ANY_IP4, IpAddress

if TYPE_CHECKING:
    from emu.cluster.cluster import Cluster
    from emu.cluster.points import Point
    from emu.kube.api.objects import Service

DNS: Final = "dns://"
"""What the end point begins with that is a name to be looked up."""

PAGES: Final = ("http://", "https://")
"""What URLs of pages begin with."""

_PROTOCOLS: Final = {protocol.value.lower(): protocol for protocol in Protocol}
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?")


def find_source(cluster: Cluster, text: str, namespace: str = DEFAULT_NAMESPACE) -> Source:
    """Return the asker that `text` names.

    Raises:
        EndPointError: it is no end point that asks, or its port is no number.
        UnknownNameError: there is none, or it does not run.
    """
    if LITERAL.fullmatch(text):
        return endpoint.find_source(cluster, text)
    name, colon, digits = text.partition(":")
    port = endpoint.port_number(text, digits) if colon else 0
    point = parse_point(name, namespace)
    pods = pods_of(cluster.store, point)
    if len(pods) > 1:
        raise EndPointError(f"{text!r} has {len(pods)} pods: say which one, like {name}[0]")
    host = cluster.host(name, namespace=namespace)
    return Source(f"{point}{colon}{digits}", host.net.name, userland=host.userland, port=port)


def find_target(cluster: Cluster, text: str, source: Source, namespace: str = DEFAULT_NAMESPACE) -> Target:
    """Return whom `text` asks, and with what.

    Raises:
        EndPointError: it is no end point, or port and protocol do not go together.
        UnknownNameError: there is none, or it has no address.
        NotResolvedError: it is a name for DNS, and that gives no address.
        CommandError: it begins as a URL of http, and is none.
    """
    if text.lower().startswith(PAGES):
        return _server_of(cluster, text, source)
    if text.startswith(DNS):
        return _resolver_of(text, source)
    return as_clients_ask(cluster, _find_target(cluster, text, source, namespace))


def _resolver_of(text: str, source: Source) -> Target:
    """Return the name server of `source`, as who is asked for a name."""
    name = text.removeprefix(DNS)
    if not _NAME.fullmatch(name):
        raise EndPointError(f"{text!r}: behind dns:// stands a name, and nothing else")
    if source.userland is None:
        raise EndPointError(f"{text!r}: who looks a name up has a resolv.conf; FROM is an address alone")
    return attrs.evolve(server_of(source.userland), point=text, name=name)


def _server_of(cluster: Cluster, text: str, source: Source) -> Target:
    """Return who answers for a URL: its host is never the name of a pod."""
    url = urls.parse(text)
    if LITERAL.fullmatch(url.written_host):
        return as_clients_ask(cluster, endpoint.find_target(cluster, f"{url.written_host}:{url.port}"))
    called = _target(text, url.host, ANY_IP4, url.port, Protocol.TCP)
    return as_clients_ask(cluster, resolved(cluster, source, called))


def _find_target(cluster: Cluster, text: str, source: Source, namespace: str) -> Target:
    rest, protocol = _split_protocol(text)
    name, port = _split_port(rest)
    if LITERAL.fullmatch(name):
        return endpoint.find_target(cluster, text)
    if _is_dns_name(cluster, name, namespace):
        called = _target(text, name, ANY_IP4, _number(text, port), protocol)
        return resolved(cluster, source, called)
    point = parse_point(name, namespace)
    match point.kind:
        case "svc":
            service = service_of(cluster.store, point)
            number, of_port = _service_port(text, service, port, protocol)
            address = address_outside(service, source.namespace) or _cluster_ip(service)
            return _target(text, str(point), address, number, protocol or of_port)
        case "node" | "ext":
            host = cluster.host(name, namespace=namespace)
            address = endpoint.first_address(host.net)
            return _target(text, str(point), address, _number(text, port), protocol)
        case _:
            pod = _one_pod(cluster, point, text)
            address = IpAddress.parse(pod.status.pod_ip)
            return _target(text, str(point), address, _pod_port(text, pod, port), protocol)


def _split_protocol(text: str) -> tuple[str, Protocol | None]:
    rest, slash, word = text.rpartition("/")
    protocol = _PROTOCOLS.get(word.lower()) if slash else None
    return (text, None) if protocol is None else (rest, protocol)


def _split_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        address, _, rest = text.partition("]")
        return f"{address}]", rest.removeprefix(":")
    name, colon, port = text.rpartition(":")
    return (name, port) if colon and text.count(":") == 1 else (text, "")


def _is_dns_name(cluster: Cluster, name: str, namespace: str) -> bool:
    """Return whether a name is one for DNS: it has dots, and no pod is called so."""
    return "." in name and "/" not in name and cluster.store.find(Pod, name, namespace) is None


def _target(text: str, name: str, address: IpAddress, port: int, protocol: Protocol | None) -> Target:
    if protocol is None:
        protocol = Protocol.TCP if port else Protocol.ICMP
    if port and protocol is Protocol.ICMP:
        raise EndPointError(f"{text!r}: ICMP has no ports")
    if not port and protocol is not Protocol.ICMP:
        raise EndPointError(f"{text!r}: {protocol.value} needs a port")
    return Target(name, address, protocol, port)


def _number(text: str, port: str) -> int:
    return endpoint.port_number(text, port) if port else 0


def _cluster_ip(service: Service) -> IpAddress:
    address = service.spec.cluster_ip
    if not address or service.is_headless:
        kind = "headless" if service.is_headless else service.spec.type
        raise EndPointError(f"svc/{service.metadata.name} is {kind}: it has no address, ask by its DNS name")
    return IpAddress.parse(address)


def _service_port(
    text: str, service: Service, port: str, protocol: Protocol | None
) -> tuple[int, Protocol | None]:
    """Return a Service's port, by number or name, and its protocol; the only one may be left out."""
    ports = service.spec.ports
    if protocol is Protocol.ICMP and not port:
        return 0, None
    if port.isdigit():
        number = endpoint.port_number(text, port)
        of_number = [each for each in ports if each.port == number]
        return number, _PROTOCOLS.get(of_number[0].protocol.lower()) if len(of_number) == 1 else None
    named = [each for each in ports if each.name == port] if port or len(ports) != 1 else ports
    if not named:
        known = ", ".join(f"{each.name or each.port}" for each in ports)
        raise EndPointError(f"{text!r}: which port? ({known})")
    return named[0].port, _PROTOCOLS.get(named[0].protocol.lower())


def _one_pod(cluster: Cluster, point: Point, text: str) -> Pod:
    pods = pods_of(cluster.store, point)
    if len(pods) != 1:
        raise EndPointError(f"{text!r} has {len(pods)} pods: say which one, like {point}[0]")
    if not pods[0].status.pod_ip:
        raise UnknownNameError(f"pod {pods[0].metadata.name} has no address: it is {pods[0].status.phase}")
    return pods[0]


def _pod_port(text: str, pod: Pod, port: str) -> int:
    if not port or port.isdigit():
        return _number(text, port)
    ports = [each for container in pod.spec.containers for each in container.ports]
    named = [each.container_port for each in ports if each.name == port]
    if not named:
        known = ", ".join(each.name for each in ports if each.name) or "none has a name"
        raise EndPointError(f"{text!r}: the pod has no port {port} ({known})")
    return named[0]
