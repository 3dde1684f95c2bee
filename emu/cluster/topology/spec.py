# SPDX-License-Identifier: GPL-2.0-only
"""What a `Cluster` and a `Fabric` document say: what Kubernetes has no object for."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import attrs

from emu.kube.policy.settings import Settings as PolicySettings
from emu.kube.proxy.config import IpvsConfig
from emu.sim.time import SECOND, Duration
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.cluster.step_output import OutputExpectation
    from emu.cluster.topology.nics import NicSpec, NodeRoute
    from emu.kube.api.objects import Object
    from emu.kube.api.objects.scheduling import Taint
    from emu.kube.policy.enforcer import PolicyOption
    from emu.wire.addresses import Interface, IpAddress

STEP_VERBS: Final = (
    "exec",
    "get",
    "describe",
    "apply",
    "delete",
    "label",
    "run",
    "scale",
    "cordon",
    "uncordon",
    "drain",
    "annotate",
    "taint",
    "rollout",
    "set",
    "ready",
    "unready",
    "probe",
    "kill",
    "fail",
    "recover",
    "reboot",
    "stop",
    "start",
    "link",
)
"""What a step of a `Scenario` may begin with; done by `emu.cluster.scenario`."""

ProviderName: TypeAlias = Literal["kubenet", "kindnet", "flannel", "calico", "weave", "vpc", "none"]
ProxyMode: TypeAlias = Literal["iptables", "nftables", "ipvs", "userspace", "none"]
Role: TypeAlias = Literal["control-plane", "worker"]
IngressAddon: TypeAlias = Literal["auto", "nginx", "none"]

DEFAULT_VERSION: Final = "1.35"
POD_CIDR: Final = Prefix.parse("10.244.0.0/16")
SERVICE_CIDR: Final = Prefix.parse("10.96.0.0/12")
KIND_SERVICE_CIDR: Final = Prefix.parse("10.96.0.0/16")
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@attrs.frozen
class NodeSpec:
    """A node of the document.

    Attributes:
        name: of the Node.
        role: a control plane gets its label, and its taint unless it is alone.
        zone: for `topology.kubernetes.io/zone`.
        addresses: one tuple for each device `eth0`, `eth1`, ...; the first of
            all is the InternalIP. None given: the cluster gives one.
        labels: in addition.
        taints: None for those of the role.
        pod_cidr: None for the next free one.
        sysctls: the last word, whatever a plugin switches on.
        subnet: of a VPC, where it is to be.
        node_ip: which of the addresses is the InternalIP (kubelet's `--node-ip`); None for the first.
        routes: that it has from the start.
        nics: what its network cards do that they should not.
    """

    name: str
    role: Role = "worker"
    zone: str = ""
    addresses: tuple[tuple[Interface, ...], ...] = ()
    labels: Mapping[str, str] = _NOTHING
    taints: tuple[Taint, ...] | None = None
    pod_cidr: Prefix | None = None
    sysctls: Mapping[str, str] = _NOTHING
    subnet: str = ""
    node_ip: IpAddress | None = None
    routes: tuple[NodeRoute, ...] = ()
    nics: tuple[NicSpec, ...] = ()


@attrs.frozen
class NetworkSpec:
    """The network provider and its options, by the names that it gives them itself.

    `policy` says who enforces NetworkPolicies: see `emu.kube.policy.enforcer`.
    `iface` is the device of a node that its daemon sends by, and whose address
    it tells the others; empty for the one that it finds itself.
    """

    provider: ProviderName = "kindnet"
    options: Mapping[str, Any] = _NOTHING
    policy: PolicyOption = "provider"
    iface: str = ""


@attrs.frozen
class ProxySpec:
    """kube-proxy's settings, in the terms of KubeProxyConfiguration.

    `cluster_cidr` is None for the pods' range and empty for no detection of
    local traffic.
    """

    mode: ProxyMode = "iptables"
    cluster_cidr: str | None = None
    node_port_addresses: tuple[str, ...] = ()
    masquerade_all: bool = False
    masquerade_bit: int = 14
    localhost_node_ports: bool = True
    tcp_be_liberal: bool = False
    nfacct: bool = True
    random_fully: bool = True
    sync_period: Duration = 30 * SECOND
    min_sync_period: Duration = SECOND
    ipvs: IpvsConfig = attrs.field(factory=IpvsConfig)


@attrs.frozen
class ClusterSpec:
    """A whole `Cluster` document.

    `ingress` says whether ingress-nginx is installed: always, never, or where the input has
    Ingresses for it and does not bring it itself. `is_kind` tells that it was kind's own
    file, whose habits differ in places.
    """

    name: str = "emu"
    seed: int = 0
    kubernetes: str = DEFAULT_VERSION
    pod_cidr: Prefix = POD_CIDR
    service_cidr: Prefix = SERVICE_CIDR
    network: NetworkSpec = NetworkSpec()
    proxy: ProxySpec = ProxySpec()
    policies: PolicySettings = attrs.field(factory=PolicySettings)
    nodes: tuple[NodeSpec, ...] = ()
    ingress: IngressAddon = "auto"
    is_kind: bool = False


@attrs.frozen
class Source:
    """Where an object stands in the input."""

    file: str
    line: int
    path: str


@attrs.frozen
class StepSpec:
    """One thing that is done, `at` ns of virtual time or as soon as what came before it is done.

    Attributes:
        at: when.
        words: what.
        objects: that are applied or deleted; those of files that `words` name.
        sources: where each of them stands in the input.
        file: where the step stands.
        line: the same.
        said: what it is expected to print; None for anything.
    """

    at: Duration
    words: tuple[str, ...]
    objects: tuple[Object, ...] = attrs.field(default=(), repr=False)
    sources: tuple[Source, ...] = attrs.field(default=(), eq=False, repr=False)
    file: str = attrs.field(default="", eq=False, repr=False, kw_only=True)
    line: int = attrs.field(default=0, eq=False, repr=False, kw_only=True)
    said: OutputExpectation | None = attrs.field(default=None, repr=False, kw_only=True)
