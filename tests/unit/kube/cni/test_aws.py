# SPDX-License-Identifier: GPL-2.0-only
"""`aws-cni`: addresses of the node's interfaces, a routed cable, routing rules."""

from __future__ import annotations

import hashlib

import pytest

from emu.kube import cni
from emu.kube.cni.aws import INTERFACES, Pooled, interfaces_text
from emu.kube.cni.error import CniError
from emu.sim.time import SECOND, later
from emu.wire.addresses import IpAddress
from tests.unit.kube.cni.lab import Node, network

CONF = network(
    {"type": "aws-cni", "vethPrefix": "eni", "mtu": "9001"},
    {"type": "egress-cni", "enabled": "false"},
    version="0.4.0",
    name="aws-cni",
)
ONE, TWO, THREE = (IpAddress.parse(f"10.0.1.{number}") for number in (20, 21, 30))


@pytest.fixture
def node() -> Node:
    """A node with two interfaces, as its daemon tells."""
    made = Node()
    pool = [Pooled("eth0", 254, (ONE, TWO)), Pooled("eth1", 2, (THREE,))]
    made.disk[INTERFACES] = interfaces_text(pool)
    return made


def add(node: Node, name: str) -> str:
    """Attach a pod, and return its address."""
    call = node.call(name, args={"K8S_POD_NAMESPACE": "default", "K8S_POD_NAME": name})
    return str(cni.add(CONF, call).ips[0].address)


def delete(node: Node, name: str) -> None:
    """Detach a pod."""
    cni.delete(CONF, node.call(name, args={"K8S_POD_NAMESPACE": "default", "K8S_POD_NAME": name}))


def test_the_first_interface_gives_its_addresses_first_the_lowest_ahead(node: Node) -> None:
    """Each is a /32; when none is left, a pod gets none."""
    assert [add(node, name) for name in "abc"] == ["10.0.1.20/32", "10.0.1.21/32", "10.0.1.30/32"]
    with pytest.raises(CniError, match="failed to assign an IP address to container"):
        add(node, "d")


def test_without_the_daemon_no_pod_is_attached(node: Node) -> None:
    """There is nobody to ask for an address."""
    del node.disk[INTERFACES]
    with pytest.raises(CniError, match="gRPC"):
        add(node, "a")


def test_an_address_that_was_given_back_rests_for_30_seconds(node: Node) -> None:
    """Then it is the lowest one again."""
    add(node, "a")
    delete(node, "a")
    assert add(node, "b") == "10.0.1.21/32"
    node.fabric.loop.run_until(later(node.fabric.loop.now, 30 * SECOND))
    assert add(node, "c") == "10.0.1.20/32"


def test_a_pod_of_a_secondary_interface_is_routed_by_its_table(node: Node) -> None:
    """To it by `main`; from it by the interface's; one of the primary interface has the first rule alone."""
    for name in "abc":
        add(node, name)
    rules = node.show("ip", "rule").splitlines()
    assert rules[1:-2] == [
        "512:\tfrom all to 10.0.1.20 lookup main",
        "512:\tfrom all to 10.0.1.21 lookup main",
        "512:\tfrom all to 10.0.1.30 lookup main",
        "1536:\tfrom 10.0.1.30 lookup 2",
    ]
    delete(node, "c")
    assert len(node.show("ip", "rule").splitlines()) == len(rules) - 2


def test_the_nodes_end_is_called_after_the_pod_and_is_its_static_neighbour(node: Node) -> None:
    """`eni` and eleven digits of the SHA-1 of namespace and name; nobody answers ARP for 169.254.1.1."""
    add(node, "a")
    name = "eni" + hashlib.sha1(b"default.a", usedforsecurity=False).hexdigest()[:11]
    device = node.net.devices[name]
    assert device.mtu == 9001
    assert not device.addresses
    pod = node.fabric.namespaces["pod/default/a"]
    assert node.show("ip", "route", net=pod).splitlines() == [
        "default via 169.254.1.1 dev eth0 ",
        "169.254.1.1 dev eth0 scope link ",
    ]
    assert node.show("ip", "neigh", net=pod) == f"169.254.1.1 dev eth0 lladdr {device.mac} PERMANENT \n"
    assert f"10.0.1.20 dev {name} scope link" in node.show("ip", "route")


def test_what_is_deleted_twice_is_gone_once(node: Node) -> None:
    """Route, rules, device and address."""
    before = node.show("ip", "route"), node.show("ip", "rule"), sorted(node.net.devices)
    add(node, "a")
    delete(node, "a")
    delete(node, "a")
    assert (node.show("ip", "route"), node.show("ip", "rule"), sorted(node.net.devices)) == before


def test_egress_of_another_family_is_refused_by_name(node: Node) -> None:
    """It is not modelled."""
    conf = network({"type": "egress-cni", "enabled": "true"}, version="0.4.0")
    with pytest.raises(CniError, match="egress-cni is not modelled"):
        cni.add(conf, node.call())
