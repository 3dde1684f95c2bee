# SPDX-License-Identifier: GPL-2.0-only
"""How long a packet takes through the emulated machines, beside a naive emulator made of Scapy.

Both carry a UDP datagram between pods of two nodes: eight device passes, two
routers, two bridges. Run with `pytest tests/bench --benchmark-enable`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from emu.cluster.network.build import build
from emu.cluster.network.reader import load_network
from emu.kernel import sockets
from emu.kernel.sockets import SocketKind
from emu.observe.capture import Capture
from emu.observe.recording import Recording
from emu.sim.loop import EventLoop
from emu.sim.time import MICROSECOND, MILLISECOND, SECOND, later
from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from emu.fabric.driver import Fabric
    from emu.kernel.namespace import Namespace
    from emu.kernel.sockets import Socket

TOPOLOGY: Final = Path(__file__).parents[2] / "topologies/two-nodes-by-routes.yaml"
PAYLOAD: Final = bytes(64)
PORT: Final = 7
PASSES: Final = 8
SEGMENTS: Final = 10
SEGMENT: Final = 1448  # octets: Ethernet's MTU less the headers and a timestamp
EVENTS: Final = 1000


class Way:
    """A datagram socket in either pod, and everything between them resolved."""

    def __init__(self) -> None:
        self.fabric: Fabric = build(load_network(TOPOLOGY))
        self.fabric.loop.budget = 1 << 60
        self.client, self.server = (self.fabric.namespace(name) for name in ("pod1", "pod2"))
        self.receiver = self._socket(self.server)
        self.fabric.call(self.server, lambda net: sockets.bind(net, self.receiver, ANY_IP4, PORT))
        self.sender = self._socket(self.client)
        self.address = self.server.device("eth0").addresses[0].address
        self.fabric.call(self.client, lambda net: sockets.connect(net, self.sender, self.address, PORT))
        self.send()

    def _socket(self, net: Namespace) -> Socket:
        return self.fabric.call(net, lambda it: sockets.create(it, SocketKind.UDP))

    def send(self) -> int:
        """Send a datagram and run until it has arrived; return its length."""
        loop = self.fabric.loop
        loop.replenish()
        self.fabric.call(self.client, lambda net: sockets.send(net, self.sender, PAYLOAD))
        while not self.receiver.queue:
            loop.step()
        datagram = sockets.receive_from(self.server, self.receiver)
        return len(datagram.data)

    def passes(self) -> int:
        """Return how often a frame has passed a device."""
        return sum(
            device.counters.rx_packets + device.counters.tx_packets
            for net in self.fabric.namespaces.values()
            for device in net.devices.values()
        )


@pytest.fixture
def path() -> Way:
    """Return a warm path."""
    return Way()


@pytest.mark.benchmark(group="packet, 8 devices")
def test_datagram_between_pods_of_two_nodes(benchmark: BenchmarkFixture, path: Way) -> None:
    """A datagram from socket to socket, without capture; divide by 8 for a device."""
    before = path.passes()
    path.send()
    assert path.passes() - before == PASSES
    assert benchmark(path.send) == len(PAYLOAD)


@pytest.mark.benchmark(group="packet, 8 devices")
def test_datagram_with_a_capture_at_every_device(benchmark: BenchmarkFixture, path: Way) -> None:
    """The same with every device captured and every decision kept as a comment."""
    recording = Recording()
    points = [(net.name, name) for net in path.fabric.namespaces.values() for name in net.devices]
    capture = Capture(points)
    recording.add(capture)
    path.fabric.record(recording)
    assert benchmark(path.send) == len(PAYLOAD)
    assert len(capture.frames) >= PASSES


@pytest.mark.benchmark(group="packet, 8 devices")
def test_naive_emulator_that_rebuilds_at_every_device(benchmark: BenchmarkFixture) -> None:
    """Scapy dissects and rebuilds the frame at each device, as a first attempt would."""
    link = Ether(src="0a:58:0a:f4:01:02", dst="0a:58:0a:f4:01:01")
    first = bytes(link / IP(src="10.244.1.2", dst="10.244.2.2") / UDP(dport=PORT) / Raw(PAYLOAD))

    def carry() -> int:
        octets = first
        for hop in range(PASSES):
            frame = Ether(octets)
            if hop in (2, 5):  # the two nodes route
                frame[IP].ttl -= 1
                frame.src, frame.dst = "02:00:00:00:00:01", "02:00:00:00:00:02"
                del frame[IP].chksum
            octets = bytes(frame.copy())
        return len(Ether(octets)[UDP].payload)

    assert benchmark(carry) == len(PAYLOAD)


@pytest.mark.benchmark(group=f"stream of {SEGMENTS} segments, 8 devices")
def test_tcp_segments_and_their_acknowledgements(benchmark: BenchmarkFixture, path: Way) -> None:
    """Full segments from socket to socket, each acknowledged; divide by twice their number for a packet."""
    fabric, client, server = path.fabric, path.client, path.server
    listener, sender = (
        fabric.call(net, lambda it: sockets.create(it, SocketKind.TCP)) for net in (server, client)
    )
    fabric.call(server, lambda net: sockets.bind(net, listener, ANY_IP4, PORT))
    fabric.call(server, lambda net: sockets.listen(net, listener, 1))
    fabric.call(client, lambda net: sockets.connect(net, sender, path.address, PORT))
    fabric.loop.run_until(fabric.loop.now)
    receiver = fabric.call(server, lambda net: sockets.accept(net, listener))
    octets = bytes(SEGMENTS * SEGMENT)

    def transfer() -> int:
        fabric.loop.replenish()
        fabric.call(client, lambda net: sockets.send(net, sender, octets))
        fabric.loop.run_until(later(fabric.loop.now, MILLISECOND))
        return len(fabric.call(server, lambda net: sockets.receive(net, receiver, len(octets))))

    before = path.passes()
    transfer()
    assert path.passes() - before == 2 * SEGMENTS * PASSES
    assert benchmark(transfer) == len(octets)


@pytest.mark.benchmark(group=f"{EVENTS} events")
def test_events_one_after_the_other(benchmark: BenchmarkFixture) -> None:
    """Each is scheduled by the one before, a microsecond later: timers and cables with a latency."""

    def run() -> int:
        loop = EventLoop()

        def again(left: int) -> None:
            if left:
                loop.after(MICROSECOND, again, left - 1)

        again(EVENTS)
        loop.run_until(later(loop.now, SECOND))
        return loop.events_run

    assert benchmark(run) == EVENTS


@pytest.mark.benchmark(group=f"{EVENTS} events")
def test_events_of_one_instant(benchmark: BenchmarkFixture) -> None:
    """Each is scheduled by the one before, for now: what a veth pair does with a frame."""

    def run() -> int:
        loop = EventLoop()

        def again(left: int) -> None:
            if left:
                loop.at(loop.now, again, left - 1)

        again(EVENTS)
        loop.run_until_idle()
        return loop.events_run

    assert benchmark(run) == EVENTS
