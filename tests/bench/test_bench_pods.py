# SPDX-License-Identifier: GPL-2.0-only
"""How long it takes to set pods up: namespace, veth pair, bridge port, addresses, routes.

`pytest tests/bench/test_bench_pods.py --benchmark-enable`
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import pytest

from emu.fabric.driver import Fabric
from emu.kernel import inetdev, rtnetlink
from emu.kernel.link import bridge_ports
from emu.kernel.link.bridge import Bridge
from emu.kernel.link.veth import Veth
from emu.kernel.route import Nexthop, Route, RouteType
from emu.wire.addresses import Interface, IpAddress, MacAddress, Prefix

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace

PODS: Final = 110  # as many as a node of Kubernetes takes by default
GATEWAY: Final = Interface.parse("10.244.0.1/16")
DEFAULT: Final = Prefix.parse("0.0.0.0/0")


def make_node(fabric: Fabric) -> tuple[Namespace, Device]:
    """Make a node with an empty bridge that is the pods' gateway."""
    net = fabric.add_namespace("node")
    bridge = net.add_device("cni0", Bridge(), MacAddress.parse("02:00:00:00:00:01"), mtu=1500)
    bridge_ports.start(bridge, mac_is_set=True)
    fabric.call(net, partial(rtnetlink.set_up, device=bridge))
    inetdev.add_address(net.fib, bridge, GATEWAY)
    return net, bridge


def add_pod(fabric: Fabric, node: Namespace, bridge: Device, number: int) -> Namespace:
    """Make a pod and plug it into `bridge`, as a CNI plugin does."""
    pod = fabric.add_namespace(f"pod{number}")
    inside = pod.add_device("eth0", Veth(), MacAddress(bytes((2, 1)) + number.to_bytes(4, "big")), mtu=1500)
    outside = node.add_device(
        f"veth{number}", Veth(), MacAddress(bytes((2, 2)) + number.to_bytes(4, "big")), mtu=1500
    )
    inside.peer_index, outside.peer_index = outside.index, inside.index
    inside.carrier = outside.carrier = False
    fabric.connect((pod, inside.name), (node, outside.name))
    bridge_ports.attach(bridge, outside)
    address = IpAddress.from_int(int(GATEWAY.address) + number)
    inetdev.add_address(pod.fib, inside, Interface(address, GATEWAY.length))
    for net, device in ((pod, pod.loopback), (node, outside), (pod, inside)):
        fabric.call(net, partial(rtnetlink.set_up, device=device))
    pod.fib.add(Route(DEFAULT, RouteType.UNICAST, (Nexthop("eth0", GATEWAY.address),)))
    return pod


@pytest.mark.benchmark(group=f"a node with {PODS} pods")
def test_pods(benchmark: BenchmarkFixture) -> None:
    """Everything that a packet needs to get out of each pod."""

    def fill() -> Fabric:
        fabric = Fabric()
        node, bridge = make_node(fabric)
        for number in range(1, PODS + 1):
            add_pod(fabric, node, bridge, number)
        return fabric

    fabric = benchmark(fill)
    last = fabric.namespace(f"pod{PODS}").device("eth0")
    assert (last.is_running, len(fabric.namespaces)) == (True, PODS + 1)
