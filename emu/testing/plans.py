# SPDX-License-Identifier: GPL-2.0-only
"""What a cluster in a test is built from; printed, it is the YAML that `emu run -f` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
import yaml

from emu.cluster.topology import ClusterSpec, FabricSpec, Topology
from emu.cluster.topology.spec import Source
from emu.kube.api import codec
from emu.kube.api.objects.container import Container, Probe, TcpSocket
from emu.kube.api.objects.meta import LabelSelector, Meta
from emu.kube.api.objects.pod import Pod, PodSpec, PodTemplateSpec
from emu.kube.api.objects.scheduling import Toleration
from emu.kube.api.objects.service import (
    LoadBalancerIngress,
    LoadBalancerStatus,
    Service,
    ServicePort,
    ServiceSpec,
    ServiceStatus,
)
from emu.kube.api.objects.workload import (
    DaemonSet,
    DaemonSetSpec,
    Deployment,
    DeploymentSpec,
    StatefulSet,
    StatefulSetSpec,
)
from emu.kube.kubelet.serving import ANNOTATION
from emu.testing.fabric_text import fabric_document

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hypothesis.vendor.pretty import RepresentationPrinter

    from emu.cluster.topology import NodeSpec
    from emu.kube.api.objects import Known

PROTOCOLS: Final = ("tcp", "udp", "sctp")
IMAGE: Final = "echo"
HEALTH_PORT: Final = 7000
"""Where a pod that has a readiness probe says that it is ready; hostNetwork pods add their number."""


@attrs.frozen(repr=False)
class Plan:
    """A cluster.

    Attributes:
        cluster: its nodes, its network and its kube-proxy.
        objects: what is applied, in this order.
        fabric: what is around it.
    """

    cluster: ClusterSpec = attrs.field(factory=ClusterSpec)
    objects: tuple[Known, ...] = ()
    fabric: FabricSpec = attrs.field(factory=FabricSpec)

    @property
    def topology(self) -> Topology:
        """What a `Cluster` is built from."""
        places = tuple(Source("plan", number + 1, "$") for number in range(len(self.objects)))
        return Topology(self.cluster, self.fabric, self.objects, places, has_cluster=True)

    def __repr__(self) -> str:
        documents: list[Mapping[str, object]] = [
            {"apiVersion": "emu/v1", "kind": "Cluster", "spec": dict(_spec(self.cluster))}
        ]
        if not self.fabric.is_plain:
            documents.append(fabric_document(self.fabric))
        documents += [codec.write(each) for each in self.objects]
        return "\n" + yaml.safe_dump_all(documents, sort_keys=False)

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:  # noqa: FBT001 - as IPython calls
        """Print it in Hypothesis' words for what fails, too."""
        del cycle
        printer.text(repr(self))


def _spec(spec: ClusterSpec) -> Iterator[tuple[str, object]]:
    default = ClusterSpec()
    if spec.pod_cidr != default.pod_cidr:
        yield "podCIDR", str(spec.pod_cidr)
    yield "network", {"provider": spec.network.provider, **spec.network.options}
    proxy, usual = spec.proxy, default.proxy
    found: dict[str, Any] = {}
    if proxy.cluster_cidr is not None:
        found["clusterCIDR"] = proxy.cluster_cidr
    if proxy.node_port_addresses:
        found["nodePortAddresses"] = list(proxy.node_port_addresses)
    names = {"masquerade_all": "masqueradeAll", "masquerade_bit": "masqueradeBit"}
    masquerades = {
        text: getattr(proxy, name)
        for name, text in names.items()
        if getattr(proxy, name) != getattr(usual, name)
    }
    if masquerades:
        found["nftables" if proxy.mode == "nftables" else "iptables"] = masquerades
    if not proxy.localhost_node_ports:
        found.setdefault("iptables", {})["localhostNodePorts"] = False
    if proxy.mode != usual.mode:
        found["mode"] = proxy.mode
    if proxy.tcp_be_liberal:
        found["conntrack"] = {"tcpBeLiberal": True}
    if (proxy.nfacct, proxy.random_fully) != (True, True):
        found["features"] = {"nfacct": proxy.nfacct, "randomFully": proxy.random_fully}
    if found:
        yield "kubeProxy", found
    yield "nodes", [dict(_node(each)) for each in spec.nodes]


