# SPDX-License-Identifier: GPL-2.0-only
"""Hypothesis strategies for whole clusters, and for what is done in them.

`plans` draws clusters that work as Kubernetes wants: providers within what they
can do (kindnet and host-gw need one segment for all nodes), ranges that do not
overlap. What fails shrinks to one node with one pod; printed, it is YAML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
from hypothesis import strategies as st

from emu.cluster.topology import ClusterSpec, NetworkSpec, NodeSpec, ProxySpec
from emu.kube.api.objects.service import ServicePort
from emu.kube.api.objects.workload import DaemonSet, Deployment, StatefulSet
from emu.testing.fabric_strategies import fabrics
from emu.testing.plans import HEALTH_PORT, Plan, pod, service, workload
from emu.verify.endpoint import Protocol
from emu.wire.addresses import Interface, IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.cluster.topology.spec import ProviderName, ProxyMode, Role
    from emu.kube.api.objects import Pod, Service

    Workload = Pod | Deployment | DaemonSet | StatefulSet

SMALLEST_MTU: Final = 1350  # of a pod's device, whatever is drawn
_POD_CIDRS: Final = tuple(map(Prefix.parse, ("10.244.0.0/16", "10.42.0.0/16", "100.64.0.0/16")))
_NOT_OUTSIDE: Final = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"]
NETWORKS: Final[tuple[tuple[ProviderName, dict[str, Any]], ...]] = (
    ("kindnet", {}),
    ("kubenet", {}),
    ("flannel", {}),
    ("flannel", {"backend": "host-gw"}),
    ("flannel", {"directRouting": True}),
    ("weave", {}),
    ("calico", {}),
    ("calico", {"ipipMode": "CrossSubnet"}),
    ("calico", {"ipipMode": "Never"}),
    ("calico", {"vxlanMode": "Always"}),
    ("calico", {"vxlanMode": "CrossSubnet", "blockSize": 29}),
    ("vpc", {"style": "aws"}),
    ("vpc", {"style": "aws", "interfaces": 3, "addressesPerInterface": 3}),
    ("vpc", {"style": "gke", "nonMasqueradeCIDRs": _NOT_OUTSIDE}),
)
PROXY_MODES: Final[tuple[ProxyMode, ...]] = ("iptables", "iptables", "nftables", "ipvs")
"""Modes under which all promises hold. Under userspace a server sees the proxy's node, not the client: it has
properties of its own (`tests/properties/test_userspace_proxy.py`)."""

_FIRST_PORT: Final = 8000
_ROLES: Final[st.SearchStrategy[Role]] = st.sampled_from(("control-plane", "worker"))
_TAINTS: Final[st.SearchStrategy[tuple[()] | None]] = st.sampled_from(((), None))


# --- the cluster ---


@st.composite
def networks_of_pods(draw: st.DrawFn) -> NetworkSpec:
    """Draw a provider with its options; shrinks to kindnet."""
    provider, options = draw(st.sampled_from(NETWORKS))
    found = dict(options)
    mtu = draw(st.sampled_from((0, 0, 1400)))
    if mtu:
        found["mtu"] = mtu
    if provider == "kubenet":
        found["nonMasqueradeCIDR"] = draw(st.sampled_from(("", "10.0.0.0/8", "0.0.0.0/0")))
    elif options.get("backend") != "host-gw" and provider == "flannel":
        vni, port = draw(st.sampled_from(((1, 8472), (7, 4789))))
        found |= {"vni": vni, "port": port} if vni != 1 else {}
    return NetworkSpec(provider, found)


def proxies() -> st.SearchStrategy[ProxySpec]:
    """Settings of kube-proxy; shrinks to the defaults."""
    return st.builds(
        ProxySpec,
        st.sampled_from(PROXY_MODES),
        cluster_cidr=st.sampled_from((None, None, "")),
        node_port_addresses=st.sampled_from(((), (), ("172.18.0.0/16", "10.1.0.0/16"))),
        masquerade_all=st.sampled_from((False, False, False, True)),
        masquerade_bit=st.sampled_from((14, 14, 0, 31)),
        localhost_node_ports=st.sampled_from((True, False)),
        tcp_be_liberal=st.booleans(),
        nfacct=st.sampled_from((True, False)),
        random_fully=st.sampled_from((True, False)),
    )


def _can_cross_segments(network: NetworkSpec) -> bool:
    options = network.options
    return network.provider in {"kubenet", "weave", "calico", "vpc"} or (
        network.provider == "flannel" and options.get("backend") != "host-gw"
    )


def _addresses(layout: str, number: int) -> tuple[tuple[Interface, ...], ...]:
    """Return the addresses of a node's devices."""
    match layout:
        case "docker":
            return ()
        case "flat":
            return ((Interface(IpAddress(bytes((10, 1, 0, 11 + number))), 24),),)
        case "two devices":
            second = Interface(IpAddress(bytes((192, 168, 77, 11 + number))), 24)
            return (*_addresses("flat", number), (second,))
        case _:
            return ((Interface(IpAddress(bytes((10, 1, number // 2, 11 + number))), 24),),)


def node_at(
    number: int, layout: str, cluster_cidr: Prefix, *, role: Role, taints: tuple[()] | None, small: bool
) -> NodeSpec:
    """Return node `number` of a cluster; with `small` it has a range for pods of its own, of 62 addresses."""
    cidr = Prefix(IpAddress.from_int(int(cluster_cidr.address) + (200 + number) * 256), 26) if small else None
    addresses = _addresses(layout, number)
    return NodeSpec(f"n{number}", role, addresses=addresses, taints=taints, pod_cidr=cidr)


@st.composite
def topologies(draw: st.DrawFn, *, fewest: int = 1, most: int = 4) -> ClusterSpec:
    """Draw clusters without objects: 1 to 4 nodes, any provider; shrinks to one node with kindnet."""
    network = draw(networks_of_pods())
    pod_cidr = draw(st.sampled_from(_POD_CIDRS))
    if network.provider == "kubenet":
        given = network.options["nonMasqueradeCIDR"]
        wide = "0.0.0.0/0" if pod_cidr.address[0] != 10 else given or "10.0.0.0/8"
        network = attrs.evolve(network, options={**network.options, "nonMasqueradeCIDR": wide})
    layouts = ["docker", "flat", "two devices"]
    if _can_cross_segments(network):
        layouts.append("segments")
    layout = draw(st.sampled_from(layouts))
    count = draw(st.integers(fewest, most))
    nodes = tuple(
        node_at(
            number,
            layout,
            pod_cidr,
            role=draw(_ROLES),
            taints=draw(_TAINTS),
            small=draw(st.sampled_from((False, False, False, True))),
        )
        for number in range(count)
    )
    return ClusterSpec(
        seed=draw(st.integers(0, 3)), pod_cidr=pod_cidr, network=network, proxy=draw(proxies()), nodes=nodes
    )


# --- what runs there ---


@st.composite
def workloads(draw: st.DrawFn, number: int, nodes: Sequence[str]) -> Workload:
    """Draw a workload that is called `w<number>` and has ports of its own; shrinks to a bare pod."""
    kind = draw(st.sampled_from((None, None, Deployment, DaemonSet, StatefulSet)))
    first = _FIRST_PORT + 10 * number
    ports = range(first, first + draw(st.integers(1, 3)))
    gated = draw(st.sampled_from((0, 0, HEALTH_PORT + number)))
    name = f"w{number}"
    host_network = kind in {None, DaemonSet} and draw(st.sampled_from((False, False, False, True)))
    if kind is None:
        node = draw(st.sampled_from(("", *nodes)))
        return pod(name, node=node, ports=ports, host_network=host_network, gated=gated)
    return workload(
        kind,
        name,
        replicas=draw(st.integers(1, 3)),
        ports=ports,
        host_network=host_network,
        gated=gated,
        tolerant=draw(st.booleans()),
    )


@st.composite
def services(draw: st.DrawFn, number: int, apps: Sequence[Workload]) -> Service:
    """Draw a Service `s<number>` in front of one of `apps`; shrinks to a ClusterIP with one port of TCP."""
    at = draw(st.integers(0, len(apps) - 1))
    app, target = apps[at].metadata.name, _FIRST_PORT + 10 * at
    kind = draw(st.sampled_from(("ClusterIP", "ClusterIP", "NodePort", "LoadBalancer", "headless")))
    protocols = draw(st.lists(st.sampled_from(("TCP", "UDP", "SCTP")), min_size=1, max_size=2, unique=True))
    ports = tuple(
        ServicePort(80 + index, f"p{index}" if len(protocols) > 1 else "", protocol, target)
        for index, protocol in enumerate(protocols)
    )
    spec: dict[str, Any] = {"type": "ClusterIP" if kind == "headless" else kind}
    if kind == "headless":
        spec["cluster_ip"] = "None"
    if kind in {"NodePort", "LoadBalancer"}:
        spec["external_traffic_policy"] = draw(st.sampled_from(("Cluster", "Local")))
    if kind == "LoadBalancer":
        spec["ingress"] = draw(st.sampled_from(((f"203.0.113.{number + 1}",), ())))
    spec["internal_traffic_policy"] = draw(st.sampled_from(("Cluster", "Cluster", "Local")))
    spec["session_affinity"] = draw(st.sampled_from(("None", "None", "ClientIP")))
    spec["publish_not_ready_addresses"] = draw(st.sampled_from((False, False, False, True)))
    return service(f"s{number}", app, ports, **spec)


@st.composite
def plans(
    draw: st.DrawFn,
    *,
    fewest_nodes: int = 1,
    most_nodes: int = 4,
    most_workloads: int = 3,
    most_services: int = 0,
) -> Plan:
    """Draw whole clusters; shrinks to one node with one pod."""
    cluster = draw(topologies(fewest=fewest_nodes, most=most_nodes))
    names = [node.name for node in cluster.nodes]
    count = draw(st.integers(1, most_workloads))
    apps = [draw(workloads(number, names)) for number in range(count)]
    fronts = [draw(services(number, apps)) for number in range(draw(st.integers(0, most_services)))]
    return Plan(cluster, (*apps, *fronts), draw(fabrics(cluster)))


# --- what happens there ---


@attrs.frozen
class Traffic:
    """Who asks whom by what; numbers count round, so any fits any cluster.

    Attributes:
        source: of the asker, among those who are there.
        target: of the asked, or of a Service.
        protocol: by what, if the asked answers to it; else an echo request.
        size: octets of the question.
    """

    source: int
    target: int
    protocol: Protocol
    size: int


def traffics() -> st.SearchStrategy[Traffic]:
    """Draw questions; shrinks to an empty echo request of the first pod to itself."""
    return st.builds(
        Traffic,
        st.integers(0, 40),
        st.integers(0, 40),
        st.sampled_from((Protocol.ICMP, Protocol.UDP, Protocol.TCP, Protocol.SCTP)),
        st.integers(0, 100) | st.integers(0, 3000),
    )


def events() -> st.SearchStrategy[tuple[str, int]]:
    """Draw what changes a cluster: what is done, and to which of those that it can be done to."""
    kinds = ("unready", "delete", "scale", "again", "create", "service", "join", "leave")
    return st.tuples(st.sampled_from(kinds), st.integers(0, 9))
