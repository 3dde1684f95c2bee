# SPDX-License-Identifier: GPL-2.0-only
"""Which ranges of a cluster overlap."""

from __future__ import annotations

import pytest

from emu import document
from emu.cluster.node_objects import plan
from emu.cluster.ranges import overlaps
from emu.cluster.topology import load_topology

NODE = (
    "{apiVersion: v1, kind: Node, metadata: {name: n1}, "
    "status: {addresses: [{type: InternalIP, address: %s}]}}"
)
FABRIC = "{apiVersion: emu/v1, kind: Fabric, spec: {external: [{name: api, ip: %s}]}}"


def found(*documents: str, **spec: str) -> list[str]:
    """Return the overlaps of a cluster whose document has some keys."""
    keys = ", ".join(f"{key}: {value}" for key, value in spec.items())
    cluster = f"{{apiVersion: emu/v1, kind: Cluster, spec: {{{keys}}}}}"
    topology = load_topology(document.parse("\n---\n".join((cluster, *documents)), "in.yaml"))
    return [str(each) for each in overlaps(topology, plan(topology))]


class TestOverlaps:
    """Whose addresses are whose."""

    def test_the_defaults_do_not(self) -> None:
        """A cluster of manifests alone is sound."""
        assert found() == []
        assert found(FABRIC % "192.0.2.80") == []

    @pytest.mark.parametrize(
        ("spec", "words"),
        [
            (
                {"podCIDR": "10.96.0.0/16"},
                "the pods' range 10.96.0.0/16 and the Services' range 10.96.0.0/12 overlap",
            ),
            (
                {"serviceCIDR": "172.16.0.0/12"},
                "the Services' range 172.16.0.0/12 and the nodes' network 172.18.0.0/16 overlap",
            ),
            (
                {"nodes": "[{name: n1, addresses: [10.244.9.2/24]}, {name: n2, addresses: [10.244.9.3/24]}]"},
                "the pods' range 10.244.0.0/16 and the nodes' network 10.244.9.0/24 overlap",
            ),
        ],
    )
    def test_ranges_of_the_document(self, spec: dict[str, str], words: str) -> None:
        """Each pair is told once, however many nodes there are."""
        assert found(**spec) == [words]

    def test_a_dump_has_nodes_without_a_network(self) -> None:
        """Their addresses are compared, and no network that is only guessed."""
        assert found(NODE % "10.0.0.5") == []
        assert found(NODE % "10.244.3.5") == [
            "the pods' range 10.244.0.0/16 and node n1's address 10.244.3.5 overlap"
        ]

    def test_a_host_outside_is_outside(self) -> None:
        """An address of a pod or Service is nobody else's."""
        assert found(FABRIC % "10.96.0.10") == [
            "the Services' range 10.96.0.0/12 and outside host api 10.96.0.10 overlap"
        ]