def _node(node: NodeSpec) -> Iterator[tuple[str, object]]:
    yield "name", node.name
    yield "role", node.role
    if node.addresses:
        yield "addresses", [[str(each) for each in device] for device in node.addresses]
    if node.pod_cidr is not None:
        yield "podCIDR", str(node.pod_cidr)
    if node.taints is not None:
        yield "taints", [codec.write_part(each) for each in node.taints]


# --- pods ---


def _template(
    ports: Sequence[int], *, node: str, host_network: bool, gated: int, tolerant: bool
) -> tuple[Mapping[str, str], PodSpec]:
    """Return annotations and spec of pods that answer on `ports` by every protocol, a container each."""
    notes = {
        f"{ANNOTATION}.c{number}": ", ".join(f"{protocol}/{port}" for protocol in PROTOCOLS)
        for number, port in enumerate(ports)
    }
    containers = [Container(f"c{number}", image=IMAGE) for number in range(len(ports))]
    if gated:
        probe = Probe(tcp_socket=TcpSocket(gated), period_seconds=2, failure_threshold=1)
        containers.append(Container("health", image=IMAGE, readiness_probe=probe))
        notes[f"{ANNOTATION}.health"] = f"tcp/{gated}"
    spec = PodSpec(
        tuple(containers),
        node_name=node,
        host_network=host_network,
        tolerations=(Toleration(operator="Exists"),) if tolerant else (),
        termination_grace_period_seconds=2,
    )
    return notes, spec


def pod(
    name: str,
    *,
    node: str = "",
    ports: Sequence[int] = (8080,),
    host_network: bool = False,
    gated: int = 0,
) -> Pod:
    """Return a bare pod with the label `app` of its name.

    Args:
        name: of the pod, in the namespace `default`.
        node: where it has to run; empty leaves it to the scheduler.
        ports: on which it answers, by TCP (HTTP), UDP and SCTP; a container for each.
        host_network: it has no network of its own.
        gated: it is ready as long as somebody listens on this port; 0 for always.
    """
    notes, spec = _template(ports, node=node, host_network=host_network, gated=gated, tolerant=True)
    return Pod(Meta(name, "default", labels={"app": name}, annotations=notes), spec)


def workload(
    kind: type[Deployment | DaemonSet | StatefulSet],
    name: str,
    *,
    replicas: int = 1,
    ports: Sequence[int] = (8080,),
    host_network: bool = False,
    gated: int = 0,
    tolerant: bool = False,
) -> Deployment | DaemonSet | StatefulSet:
    """Return a workload whose pods have the label `app` of its name; a DaemonSet has no `replicas`.

    With `tolerant` its pods run on any node; see `pod` for the others.
    """
    notes, spec = _template(ports, node="", host_network=host_network, gated=gated, tolerant=tolerant)
    labels = {"app": name}
    selector = LabelSelector(labels)
    template = PodTemplateSpec(Meta(labels=labels, annotations=notes), spec)
    meta = Meta(name, "default")
    if kind is DaemonSet:
        return DaemonSet(meta, DaemonSetSpec(selector, template))
    if kind is StatefulSet:
        found = StatefulSetSpec(name, replicas, selector, template)
        return StatefulSet(meta, found)
    return Deployment(meta, DeploymentSpec(replicas, selector, template))


def service(
    name: str,
    app: str,
    ports: Sequence[ServicePort],
    *,
    ingress: Sequence[str] = (),
    **spec: Any,  # noqa: ANN401 - any field of a ServiceSpec
) -> Service:
    """Return a Service in front of the pods with the label `app`.

    Args:
        name: of the Service, in the namespace `default`.
        app: the value of the label.
        ports: of the Service.
        ingress: the addresses of its load balancer.
        spec: other fields of `ServiceSpec`.
    """
    status = LoadBalancerStatus(tuple(map(LoadBalancerIngress, ingress)))
    made = ServiceSpec(ports=tuple(ports), selector={"app": app}, **spec)
    return Service(Meta(name, "default"), made, ServiceStatus(status))
