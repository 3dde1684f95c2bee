# SPDX-License-Identifier: GPL-2.0-only
"""What services cost: first packets, packets behind them, and reading the rules of many.

A client pod on one node sends to ClusterIPs whose endpoint is a pod on the other
node; the client's node has the rules that kube-proxy would write. Run with
`pytest tests/bench --benchmark-enable`.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from emu.cluster.network.build import build
from emu.cluster.network.reader import load_network
from emu.cluster.network.rules import load
from emu.kernel import netdev, raw, sockets
from emu.kernel.effects import Transmit
from emu.kernel.sockets import SocketKind
from emu.testing.services import PORT, TARGET_PORT, cluster_ip, service_rules
from emu.tools.iptables import restore
from emu.wire import ethernet, ipv4, udp
from emu.wire.addresses import ANY_IP4, IpAddress
from emu.wire.frame import Frame

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from emu.fabric.driver import Fabric

TOPOLOGY: Final = Path(__file__).parents[2] / "topologies/two-nodes-by-routes.yaml"
PARSED_RULES: Final = 40_000
PORTS: Final = 60_000
ENDPOINT: Final = IpAddress.parse("10.244.2.2")


class Services:
    """Two nodes, a client on one, a datagram socket behind all services on the other."""

    def __init__(self, services: int) -> None:
        self.services = services
        self.fabric: Fabric = build(load_network(TOPOLOGY))
        self.fabric.loop.budget = 1 << 60
        self.client, self.node, self.server = map(self.fabric.namespace, ("pod1", "node1", "pod2"))
        self.source = self.client.device("eth0").addresses[0].address
        self.target = self.server.device("eth0").addresses[0].address
        load(self.node, "iptables", service_rules(services, target=self.target, protocol="udp"))
        self.sink = self.fabric.call(self.server, lambda net: sockets.create(net, SocketKind.UDP))
        self.fabric.call(self.server, lambda net: sockets.bind(net, self.sink, ANY_IP4, TARGET_PORT))
        self._numbers = count()
        for _ in range(services + 100):  # each service once: its chains are compiled
            self.begin()

    def packet(self, number: int) -> bytes:
        """Return the first datagram of connection `number`."""
        dst = cluster_ip(number * 7919 % self.services)
        datagram = udp.build(self.source, dst, 1024 + number % PORTS, PORT, b"question")
        return ipv4.build(ipv4.UDP, self.source, dst, datagram, identification=1)

    def begin(self) -> int:
        """Send the first datagram of a new connection, and return how many octets arrived."""
        number = next(self._numbers)
        if number % PORTS == 0:
            self.node.netfilter.conntrack.flush(self.node.now)
        packet = self.packet(number)
        self.fabric.call(self.client, lambda net: raw.send_packet(net, packet))
        loop = self.fabric.loop
        while not self.sink.queue:
            loop.step()
        return len(sockets.receive_from(self.server, self.sink).data)

    def establish(self) -> bytes:
        """Begin a connection, have it answered, and return the next datagram of it."""
        number = next(self._numbers)
        packet = self.packet(number)
        self.fabric.call(self.client, lambda net: raw.send_packet(net, packet))
        while not self.sink.queue:
            self.fabric.loop.step()
        question = sockets.receive_from(self.server, self.sink)
        to = question.address, question.port
        self.fabric.call(self.server, lambda net: sockets.send_to(net, self.sink, b"answer", *to))
        self.fabric.loop.run_until(self.fabric.loop.now)
        return packet


@pytest.fixture(params=[1, 1_000, 10_000])
def services(request: pytest.FixtureRequest) -> Services:
    """Return a warm cluster with so many services."""
    return Services(request.param)


@pytest.mark.benchmark(group="first packet of a connection, 8 devices")
def test_new_connections(benchmark: BenchmarkFixture, services: Services) -> None:
    """A datagram that begins a connection to a service, from socket to socket."""
    arrived: int = benchmark.pedantic(services.begin, rounds=4000, warmup_rounds=500)  # type: ignore[no-untyped-call]
    assert arrived == len(b"question")
    assert services.node.netfilter.conntrack.count > services.services / 10_000


@pytest.mark.benchmark(group="established packet, in the node alone")
@pytest.mark.parametrize("services", [10_000], indirect=True)
def test_established_packet_in_its_node(benchmark: BenchmarkFixture, services: Services) -> None:
    """A datagram of a connection that is known, from the port of the bridge to the node's cable."""
    node = services.node
    packet = services.establish()
    port = next(device for device in node.devices.values() if device.port is not None)
    header = ethernet.header(node.devices["cni0"].mac, services.client.device("eth0").mac, ethernet.IPV4)
    frame = Frame(header + packet)

    def forward() -> int:
        netdev.receive(node, port, frame)
        return sum(isinstance(effect, Transmit) for effect in node.take_effects())

    assert benchmark(forward) == 1


@pytest.mark.benchmark(group=f"{PARSED_RULES} rules")
def test_rules_are_parsed(benchmark: BenchmarkFixture) -> None:
    """The text for iptables-restore of 8,000 services with one endpoint each: five rules a service."""
    text = service_rules(PARSED_RULES // 5, target=ENDPOINT, node_ports=PARSED_RULES // 5)

    def parse() -> int:
        restore.parse.cache_clear()
        tables = restore.parse(text).values()
        return sum(len(chain.rules) for snapshot in tables for chain in snapshot.table.chains)

    parsed: int = benchmark.pedantic(parse, rounds=5)  # type: ignore[no-untyped-call]
    assert parsed >= PARSED_RULES
