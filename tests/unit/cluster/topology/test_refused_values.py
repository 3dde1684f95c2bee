# SPDX-License-Identifier: GPL-2.0-only
"""Values that no cluster can be built with are refused with their place: they are not tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.cluster.source import read_source
from emu.errors import DocumentError

if TYPE_CHECKING:
    from pathlib import Path


def faults_of(folder: Path, text: str) -> list[str]:
    """Return the faults of a document, without its name."""
    path = folder / "lab.yaml"
    path.write_text(text)
    with pytest.raises(DocumentError) as caught:
        read_source([str(path)])
    return [str(fault).removeprefix(f"{path}:") for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("version", "kind", "meant"),
    [
        ("emu/v2", "Cluster", "emu/v1"),
        ("emu/v1beta1", "Fabric", "emu/v1"),
        ("emu/V1", "Scenario", "emu/v1"),
        ("EMU/v1", "Cluster", "emu/v1"),
        ("emu.v1", "Cluster", "emu/v1"),
        ("em/v1", "Fabric", "emu/v1"),
        ("emu", "Deployment", "emu/v1"),
        ("kind.x-k8s.io/v1alpha3", "Cluster", "kind.x-k8s.io/v1alpha4"),
    ],
)
def test_a_wrong_version_of_our_documents_is_no_foreign_manifest(
    tmp_path: Path, version: str, kind: str, meant: str
) -> None:
    """What it says would be lost without a word."""
    found = faults_of(tmp_path, f"kind: {kind}\napiVersion: {version}\nspec: {{nodes: [{{name: w}}]}}\n")
    assert found == [f"2: $.apiVersion: must be {meant}, not {version!r}"]


def test_a_cluster_of_somebody_else_is_theirs(tmp_path: Path) -> None:
    """Other projects have objects of that kind, too."""
    path = tmp_path / "lab.yaml"
    path.write_text("kind: Cluster\napiVersion: cluster.x-k8s.io/v1beta1\nmetadata: {name: c}\n")
    assert read_source([str(path)])


ONLY_4 = "only IPv4 is modelled"


@pytest.mark.parametrize(
    ("kind", "spec", "wanted"),
    [
        ("Fabric", "loadBalancers: [{pool: ['fd00::/64']}]", f"$.spec.loadBalancers[0].pool[0]: {ONLY_4}"),
        ("Fabric", "vpc: {cidr: 'fd00::/64'}", f"$.spec.vpc.cidr: {ONLY_4}"),
        ("Fabric", "vpc: {cidr: [10.0.0.0/16, 'fd00::/64']}", f"$.spec.vpc.cidr[1]: {ONLY_4}"),
        (
            "Fabric",
            "vpc: {subnets: [{name: a, cidr: 'fd00::/64'}, {name: b, cidr: 10.0.1.0/24}]}",
            f"$.spec.vpc.subnets[0].cidr: {ONLY_4}",
        ),
        (
            "Fabric",
            "vpc: {routeTables: [{name: m, routes: [{to: 'fd00::/64', via: node/w}]}]}",
            f"$.spec.vpc.routeTables[0].routes[0].to: {ONLY_4}",
        ),
        (
            "Fabric",
            "routers: [{name: r, interfaces: [{name: a, ports: [1]}]}]",
            "$.spec.routers[0]: a router has an address at least, like 10.0.0.1/24",
        ),
        (
            "Fabric",
            "routers: [{name: r, interfaces: []}]",
            "$.spec.routers[0]: a router has an address at least, like 10.0.0.1/24",
        ),
        (
            "Fabric",
            "external: [{name: x, ip: 127.0.0.1}]",
            "$.spec.external[0].ip: 127.0.0.1 overlaps with 127.0.0.0/8: loopback addresses",
        ),
        (
            "Fabric",
            "external: [{name: x, ip: 0.0.0.0}]",
            "$.spec.external[0].ip: 0.0.0.0 overlaps with 0.0.0.0/8: addresses of no host",
        ),
        (
            "Fabric",
            "external: [{name: x, ip: 255.255.255.255}]",
            "$.spec.external[0].ip: 255.255.255.255 overlaps with 240.0.0.0/4: reserved addresses",
        ),
        ("Fabric", "external: [{name: x, ip: 'fd00::1'}]", f"$.spec.external[0].ip: {ONLY_4}"),
        (
            "Cluster",
            "nodes: [{name: w, addresses: [[]]}]",
            "$.spec.nodes[0].addresses[0]: lists no address: a device has one at least, like 172.18.0.5/24",
        ),
        (
            "Cluster",
            "nodes: [{name: w, addresses: [172.18.0.5]}]",
            "$.spec.nodes[0].addresses[0]: lacks the length of its subnet's prefix, like 172.18.0.5/24",
        ),
        (
            "Cluster",
            "nodes: [{name: v}, {name: w, addresses: [172.18.0.5/32]}]",
            (
                "$.spec.nodes[1].addresses[0]: "
                "172.18.0.5/32 has no room for a router: say the subnet's length, like 172.18.0.5/24"
            ),
        ),
        (
            "Cluster",
            "nodes: [{name: w, addresses: [224.0.0.1/24]}]",
            "$.spec.nodes[0].addresses[0]: 224.0.0.1 overlaps with 224.0.0.0/4: multicast addresses",
        ),
        (
            "Cluster",
            "nodes: [{name: w, addresses: [11.0.0.5/7]}]",
            "$.spec.nodes[0].addresses[0]: 10.0.0.0/7 is no subnet of nodes: it is a /8 at the most",
        ),
        (
            "Cluster",
            "nodes: [{name: w, addresses: [0.0.0.0/0]}]",
            "$.spec.nodes[0].addresses[0]: 0.0.0.0/0 is no subnet of nodes: it is a /8 at the most",
        ),
        (
            "Cluster",
            "nodes: [{name: w, sysctls: {net.ipv4.tcp_fro: 1}}]",
            (
                "$.spec.nodes[0].sysctls['net.ipv4.tcp_fro']: "
                "there is no such setting; did you mean 'net.ipv4.tcp_frto'?"
            ),
        ),
        (
            "Cluster",
            "nodes: [{name: w, sysctls: {net.ipv4.ip_forward: x}}]",
            "$.spec.nodes[0].sysctls['net.ipv4.ip_forward']: cannot be 'x'",
        ),
        (
            "Cluster",
            "nodes: [{name: w, sysctls: {net.ipv4.conf.eth1.rp_filter: 1}}]",
            (
                "$.spec.nodes[0].sysctls['net.ipv4.conf.eth1.rp_filter']: "
                "is of a device that comes later: set that of `default` or `all`"
            ),
        ),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_place(
    tmp_path: Path, kind: str, spec: str, wanted: str
) -> None:
    """Before: a traceback, words without a place, or nothing at all."""
    assert faults_of(tmp_path, f"apiVersion: emu/v1\nkind: {kind}\nspec:\n  {spec}\n") == [f"4: {wanted}"]


def test_settings_of_devices_that_a_node_has_are_taken(tmp_path: Path) -> None:
    """Each list of addresses is a device."""
    path = tmp_path / "lab.yaml"
    node = "addresses: [10.0.0.5/24, 10.0.1.5/24], sysctls: {net.ipv4.conf.eth1.rp_filter: 2}"
    path.write_text(f"apiVersion: emu/v1\nkind: Cluster\nspec: {{nodes: [{{name: w, {node}}}]}}\n")
    assert read_source([str(path)])
