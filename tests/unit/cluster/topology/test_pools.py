# SPDX-License-Identifier: GPL-2.0-only
"""Addresses that load balancers cannot give away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.cluster.source import read_source
from emu.errors import DocumentError

if TYPE_CHECKING:
    from pathlib import Path

CLUSTER = "apiVersion: emu/v1\nkind: Cluster\nspec: {nodes: [{name: n, addresses: [10.1.1.10/24]}]}\n---\n"
FABRIC = "apiVersion: emu/v1\nkind: Fabric\nspec:\n  loadBalancers:\n"


def load(folder: Path, balancer: str, cluster: str = CLUSTER) -> object:
    """Read a cluster with one node and this balancer, which stands in line 9."""
    path = folder / "lab.yaml"
    path.write_text(f"{cluster}{FABRIC}  - {{{balancer}}}\n")
    return read_source([str(path)])


@pytest.mark.parametrize(
    ("balancer", "words"),
    [
        ("pool: [0.0.0.0/0]", "0.0.0.1-255.255.255.254 overlaps with 0.0.0.0/8: addresses of no host"),
        ("pool: [127.0.0.1]", "127.0.0.1 overlaps with 127.0.0.0/8: loopback addresses"),
        ("pool: [169.254.0.0/24]", "overlaps with 169.254.0.0/16: link-local addresses"),
        ("pool: [223.255.255.9-224.0.0.0]", "overlaps with 224.0.0.0/4: multicast addresses"),
        ("pool: [255.255.255.255]", "overlaps with 240.0.0.0/4: reserved addresses"),
        ("pool: [203.0.113.9, 10.1.1.128/28]", "overlaps with the nodes' network 10.1.1.0/24"),
        ("pool: [10.244.3.7]", "10.244.3.7 overlaps with the pods' range 10.244.0.0/16"),
        ("kind: l2, pool: [10.96.1.0/24]", "overlaps with the Services' range 10.96.0.0/12"),
    ],
)
def test_a_pool_of_other_peoples_addresses_is_refused(tmp_path: Path, balancer: str, words: str) -> None:
    """With its line."""
    with pytest.raises(DocumentError) as caught:
        load(tmp_path, balancer)
    assert [fault.line for fault in caught.value.faults] == [9]
    assert words in caught.value.faults[0].message


def test_the_nodes_usual_network_is_theirs(tmp_path: Path) -> None:
    """Where nobody says which they have."""
    with pytest.raises(DocumentError, match="overlaps with the nodes' network 172"):
        load(tmp_path, "pool: [172.18.255.1]", "")


@pytest.mark.parametrize(
    "balancer", ["pool: [203.0.113.0/28]", "kind: l2, pool: [10.1.1.200-10.1.1.250]", "pool: [172.18.0.0/24]"]
)
def test_free_addresses_are_taken(tmp_path: Path, balancer: str) -> None:
    """Addresses of the nodes' subnet are what l2 gives away; 172.18.0.0/16 is nobody's here."""
    assert load(tmp_path, balancer)
