# SPDX-License-Identifier: GPL-2.0-only
"""Two nodes and a host on one switch, and pods that a provider's network is given to."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import attrs

from emu.apps import commands
from emu.apps.ping import Echo, ping
from emu.fabric import program
from emu.fabric.driver import Fabric
from emu.kernel import rtnetlink
from emu.kernel.link import bridge_ports
from emu.kernel.link.bridge import Bridge
from emu.kernel.link.veth import Veth
from emu.kernel.sockets import SocketKind
from emu.kube import cni
from emu.kube.cni.links import mac_of
from emu.kube.providers import PROVIDERS, NodeNetwork, Written, apply
from emu.sim.time import SECOND, later
from emu.wire.addresses import Interface, IpAddress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.fabric.program import Program
    from emu.kernel.namespace import Namespace
    from emu.kube.cni.fields import Json

T = TypeVar("T")

PORT: Final = 4000
SEGMENT: Final = "192.168.1.0/24"
NODES: Final = (
    NodeNetwork("node-1", "192.168.1.11", ("10.244.1.0/24",), segment=SEGMENT),
    NodeNetwork("node-2", "192.168.1.12", ("10.244.2.0/24",), segment=SEGMENT),
)
OUTSIDE: Final = IpAddress.parse("192.168.1.200")


class Lab:
    """Nodes `node-1` and `node-2`, a host `outside`, and what a provider wrote to the nodes."""

    def __init__(self, provider: str, options: Mapping[str, Json] | None = None) -> None:
        self.fabric = Fabric()
        self.provider = PROVIDERS[provider](options or {})
        self.switch = self.fabric.add_namespace("switch/lan")
        self.bridge = self.switch.add_device("br0", Bridge(), mac_of("switch/lan", "br0"), mtu=1500)
        bridge_ports.start(self.bridge, mac_is_set=True)
        self._up(self.switch, "br0")
        self.written: dict[str, Written] = {}
        self.disks: dict[str, cni.Disk] = {}
        self.addresses: dict[str, IpAddress] = {}
        for node in NODES:
            self._plug(f"node/{node.name}", node.internal_ip)
            self.written[node.name], self.disks[node.name] = Written(), cni.Disk()
        self._plug("ext/outside", OUTSIDE)
        self.apply()

    def _up(self, net: Namespace, name: str) -> None:
        self.fabric.call(net, partial(rtnetlink.set_up, device=net.device(name)))

    def _plug(self, name: str, address: IpAddress) -> None:
        net = self.fabric.add_namespace(name)
        self._up(net, "lo")
        port = f"p{len(self.switch.devices)}"
        device = net.add_device("eth0", Veth(), mac_of(name, "eth0"), mtu=1500)
        other = self.switch.add_device(port, Veth(), mac_of("switch/lan", port), mtu=1500)
        device.carrier = other.carrier = False
        self.fabric.connect((net, "eth0"), (self.switch, port))
        bridge_ports.attach(self.bridge, other)
        self._up(self.switch, port)
        rtnetlink.add_address(net, device, Interface(address, 24))
        self._up(net, "eth0")

    def node(self, name: str) -> Namespace:
        """Return a node's namespace."""
        return self.fabric.namespace(f"node/{name}")

    def apply(self, nodes: tuple[NodeNetwork, ...] = NODES) -> list[str]:
        """Have the provider write what it wants while there are `nodes`; return what was refused."""
        refused: list[str] = []
        for node in NODES:
            now = self.provider.configure(node, nodes)
            before, disk = self.written[node.name], self.disks[node.name]
            refused += apply(self.fabric, self.node(node.name), before, now, disk=disk)
            self.written[node.name] = now
        return refused

    # --- pods ---

    def call(self, node: str, pod: str, capabilities: Mapping[str, Json] | None = None) -> cni.Call:
        """Return the call for a pod."""
        return cni.Call(
            self.fabric,
            self.node(node),
            self.fabric.namespaces.get(f"pod/default/{pod}"),
            hashlib.sha256(pod.encode()).hexdigest(),
            disk=self.disks[node],
            capabilities=capabilities or {},
        )

    def config(self, node: str) -> cni.NetConfList:
        """Return the configuration of a node."""
        config = self.written[node].config
        assert config is not None
        return config

    def pod(self, node: str, name: str, capabilities: Mapping[str, Json] | None = None) -> Namespace:
        """Make a pod, as kubelet and a runtime do."""
        net = self.fabric.add_namespace(f"pod/default/{name}")
        call = self.call(node, name, capabilities)
        cni.add(cni.LOOPBACK, attrs.evolve(call, ifname="lo"))
        self.addresses[name] = cni.add(self.config(node), call).addresses_of("eth0")[0].address
        return net

    # --- looking ---

    def show(self, net: Namespace, *argv: str) -> str:
        """Return what a command prints."""
        return commands.execute(net, argv)

    def rules(self, node: str, table: str) -> list[str]:
        """Return the rules of a table, as iptables-save has them."""
        text = commands.execute(self.node(node), ["iptables-save", "-t", table])
        return [line for line in text.splitlines() if line.startswith("-A ")]

    def run(self, net: Namespace, running: Program[T]) -> T:
        """Run a program to its end."""
        process = self.fabric.spawn(net, running)
        for _ in range(60):
            if process.done:
                break
            self.fabric.loop.run_until(later(self.fabric.loop.now, SECOND))
        return process.result

    def ping(self, net: Namespace, dst: IpAddress) -> Echo:
        """Ask `dst` for an echo."""
        return self.run(net, ping(dst))[0]

    def who_asks(self, client: Namespace, server: Namespace, dst: IpAddress, port: int = PORT) -> str:
        """Return the address that `server` sees when `client` sends it a datagram by `dst`."""
        self.fabric.spawn(server, _tell(PORT))
        return self.run(client, _ask(dst, port))

    def who_connects(self, client: Namespace, server: Namespace, dst: IpAddress, port: int = PORT) -> str:
        """Return the address that `server` sees when `client` connects to it by `dst`."""
        self.fabric.spawn(server, _accept(PORT))
        return self.run(client, _connect(dst, port))


def _tell(port: int) -> Program[None]:
    socket = yield from program.socket(SocketKind.UDP)
    yield from program.bind(socket, IpAddress(bytes(4)), port)
    datagram = yield from program.receive_from(socket)
    yield from program.send_to(socket, str(datagram.address).encode(), datagram.address, datagram.port)
    yield from program.close(socket)


def _ask(dst: IpAddress, port: int) -> Program[str]:
    socket = yield from program.socket(SocketKind.UDP)
    yield from program.connect(socket, dst, port)
    yield from program.send(socket, b"who am I?")
    answer = yield from program.receive(socket, timeout=5 * SECOND)
    yield from program.close(socket)
    return answer.decode()


def _accept(port: int) -> Program[None]:
    socket = yield from program.socket(SocketKind.TCP)
    yield from program.bind(socket, IpAddress(bytes(4)), port)
    yield from program.listen(socket)
    connection = yield from program.accept(socket)
    yield from program.send(connection, str(connection.remote).encode())
    yield from program.close(connection)
    yield from program.close(socket)


def _connect(dst: IpAddress, port: int) -> Program[str]:
    socket = yield from program.socket(SocketKind.TCP)
    yield from program.connect(socket, dst, port, timeout=5 * SECOND)
    answer = yield from program.receive(socket, timeout=5 * SECOND)
    yield from program.close(socket)
    return answer.decode()
