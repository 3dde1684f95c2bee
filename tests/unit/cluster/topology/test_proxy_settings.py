# SPDX-License-Identifier: GPL-2.0-only
"""`kubeProxy` settings that contradict each other: refused as kube-proxy does, or warned of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.cluster.source import read_source
from emu.errors import DocumentError

if TYPE_CHECKING:
    from pathlib import Path


def warnings_of(folder: Path, proxy: str, more: str = "") -> list[str]:
    """Return the warnings of a cluster with these settings, which stand in line 4."""
    path = folder / "lab.yaml"
    path.write_text(f"apiVersion: emu/v1\nkind: Cluster\nspec:\n  kubeProxy: {{{proxy}}}\n{more}")
    return [str(fault).removeprefix(f"{folder}/") for fault in read_source([str(path)]).warnings]


@pytest.mark.parametrize(
    ("proxy", "path", "words"),
    [
        ("mode: iptables, ipvs: {strictARP: true}", "ipvs", "mode iptables does not use it"),
        ("ipvs: {scheduler: wrr}", "ipvs", "mode iptables does not use it"),
        ("nftables: {masqueradeAll: true}", "nftables", "mode iptables does not use it"),
        ("mode: nftables, iptables: {masqueradeBit: 3}", "iptables", "mode nftables does not use it"),
        ("mode: nftables, ipvs: {udpTimeout: 5s}", "ipvs", "mode nftables does not use it"),
        ("mode: ipvs, nftables: {syncPeriod: 9s}", "nftables", "mode ipvs does not use it"),
        (
            "mode: ipvs, iptables: {syncPeriod: 9s}",
            "iptables.syncPeriod",
            "mode ipvs goes by ipvs.syncPeriod",
        ),
        (
            "mode: ipvs, iptables: {localhostNodePorts: true}",
            "iptables.localhostNodePorts",
            "mode ipvs does not use it",
        ),
        (
            "mode: userspace, nodePortAddresses: [10.9.0.0/16]",
            "nodePortAddresses",
            "mode userspace does not use it",
        ),
        ("mode: none, iptables: {masqueradeAll: true}", "iptables", "there is no kube-proxy in mode none"),
    ],
)
def test_what_a_mode_does_not_use_is_told(tmp_path: Path, proxy: str, path: str, words: str) -> None:
    """kube-proxy passes it over; its place is said, and what is done."""
    wanted = f"lab.yaml:4: $.spec.kubeProxy.{path}: without effect: {words}"
    assert warnings_of(tmp_path, proxy) == [wanted]


@pytest.mark.parametrize(
    "proxy",
    [
        "mode: iptables, ipvs: {strictARP: false, scheduler: ''}, nftables: {masqueradeBit: 14}",
        "mode: ipvs, iptables: {masqueradeAll: true, localhostNodePorts: false}, ipvs: {strictARP: true}",
        "mode: nftables, iptables: {localhostNodePorts: true}, nodePortAddresses: [primary]",
        "nodePortAddresses: [172.18.0.0/16, 127.0.0.0/8, 10.244.1.1/32, '::/0']",
    ],
)
def test_what_changes_nothing_is_not_told(tmp_path: Path, proxy: str) -> None:
    """Nor is a section that says what holds without it, as configurations of real clusters do."""
    assert warnings_of(tmp_path, proxy) == []


def test_networks_for_node_ports_without_a_node_are_told(tmp_path: Path) -> None:
    """Each with its place; those in which a node has an address are not."""
    nodes = "  nodes: [{name: n, addresses: [192.168.1.10/24]}]\n"
    found = warnings_of(tmp_path, "nodePortAddresses: [192.168.1.0/24, 10.9.0.0/16]", nodes)
    assert found == [
        (
            "lab.yaml:4: $.spec.kubeProxy.nodePortAddresses[1]: "
            "no node has an address in 10.9.0.0/16: node ports answer nowhere there"
        )
    ]


@pytest.mark.parametrize(
    ("proxy", "path", "words"),
    [
        (
            "nodePortAddresses: [x]",
            "nodePortAddresses[0]",
            "must be a prefix like 192.168.0.0/24, or primary, not 'x'",
        ),
        (
            "nodePortAddresses: [10.0.0.0/8, primary]",
            "nodePortAddresses[1]",
            "primary stands alone: it cannot be mixed with prefixes",
        ),
        ("clusterCIDR: x", "clusterCIDR", "must be a prefix like 10.244.0.0/16, or \"\" for none, not 'x'"),
        (
            "clusterCIDR: '10.0.0.0/8,11.0.0.0/8'",
            "clusterCIDR",
            "must be a prefix like 10.244.0.0/16, or \"\" for none, not '10.0.0.0/8,11.0.0.0/8'",
        ),
        ("iptables: {syncPeriod: 0s}", "iptables.syncPeriod", "must be greater than 0"),
        (
            "iptables: {syncPeriod: 5s, minSyncPeriod: 1m}",
            "iptables.syncPeriod",
            "must be greater than or equal to minSyncPeriod",
        ),
        (
            "mode: ipvs, ipvs: {minSyncPeriod: 1m}",
            "ipvs.syncPeriod",
            "must be greater than or equal to minSyncPeriod",
        ),
    ],
)
def test_what_kube_proxy_refuses_is_a_fault(tmp_path: Path, proxy: str, path: str, words: str) -> None:
    """With its place, before anything is built."""
    with pytest.raises(DocumentError) as caught:
        warnings_of(tmp_path, proxy)
    found = [(fault.line, fault.path, fault.message) for fault in caught.value.faults]
    assert found == [(4, f"$.spec.kubeProxy.{path}", words)]


@pytest.mark.parametrize("text", ["", "10.244.0.0/16", "fd00::/56,10.244.0.0/16"])
def test_ranges_of_pods_as_kube_proxy_takes_them(tmp_path: Path, text: str) -> None:
    """None, one, or one of each family."""
    assert warnings_of(tmp_path, f"clusterCIDR: '{text}'") == []
