# SPDX-License-Identifier: GPL-2.0-only
"""Which nodes a cluster has: those of the document, of Node objects, or the default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from emu import document
from emu.cluster.cluster import Cluster
from emu.cluster.node_objects import CONTROL_PLANE, plan
from emu.cluster.topology import load_topology
from emu.errors import DocumentError

if TYPE_CHECKING:
    from emu.cluster.node_objects import PlannedNode
    from emu.cluster.topology import Topology


def topology(*manifests: dict[str, Any]) -> Topology:
    """Return what some documents describe."""
    text = yaml.safe_dump_all(list(manifests) or [{"apiVersion": "v1", "kind": "List", "items": []}])
    return load_topology(document.scan(text.encode(), "t.yaml"))


def head(*nodes: dict[str, Any], **spec: Any) -> dict[str, Any]:  # noqa: ANN401 - a document
    """Return a `Cluster` document."""
    return {"apiVersion": "emu/v1", "kind": "Cluster", "spec": {"nodes": list(nodes), **spec}}


def node(name: str, address: str = "", **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - a manifest
    """Return the manifest of a Node."""
    addresses = [{"type": "InternalIP", "address": address}] if address else []
    metadata = {"name": name, **fields.pop("metadata", {})}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata,
        "status": {"addresses": addresses},
        **fields,
    }


def planned(*manifests: dict[str, Any]) -> dict[str, PlannedNode]:
    """Return the nodes of some documents by name."""
    return {each.node.metadata.name: each for each in plan(topology(*manifests))}


def addresses(found: dict[str, PlannedNode]) -> dict[str, list[list[str]]]:
    """Return the addresses of each device of each node."""
    return {name: [list(map(str, device)) for device in each.devices] for name, each in found.items()}


class TestWho:
    """The document's nodes, the Node objects, or a control plane and two workers."""

    def test_without_any_there_are_three(self) -> None:
        """The control plane has its label and its taint."""
        found = planned()
        assert list(found) == ["control-plane", "worker-1", "worker-2"]
        control = found["control-plane"].node
        assert control.metadata.labels[CONTROL_PLANE] == ""
        assert [each.key for each in control.spec.taints] == [CONTROL_PLANE]
        assert found["worker-1"].node.spec.taints == ()

    def test_node_objects_are_the_nodes(self) -> None:
        """In a list, too; their labels, taints and addresses are kept."""
        taints = [{"key": "gpu", "effect": "NoSchedule"}]
        listed = {
            "apiVersion": "v1",
            "kind": "NodeList",
            "items": [node("a", "10.0.0.1", spec={"taints": taints}), node("b", "10.0.0.2")],
        }
        found = planned(listed)
        assert addresses(found) == {"a": [["10.0.0.1/24"]], "b": [["10.0.0.2/24"]]}
        assert [each.key for each in found["a"].node.spec.taints] == ["gpu"]

    def test_an_entry_and_an_object_of_one_name_are_one_node(self) -> None:
        """What the entry says wins, the rest is the object's."""
        given = node("a", "10.0.0.1", metadata={"labels": {"x": "object", "y": "object"}})
        found = planned(head({"name": "a", "addresses": ["10.9.0.1/16"], "labels": {"x": "entry"}}), given)
        labels = found["a"].node.metadata.labels
        assert addresses(found) == {"a": [["10.9.0.1/16"]]}
        assert (labels["x"], labels["y"]) == ("entry", "object")

    def test_a_control_plane_that_is_alone_has_no_taint(self) -> None:
        """Somewhere pods have to run."""
        assert planned(head({"name": "a", "role": "control-plane"}))["a"].node.spec.taints == ()

    def test_control_planes_come_first(self) -> None:
        """So their pod CIDRs are the first, too."""
        found = planned(head({"name": "w"}, {"name": "cp", "role": "control-plane"}))
        assert list(found) == ["cp", "w"]

    def test_a_zone_is_a_label(self) -> None:
        """The well-known one."""
        labels = planned(head({"name": "a", "zone": "z"}))["a"].node.metadata.labels
        assert labels["topology.kubernetes.io/zone"] == "z"
        assert labels["kubernetes.io/hostname"] == "a"


class TestAddresses:
    """A node has those it says, else the cluster gives it one."""

    def test_without_any_they_count_upwards(self) -> None:
        """In Docker's network, behind the gateway."""
        assert addresses(planned(head({"name": "a"}, {"name": "b"}))) == {
            "a": [["172.18.0.2/16"]],
            "b": [["172.18.0.3/16"]],
        }

    def test_those_that_are_given_are_left_out(self) -> None:
        """Each address is there once."""
        found = addresses(
            planned(head({"name": "a"}, {"name": "b", "addresses": ["172.18.0.2/16"]}, {"name": "c"}))
        )
        assert found == {"a": [["172.18.0.3/16"]], "b": [["172.18.0.2/16"]], "c": [["172.18.0.4/16"]]}

    def test_several_are_several_devices(self) -> None:
        """A list within the list is one device."""
        given = [["192.168.0.2/24", "192.168.1.2/24"], "10.9.0.2/24"]
        found = planned(head({"name": "a", "addresses": given}))
        assert addresses(found) == {"a": [["192.168.0.2/24", "192.168.1.2/24"], ["10.9.0.2/24"]]}
        assert found["a"].node.addresses("InternalIP") == ("192.168.0.2",)

    @pytest.mark.parametrize(
        ("given", "length"),
        [
            (["172.18.0.2", "172.18.0.9"], 16),  # kind's own
            (["10.0.0.1", "10.0.0.2"], 24),
            (["10.0.1.1", "10.0.2.1"], 20),
            (["10.1.0.1", "10.200.0.1"], 8),
        ],
    )
    def test_a_bare_address_gets_the_subnet_of_all(self, given: list[str], length: int) -> None:
        """The longest usual one that has room for all."""
        found = addresses(planned(*(node(f"n{index}", text) for index, text in enumerate(given))))
        assert [device[0][0] for device in found.values()] == [f"{text}/{length}" for text in given]


