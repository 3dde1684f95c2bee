# SPDX-License-Identifier: GPL-2.0-only
"""NetworkPolicy, Ingress, IngressClass. Source: staging/src/k8s.io/api/networking/v1/types.go."""

from __future__ import annotations

from typing import ClassVar

import attrs

from emu.kube.api.objects.field import Rest, rest
from emu.kube.api.objects.meta import LabelSelector, Meta, Reference
from emu.kube.api.objects.service import LoadBalancerStatus


@attrs.frozen
class IpBlock:
    """Addresses of a prefix but for some."""

    cidr: str
    except_: tuple[str, ...] = attrs.field(default=(), metadata={"name": "except"})
    rest: Rest = rest()


@attrs.frozen
class PolicyPeer:
    """Who may talk: pods by labels, of namespaces by labels, or addresses."""

    pod_selector: LabelSelector | None = None
    namespace_selector: LabelSelector | None = None
    ip_block: IpBlock | None = None
    rest: Rest = rest()


@attrs.frozen
class PolicyPort:
    """A port, a range up to `end_port`, a container's port by name, or all of a protocol."""

    protocol: str = "TCP"
    port: int | str | None = None
    end_port: int | None = None
    rest: Rest = rest()


@attrs.frozen
class IngressRule:
    """Traffic that may come in; without peers from anybody, without ports to any."""

    ports: tuple[PolicyPort, ...] = ()
    from_: tuple[PolicyPeer, ...] = attrs.field(default=(), metadata={"name": "from"})
    rest: Rest = rest()


@attrs.frozen
class EgressRule:
    """Traffic that may go out."""

    ports: tuple[PolicyPort, ...] = ()
    to: tuple[PolicyPeer, ...] = ()
    rest: Rest = rest()


@attrs.frozen
class NetworkPolicySpec:
    """Which pods are meant, and what they may do.

    Without `policy_types` it is about Ingress, and about Egress if it has such rules.
    """

    pod_selector: LabelSelector = attrs.field(default=LabelSelector(), metadata={"keep": True})
    policy_types: tuple[str, ...] = ()
    ingress: tuple[IngressRule, ...] = ()
    egress: tuple[EgressRule, ...] = ()
    rest: Rest = rest()


@attrs.frozen
class NetworkPolicy:
    """Who may talk to whom."""

    KIND: ClassVar = "NetworkPolicy"
    API_VERSION: ClassVar = "networking.k8s.io/v1"
    NAMESPACED: ClassVar = True

    metadata: Meta
    spec: NetworkPolicySpec = NetworkPolicySpec()
    rest: Rest = rest()


@attrs.frozen
class BackendPort:
    """A Service's port by name or number."""

    name: str = ""
    number: int | None = None
    rest: Rest = rest()


@attrs.frozen
class BackendService:
    """A Service and its port."""

    name: str
    port: BackendPort = BackendPort()
    rest: Rest = rest()


@attrs.frozen
class IngressBackend:
    """Where requests go."""

    service: BackendService | None = None
    resource: Reference | None = None
    rest: Rest = rest()


@attrs.frozen
class HttpPath:
    """Requests of a path; `path_type` is Exact, Prefix or ImplementationSpecific."""

    backend: IngressBackend
    path_type: str = "ImplementationSpecific"
    path: str = ""
    rest: Rest = rest()


@attrs.frozen
class HttpRule:
    """Paths of a host."""

    paths: tuple[HttpPath, ...] = ()
    rest: Rest = rest()


@attrs.frozen
class HostRule:
    """Requests to a host; empty is any."""

    host: str = ""
    http: HttpRule | None = None
    rest: Rest = rest()


@attrs.frozen
class IngressTls:
    """A certificate and the hosts it is for."""

    hosts: tuple[str, ...] = ()
    secret_name: str = ""
    rest: Rest = rest()


@attrs.frozen
class IngressSpec:
    """What is wanted of an Ingress."""

    ingress_class_name: str | None = None
    default_backend: IngressBackend | None = None
    tls: tuple[IngressTls, ...] = ()
    rules: tuple[HostRule, ...] = ()
    rest: Rest = rest()


@attrs.frozen
class IngressStatus:
    """Where the controller can be reached."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()
    rest: Rest = rest()


@attrs.frozen
class Ingress:
    """HTTP from outside to Services."""

    KIND: ClassVar = "Ingress"
    API_VERSION: ClassVar = "networking.k8s.io/v1"
    NAMESPACED: ClassVar = True

    metadata: Meta
    spec: IngressSpec = IngressSpec()
    status: IngressStatus = IngressStatus()
    rest: Rest = rest()


@attrs.frozen
class IngressClassSpec:
    """Which controller is meant."""

    controller: str = ""
    parameters: Reference | None = None
    rest: Rest = rest()


@attrs.frozen
class IngressClass:
    """A kind of Ingress."""

    KIND: ClassVar = "IngressClass"
    API_VERSION: ClassVar = "networking.k8s.io/v1"
    NAMESPACED: ClassVar = False

    metadata: Meta
    spec: IngressClassSpec = IngressClassSpec()
    rest: Rest = rest()
