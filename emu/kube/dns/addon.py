# SPDX-License-Identifier: GPL-2.0-only
"""The objects that an installer makes for the cluster's DNS.

Source: cmd/kubeadm/app/phases/addons/dns/manifests.go, cmd/kubeadm/app/constants/constants.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.objects import ConfigMap, Deployment, Service
from emu.kube.api.objects.container import Container, ContainerPort, HttpGet, Probe
from emu.kube.api.objects.meta import LabelSelector, Meta, Requirement
from emu.kube.api.objects.pod import PodSpec, PodTemplateSpec
from emu.kube.api.objects.scheduling import (
    Affinity,
    PodAffinity,
    PodAffinityTerm,
    Toleration,
    WeightedPodAffinityTerm,
)
from emu.kube.api.objects.service import ServicePort, ServiceSpec
from emu.kube.api.objects.workload import DeploymentSpec, RollingUpdate, UpdateStrategy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kube.api.objects import Object
    from emu.kube.api.objects.field import Json

NAMESPACE: Final = "kube-system"
LABEL: Final = {"k8s-app": "kube-dns"}

_VERSIONS: Final = ((36, "v1.14.2"), (35, "v1.13.1"), (34, "v1.12.1"), (33, "v1.12.0"), (31, "v1.11.3"))
_OLDEST: Final = "v1.11.1"
_NAMED_PROBES_SINCE: Final = 34
_UNCACHED_SINCE: Final = 32

_COREFILE: Final = """\
.:53 {{
    errors
    health {{
       lameduck 5s
    }}
    ready
    kubernetes {domain} in-addr.arpa ip6.arpa {{
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }}
    prometheus :9153
    forward . /etc/resolv.conf {{
       max_concurrent 1000
    }}
    {cache}
    loop
    reload
    loadbalance
}}
"""
_PLAIN_CACHE: Final = "cache 30"
_PARTIAL_CACHE: Final = """\
cache 30 {{
       disable success {domain}
       disable denial {domain}
    }}"""


def minor_of(version: str) -> int:
    """Return 35 for `1.35` or `v1.35.2`."""
    return int(version.removeprefix("v").split(".")[1])


def coredns_version(minor: int) -> str:
    """Return the CoreDNS that kubeadm of the release 1.`minor` installs."""
    return next((version for since, version in _VERSIONS if minor >= since), _OLDEST)


def corefile(minor: int, domain: str = "cluster.local") -> str:
    """Return the Corefile that kubeadm writes: since 1.32 the cluster's own names are not cached."""
    cache = _PARTIAL_CACHE.format(domain=domain) if minor >= _UNCACHED_SINCE else _PLAIN_CACHE
    return _COREFILE.format(domain=domain, cache=cache)


def objects(
    given: Iterable[Object], version: str, address: str, domain: str = "cluster.local"
) -> list[Object]:
    """Return the objects of the cluster's DNS that `given` does not bring.

    Objects of the same names are kept.

    Args:
        given: the input.
        version: of Kubernetes, such as `1.35`.
        address: of the Service, the tenth of its range.
        domain: of the cluster.
    """
    minor = minor_of(version)
    known = {(type(each), each.metadata.name) for each in given if each.metadata.namespace == NAMESPACE}
    made: list[Object] = [
        ConfigMap(Meta("coredns", NAMESPACE), {"Corefile": corefile(minor, domain)}),
        deployment(minor),
        service(address),
    ]
    return [each for each in made if (type(each), each.metadata.name) not in known]


def service(address: str) -> Service:
    """Return the Service `kube-dns`."""
    labels = {**LABEL, "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}
    annotations = {"prometheus.io/port": "9153", "prometheus.io/scrape": "true"}
    ports = (
        ServicePort(53, "dns", "UDP", target_port=53),
        ServicePort(53, "dns-tcp", "TCP", target_port=53),
        ServicePort(9153, "metrics", "TCP", target_port=9153),
    )
    return Service(
        Meta("kube-dns", NAMESPACE, labels=labels, annotations=annotations),
        ServiceSpec(ports=ports, selector=LABEL, cluster_ip=address, cluster_ips=(address,)),
    )


def deployment(minor: int) -> Deployment:
    """Return the Deployment `coredns`."""
    return Deployment(
        Meta("coredns", NAMESPACE, labels=LABEL),
        DeploymentSpec(
            replicas=2,
            selector=LabelSelector(LABEL),
            template=PodTemplateSpec(Meta(labels=LABEL), _pod(minor)),
            strategy=UpdateStrategy(rolling_update=RollingUpdate(max_unavailable=1)),
        ),
    )


def _pod(minor: int) -> PodSpec:
    term = PodAffinityTerm(
        "kubernetes.io/hostname",
        LabelSelector(match_expressions=(Requirement("k8s-app", "In", ("kube-dns",)),)),
    )
    volume: dict[str, Json] = {
        "name": "config-volume",
        "configMap": {"name": "coredns", "items": [{"key": "Corefile", "path": "Corefile"}]},
    }
    return PodSpec(
        containers=(_container(minor),),
        node_selector={"kubernetes.io/os": "linux"},
        affinity=Affinity(
            pod_anti_affinity=PodAffinity(
                preferred_during_scheduling_ignored_during_execution=(WeightedPodAffinityTerm(100, term),)
            )
        ),
        tolerations=(
            Toleration("CriticalAddonsOnly", "Exists"),
            Toleration("node-role.kubernetes.io/control-plane", "Exists", effect="NoSchedule"),
        ),
        dns_policy="Default",
        service_account_name="coredns",
        rest={"priorityClassName": "system-cluster-critical", "volumes": [volume]},
    )


def _container(minor: int) -> Container:
    ports: tuple[ContainerPort, ...] = (
        ContainerPort(53, "dns", "UDP"),
        ContainerPort(53, "dns-tcp", "TCP"),
        ContainerPort(9153, "metrics", "TCP"),
    )
    live: int | str = 8080
    ready: int | str = 8181
    if minor >= _NAMED_PROBES_SINCE:
        live, ready = "liveness-probe", "readiness-probe"
        ports += (ContainerPort(8080, "liveness-probe"), ContainerPort(8181, "readiness-probe"))
    liveness = Probe(
        http_get=HttpGet(live, "/health"), initial_delay_seconds=60, timeout_seconds=5, failure_threshold=5
    )
    return Container(
        "coredns",
        f"registry.k8s.io/coredns/coredns:{coredns_version(minor)}",
        args=("-conf", "/etc/coredns/Corefile"),
        ports=ports,
        liveness_probe=liveness,
        readiness_probe=Probe(http_get=HttpGet(ready, "/ready")),
        rest={
            "resources": {"limits": {"memory": "170Mi"}, "requests": {"cpu": "100m", "memory": "70Mi"}},
            "volumeMounts": [{"name": "config-volume", "mountPath": "/etc/coredns", "readOnly": True}],
        },
    )