def test_nodes_are_set_up_as_planned() -> None:
    """Devices, sysctls as the last word, and a way to the outside."""
    entry = {
        "name": "a",
        "addresses": ["192.168.0.11/24", "10.9.0.2/24"],
        "sysctls": {"net.ipv4.ip_forward": 0, "net.ipv4.conf.all.rp_filter": "2"},
    }
    cluster = Cluster(topology(head(entry)))
    host = cluster.node("a")
    assert "inet 192.168.0.11/24" in host.run("ip addr show eth0")
    assert "inet 10.9.0.2/24" in host.run("ip addr show eth1")
    assert host.run("sysctl net.ipv4.ip_forward net.ipv4.conf.all.rp_filter") == (
        "net.ipv4.ip_forward = 0\nnet.ipv4.conf.all.rp_filter = 2\n"
    )
    assert "default via 192.168.0.1 dev eth0" in host.run("ip route")
    assert "1 received" in cluster.external("laptop").run("ping -c 1 192.168.0.11")


class TestKind:
    """kind's own file is read as kind reads it."""

    def test_nodes_have_kinds_names(self) -> None:
        """Of the cluster, the role and a number; the version is the image's."""
        given = {
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "kind": "Cluster",
            "name": "dev",
            "networking": {"podSubnet": "10.11.0.0/16", "kubeProxyMode": "iptables"},
            "nodes": [
                {"role": "control-plane", "image": "kindest/node:v1.33.1@sha256:00"},
                {"role": "worker", "labels": {"tier": "a"}},
                {"role": "worker"},
            ],
        }
        found = topology(given)
        names = [each.node.metadata.name for each in plan(found)]
        assert names == ["dev-control-plane", "dev-worker", "dev-worker2"]
        spec = found.cluster
        assert (str(spec.pod_cidr), str(spec.service_cidr)) == ("10.11.0.0/16", "10.96.0.0/16")
        assert (spec.kubernetes, spec.is_kind) == ("1.33", True)

    def test_one_without_nodes_is_a_control_plane_alone(self) -> None:
        """As `kind create cluster` makes."""
        found = topology({"apiVersion": "kind.x-k8s.io/v1alpha4", "kind": "Cluster"})
        assert [each.node.metadata.name for each in plan(found)] == ["kind-control-plane"]

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"nodez": []}, "did you mean 'nodes'"),
            ({"nodes": [{"role": "worker"}]}, "must have at least one control-plane node"),
            ({"networking": {"ipFamily": "dual"}}, "dual is not modelled"),
            ({"networking": {"kubeProxyMode": "ebpf"}}, "invalid kubeProxyMode: ebpf"),
        ],
    )
    def test_what_it_does_not_know_is_told(self, given: dict[str, Any], words: str) -> None:
        """Strictly."""
        with pytest.raises(DocumentError, match=words):
            topology({"apiVersion": "kind.x-k8s.io/v1alpha4", "kind": "Cluster", **given})


@pytest.mark.parametrize(
    ("spec", "line", "words"),
    [
        ("{nods: []}", 3, r"\$\.spec\.nods: unknown key; did you mean 'nodes'\?"),
        ("{network: {provider: flanel}}", 3, "did you mean 'flannel'"),
        ("{network: {provider: cilium}}", 3, "the provider cilium is not modelled yet"),
        ("{nodes: [{name: a}, {name: a}]}", 3, "a second node a"),
        (
            "{kubeProxy: {mode: ebpf}}",
            3,
            "must be one of iptables, nftables, ipvs, userspace, none, not 'ebpf'",
        ),
        ("{kubernetes: 1.30}", 3, 'a version in quotes, like "1.35"'),
        ("{podCIDR: [10.0.0.0/16, fd00::/48]}", 3, "dual stack|only IPv4"),
    ],
)
def test_what_a_document_gets_wrong_is_told_with_its_line(spec: str, line: int, words: str) -> None:
    """File, line, path and what was meant."""
    text = f"apiVersion: emu/v1\nkind: Cluster\nspec: {spec}\n"
    with pytest.raises(DocumentError, match=words) as caught:
        load_topology(document.scan(text.encode(), "t.yaml"))
    assert caught.value.faults[0].line == line
