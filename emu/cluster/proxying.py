# SPDX-License-Identifier: GPL-2.0-only
"""What each node's kube-proxy is told, out of the `Cluster` document; its defaults are those of the mode.

Source: cmd/kube-proxy/app/server_linux.go `platformApplyDefaults`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.proxy.config import Features, ProxyConfig
from emu.kube.proxy.modes import MODES

if TYPE_CHECKING:
    from emu.cluster.topology import ClusterSpec
    from emu.kube.api.objects import Node

_SERVICE_CIDRS_SINCE: Final = 33
_SINCE: Final = {"nftables": 29}
_PASSES_EMPTY: Final = range(32, 37)
"""Releases whose kube-proxy leaves stale connections of UDP Services without endpoints alone."""

_LAST: Final = {"userspace": 25}


def config_of(spec: ClusterSpec, node: Node) -> ProxyConfig:
    """Return what the kube-proxy of a node is told."""
    proxy = spec.proxy
    return ProxyConfig(
        node.metadata.name,
        node.addresses("InternalIP"),
        mode=proxy.mode,
        cluster_cidr=cluster_cidr_of(spec),
        masquerade_all=proxy.masquerade_all,
        masquerade_bit=proxy.masquerade_bit,
        node_port_addresses=proxy.node_port_addresses or MODES[proxy.mode].node_port_addresses,
        localhost_node_ports=proxy.localhost_node_ports,
        tcp_be_liberal=proxy.tcp_be_liberal,
        features=Features(proxy.nfacct, proxy.random_fully),
        service_cidrs=(str(spec.service_cidr),) if _minor(spec) >= _SERVICE_CIDRS_SINCE else (),
        ipvs=proxy.ipvs,
        sync_period=proxy.sync_period if proxy.mode != "ipvs" else proxy.ipvs.sync_period,
        min_sync_period=proxy.min_sync_period if proxy.mode != "ipvs" else proxy.ipvs.min_sync_period,
        cleans_empty=_minor(spec) not in _PASSES_EMPTY,
    )


def cluster_cidr_of(spec: ClusterSpec) -> str:
    """Return the range by which kube-proxy knows pods; empty if by none.

    It is the pods' range where nothing is said, but for a VPC whose subnets pods
    have addresses of: there nothing is detected, as AWS configures it.
    """
    if spec.proxy.cluster_cidr is not None:
        return spec.proxy.cluster_cidr
    is_of_subnets = spec.network.provider == "vpc" and spec.network.options.get("style", "aws") == "aws"
    return "" if is_of_subnets else str(spec.pod_cidr)


def doubts(spec: ClusterSpec) -> list[str]:
    """Return where a version of Kubernetes has no such kube-proxy, a line each."""
    mode, minor = spec.proxy.mode, _minor(spec)
    if minor < _SINCE.get(mode, 0):
        return [f"kube-proxy has the mode {mode} since Kubernetes 1.{_SINCE[mode]}: it is as it was in 1.35"]
    if minor > _LAST.get(mode, minor):
        return [f"kube-proxy has no mode {mode} since Kubernetes 1.{_LAST[mode] + 1}: it is as it was before"]
    return []


def _minor(spec: ClusterSpec) -> int:
    return int(spec.kubernetes.partition(".")[2])
