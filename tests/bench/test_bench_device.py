# SPDX-License-Identifier: GPL-2.0-only
"""How long one machine takes for one frame, beside the same machine made of Scapy.

No fabric and no events: a frame goes in by the door of a namespace and its
effects come out. `pytest tests/bench/test_bench_device.py --benchmark-enable`
"""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Final

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from emu.fabric.driver import Fabric
from emu.kernel import inetdev, rtnetlink
from emu.kernel.effects import Transmit
from emu.kernel.link import bridge_ports
from emu.kernel.link.bridge import Bridge
from emu.kernel.link.veth import Veth
from emu.kernel.nud import Nud
from emu.sim.time import SECOND, Instant
from emu.wire.addresses import Interface, IpAddress, MacAddress
from emu.wire.frame import Frame

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace

HERE, THERE = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
INGRESS, EGRESS = "02:00:00:00:01:01", "02:00:00:00:01:02"
NOW: Final = Instant(SECOND)


def datagram(dst: str) -> bytes:
    """Return a frame of 106 octets from `HERE` to `dst`."""
    packet = IP(src="10.0.1.2", dst="10.0.2.2") / UDP(sport=9, dport=7) / Raw(bytes(64))
    return bytes(Ether(src=HERE, dst=dst) / packet)


def machine() -> tuple[Namespace, Device, Device]:
    """Return a namespace with two veth devices that are up."""
    fabric = Fabric()
    net, far = fabric.add_namespace("machine"), fabric.add_namespace("far")
    for name, mac in (("in", INGRESS), ("out", EGRESS)):
        near = net.add_device(name, Veth(), MacAddress.parse(mac), mtu=1500)
        other = far.add_device(name, Veth(), MacAddress.parse(HERE), mtu=1500)
        fabric.connect((net, name), (far, name))
        fabric.call(net, partial(rtnetlink.set_up, device=near))
        fabric.call(far, partial(rtnetlink.set_up, device=other))
    return net, net.device("in"), net.device("out")


class NaiveBridge:
    """A learning bridge that dissects and builds."""

    def __init__(self) -> None:
        self.table: dict[str, str] = {THERE: "out"}

    def receive(self, port: str, octets: bytes) -> list[tuple[str, bytes]]:
        """Learn, and send out of the port where the destination is."""
        frame = Ether(octets)
        self.table[frame.src] = port
        return [(self.table[frame.dst], bytes(frame))]


class NaiveRouter:
    """A router that dissects, changes and builds."""

    def __init__(self) -> None:
        self.routes = {IPv4Network("10.0.1.0/24"): "in", IPv4Network("10.0.2.0/24"): "out"}

    def receive(self, octets: bytes) -> list[tuple[str, bytes]]:
        """Take one off the TTL and send to the next hop."""
        frame = Ether(octets)
        dst = IPv4Address(frame[IP].dst)
        port = next(port for prefix, port in self.routes.items() if dst in prefix)
        frame[IP].ttl -= 1
        del frame[IP].chksum
        frame.src, frame.dst = EGRESS, THERE
        return [(port, bytes(frame))]


@pytest.mark.benchmark(group="a frame through one bridge")
def test_bridge(benchmark: BenchmarkFixture) -> None:
    """In by one port, learned, out by the port where its destination is known to be."""
    net, ingress, egress = machine()
    bridge = net.add_device("br0", Bridge(), MacAddress.parse(INGRESS), mtu=1500)
    bridge_ports.start(bridge, mac_is_set=True)
    for device in (ingress, egress):
        bridge_ports.attach(bridge, device)
    rtnetlink.set_up(net, bridge)
    net.receive("out", Frame(bytes(Ether(src=THERE, dst=HERE, type=0x88B5))), NOW)
    frame = Frame(datagram(THERE), 1)
    effects = benchmark(net.receive, "in", frame, NOW)
    assert effects == [Transmit("out", frame)]


@pytest.mark.benchmark(group="a frame through one bridge")
def test_naive_bridge(benchmark: BenchmarkFixture) -> None:
    """The same with Scapy."""
    octets = datagram(THERE)
    assert benchmark(NaiveBridge().receive, "in", octets) == [("out", octets)]


@pytest.mark.benchmark(group="a packet through one router")
def test_router(benchmark: BenchmarkFixture) -> None:
    """Checked, routed, its TTL taken down, sent to a neighbour that is known."""
    net, ingress, egress = machine()
    net.sysctl.set("net.ipv4.ip_forward", "1")
    for device, text in ((ingress, "10.0.1.1/24"), (egress, "10.0.2.1/24")):
        inetdev.add_address(net.fib, device, Interface.parse(text))
    net.neighbours.replace("out", IpAddress.parse("10.0.2.2"), MacAddress.parse(THERE), Nud.PERMANENT, NOW)
    frame = Frame(datagram(INGRESS), 1)
    effects = benchmark(net.receive, "in", frame, NOW)
    routed = NaiveRouter().receive(frame.octets)
    assert [(effect.iface, effect.frame.octets) for effect in effects] == routed


@pytest.mark.benchmark(group="a packet through one router")
def test_naive_router(benchmark: BenchmarkFixture) -> None:
    """The same with Scapy."""
    octets = datagram(INGRESS)
    ((port, routed),) = benchmark(NaiveRouter().receive, octets)
    assert (port, Ether(routed)[IP].ttl) == ("out", 63)
