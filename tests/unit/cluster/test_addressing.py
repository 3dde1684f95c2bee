# SPDX-License-Identifier: GPL-2.0-only
"""Addresses that two have, and ranges that nodes cannot have, as they are told when a document is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.cluster.source import read_source
from emu.errors import DocumentError

if TYPE_CHECKING:
    from pathlib import Path

CLUSTER = "apiVersion: emu/v1\nkind: Cluster\nspec:\n"
NODE = "apiVersion: v1\nkind: Node\nmetadata: {{name: {}}}\nspec: {{podCIDR: {}}}\n---\n"


def warnings_of(folder: Path, text: str) -> list[str]:
    """Return the warnings of a document."""
    path = folder / "lab.yaml"
    path.write_text(text)
    return [str(fault).removeprefix(f"{folder}/") for fault in read_source([str(path)]).warnings]


def fault_of(folder: Path, text: str) -> str:
    """Return the one fault of a document."""
    with pytest.raises(DocumentError) as caught:
        warnings_of(folder, text)
    (found,) = map(str, caught.value.faults)
    return found.removeprefix(f"{folder}/")


def test_an_address_of_two_nodes_is_warned_of(tmp_path: Path) -> None:
    """It can be built, and what then goes wrong be looked at, so it is no fault."""
    nodes = "  nodes:\n  - {name: a, addresses: [10.0.0.1/24]}\n  - {name: b, addresses: [10.0.0.1/24]}\n"
    assert warnings_of(tmp_path, CLUSTER + nodes) == [
        "lab.yaml:6: $.spec.nodes[1].addresses: DUP_IP: node b has the address 10.0.0.1, and so has node a"
    ]


def test_an_address_of_a_node_and_a_host_outside_is_warned_of(tmp_path: Path) -> None:
    """The place is that of the second."""
    fabric = "---\napiVersion: emu/v1\nkind: Fabric\nspec:\n  external:\n  - {name: x, ip: 10.0.0.1}\n"
    found = warnings_of(tmp_path, f"{CLUSTER}  nodes: [{{name: a, addresses: [10.0.0.1/24]}}]\n{fabric}")
    assert found == [
        (
            "lab.yaml:10: $.spec.external[0].ip: DUP_IP: "
            "outside host x has the address 10.0.0.1, and so has node a"
        )
    ]


def test_a_range_outside_the_pods_is_a_fault_of_the_entry(tmp_path: Path) -> None:
    """With its line."""
    found = fault_of(
        tmp_path, f"{CLUSTER}  nodes:\n  - {{name: a}}\n  - {{name: b, podCIDR: 10.99.1.0/24}}\n"
    )
    assert found == (
        'lab.yaml:6: $.spec.nodes[1].podCIDR: Invalid value: "10.99.1.0/24": '
        "cidr 10.99.1.0/24 is out the range of cluster cidr 10.244.0.0/16"
    )


def test_a_range_outside_the_pods_is_a_fault_of_the_object(tmp_path: Path) -> None:
    """Who has no Cluster document is told where the pods' range would be said."""
    found = fault_of(tmp_path, NODE.format("a", "10.99.1.0/24"))
    assert found.startswith("lab.yaml:4: $.spec.podCIDR: ")
    assert found.endswith("(spec.podCIDR of a Cluster document says another)")


def test_too_small_a_range_is_a_fault(tmp_path: Path) -> None:
    """Of the document, as no node is to blame."""
    found = fault_of(tmp_path, f"{CLUSTER}  podCIDR: 10.244.0.0/23\n")
    assert found.startswith("lab.yaml:4: $.spec.podCIDR: 10.244.0.0/23 is too small for 3 nodes: ")


@pytest.mark.parametrize("cidr", ["10.244.9.0/24", "10.244.8.0/22"])
def test_ranges_of_nodes_that_overlap_are_warned_of(tmp_path: Path, cidr: str) -> None:
    """Kubernetes takes them; then one of two nodes is not reached."""
    (found,) = warnings_of(tmp_path, NODE.format("a", "10.244.9.0/24") + NODE.format("b", cidr))
    assert "CIDR_OVERLAP: the pod range of node " in found
    assert found.startswith(("lab.yaml:4: $.spec.podCIDR", "lab.yaml:9: $.spec.podCIDR"))


def test_a_range_that_a_control_plane_was_given_is_warned_of(tmp_path: Path) -> None:
    """Control planes join first, and get the first free one."""
    nodes = "  nodes:\n  - {name: a, role: control-plane}\n  - {name: b, podCIDR: 10.244.0.0/24}\n"
    assert warnings_of(tmp_path, CLUSTER + nodes) == [
        (
            "lab.yaml:6: $.spec.nodes[1].podCIDR: CIDR_OVERLAP: "
            "the pod range of node b overlaps with that of node a, 10.244.0.0/24"
        )
    ]


def test_with_a_provider_of_its_own_ranges_nothing_overlaps(tmp_path: Path) -> None:
    """Blocks of calico are claimed as pods come."""
    nodes = "  nodes: [{name: a, podCIDR: 10.244.1.0/24}, {name: b, podCIDR: 10.244.1.0/24}]\n"
    assert warnings_of(tmp_path, f"{CLUSTER}  network: {{provider: calico}}\n{nodes}") == []


def test_an_address_of_many_is_told_once(tmp_path: Path) -> None:
    """As where each machine of a lab has the same one towards its host."""
    nodes = "".join(f"  - {{name: {name}, addresses: [10.0.2.15/24]}}\n" for name in "abc")
    (found,) = warnings_of(tmp_path, f"{CLUSTER}  nodes:\n{nodes}")
    assert found.endswith("DUP_IP: node b has the address 10.0.2.15, and so have node a, node c")
