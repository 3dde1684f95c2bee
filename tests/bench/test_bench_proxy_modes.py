# SPDX-License-Identifier: GPL-2.0-only
"""What modes of kube-proxy cost: writing the rules of many Services, changing one, and a first packet.

Run with `pytest tests/bench --benchmark-enable`.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

import pytest

from emu.fabric.driver import Fabric
from emu.kernel import arp, netdev
from emu.kernel.effects import Transmit
from emu.kernel.nud import Nud
from emu.kernel.route import Nexthop, Route
from emu.kube.proxy.config import ProxyConfig
from emu.sim.time import SECOND
from emu.testing.proxies import Proxies, endpoint, service, slice_of
from emu.wire import ethernet, ipv4, udp
from emu.wire.addresses import IpAddress, MacAddress, Prefix
from emu.wire.frame import Frame

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

MODES: Final = ("iptables", "nftables", "ipvs")
SERVICES: Final = 10_000
ENDPOINTS: Final = 3
PEER: Final = MacAddress.parse("02:00:00:00:00:02")


def address(first: int, number: int) -> str:
    """Return an address of the network FIRST.0.0.0/8."""
    return f"10.{first + number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"


def cluster() -> Proxies:
    """Return many Services of three endpoints each, without a node."""
    proxies = Proxies(Fabric())
    for number in range(SERVICES):
        ends = [endpoint(address(100 + each, number), f"n{each}") for each in range(ENDPOINTS)]
        name = f"ns/s{number}"
        proxies.put(service(name, address(96, number), protocol="UDP"), slice_of(name, ends, protocol="UDP"))
    return proxies


def config(mode: str, node: str = "n0") -> ProxyConfig:
    """Return what a kube-proxy is told."""
    return ProxyConfig(node, ("192.168.0.2",), mode, cluster_cidr="10.0.0.0/8")


@pytest.mark.benchmark(group=f"rules of {SERVICES} services, the first node")
@pytest.mark.parametrize("mode", MODES)
def test_the_first_node_writes_its_rules(benchmark: BenchmarkFixture, mode: str) -> None:
    """All is worked out for it."""

    def start(proxies: Proxies) -> bool:
        proxies.start(config(mode))
        return proxies.fleet.proxies["n0"].is_synced

    found: bool = benchmark.pedantic(start, setup=lambda: ((cluster(),), {}), rounds=3)  # type: ignore[no-untyped-call]
    assert found


@pytest.mark.benchmark(group=f"one of {SERVICES} services changes, 4 nodes")
@pytest.mark.parametrize("mode", MODES)
def test_one_service_changes(benchmark: BenchmarkFixture, mode: str) -> None:
    """On nodes that see the same but for one."""
    proxies = cluster()
    for name in ("n0", "n1", "m2", "m3"):
        proxies.start(config(mode, name))
    numbers = count(1)

    def change() -> None:
        ends = [endpoint(address(120, next(numbers)), "n0")]
        proxies.put(slice_of("ns/s7", ends, protocol="UDP"))
        proxies.wait(2 * SECOND)

    benchmark.pedantic(change, rounds=5)  # type: ignore[no-untyped-call]


@pytest.mark.benchmark(group=f"first packet among {SERVICES} services, in the node alone")
@pytest.mark.parametrize("mode", MODES)
def test_first_packet(benchmark: BenchmarkFixture, mode: str) -> None:
    """A datagram that begins a connection to one of them, in by a device and out by it to an endpoint."""
    proxies = cluster()
    net = proxies.start(config(mode))
    net.sysctl.set("net.ipv4.ip_forward", 1)
    eth0 = net.devices["eth0"]
    gateway = IpAddress.parse("192.168.0.1")
    net.fib.add(Route(Prefix.parse("0.0.0.0/0"), nexthops=(Nexthop("eth0", gateway, onlink=True),)))
    arp.act(net, net.neighbours.replace("eth0", gateway, PEER, Nud.PERMANENT, net.now))
    numbers = count()
    source = IpAddress.parse("192.168.0.9")
    header = ethernet.header(eth0.mac, PEER, ethernet.IPV4)

    def send() -> None:
        number = next(numbers)
        to = IpAddress.parse(address(96, number * 7919 % SERVICES))
        datagram = udp.build(source, to, 1024 + number % 60_000, 80, b"question")
        netdev.receive(net, eth0, Frame(header + ipv4.build(ipv4.UDP, source, to, datagram)))
        assert any(isinstance(effect, Transmit) for effect in net.take_effects())

    for _ in range(SERVICES):
        send()
    benchmark.pedantic(send, rounds=2000)  # type: ignore[no-untyped-call]
