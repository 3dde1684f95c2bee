# SPDX-License-Identifier: GPL-2.0-only
"""Announcement in layer 2, as MetalLB does it: one node answers ARP for an address that no node has.

On every node a speaker listens to ARP with a packet socket. Of those that may
announce an address the first one does, in an order that depends on the node's
name and the address alone; it answers requests by itself, the kernel knows
nothing of the address. kube-proxy's rules then take what comes. Who takes an
address over tells all neighbours, so that they forget who had it before.

    candidates = nodes with a speaker that lives, and a ready endpoint where the policy is Local
    first      = the least SHA-256 of "NODE#ADDRESS"; nobody, if the Service has no ready endpoint

Source: metallb, speaker/layer2_controller.go, internal/layer2/arp.go, announcer.go.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from emu.errors import HeaderError
from emu.fabric import program
from emu.kernel import packet
from emu.kernel.sockets import SocketKind
from emu.kube import events
from emu.kube.api.objects import EndpointSlice, Service
from emu.sim.time import MILLISECOND, SECOND, later
from emu.wire import arp, ethernet
from emu.wire.addresses import BROADCAST_MAC, IpAddress
from emu.wire.arp import REPLY, REQUEST, Arp

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from emu.fabric.driver import Fabric
    from emu.fabric.process import Process
    from emu.fabric.program import Program
    from emu.kernel.namespace import Namespace
    from emu.kube.api.store import Store
    from emu.kube.controller import Key
    from emu.kube.kubelet.machine import Machine
    from emu.kube.loadbalancers.settings import LoadBalancerSpec
    from emu.sim.time import Duration

IFACE: Final = "eth0"
COMPONENT: Final = "metallb-speaker"

DETECTION: Final[Duration] = 5 * SECOND
"""How long the other speakers take to know that one has gone, in a small cluster.

memberlist asks once a second, and suspects a silent member for 4 s before it is
dead. Source: hashicorp/memberlist, config.go `DefaultLANConfig`.
"""

_GRATUITOUS_EVERY: Final[Duration] = 1100 * MILLISECOND
_GRATUITOUS_FOR: Final[Duration] = 5 * SECOND


def announcer(address: IpAddress, candidates: Iterable[str]) -> str | None:
    """Return the node that announces `address`, None if there is none to do it."""
    return min(
        candidates, key=lambda node: hashlib.sha256(f"{node}#{address}".encode()).digest(), default=None
    )


def candidates(service: Service, slices: Iterable[EndpointSlice], speakers: Iterable[str]) -> tuple[str, ...]:
    """Return the nodes that may announce the address of a Service.

    Args:
        service: whose address it is.
        slices: of the Service.
        speakers: nodes whose speakers live.
    """
    places = {
        endpoint.node_name
        for each in slices
        for endpoint in each.endpoints
        if endpoint.conditions.ready is not False
    }
    if not places:
        return ()
    is_local = service.spec.external_traffic_policy == "Local"
    return tuple(node for node in speakers if not is_local or node in places)


def answer(device: str, addresses: Callable[[], Collection[IpAddress]]) -> Program[None]:
    """Answer requests of ARP for ever.

    Args:
        device: where to listen.
        addresses: gives those to answer for, whenever somebody asks.
    """
    socket = yield from program.socket(SocketKind.PACKET)
    yield from program.call(lambda net: packet.bind(net, socket, device, ethernet.ARP))
    while True:  # nothing is kept in a name: waiting again it is what it was
        yield from program.call(
            partial(
                _reply,
                device=device,
                octets=(yield from program.receive_from(socket, repeats=True)).data,
                addresses=addresses(),
            )
        )


def _reply(net: Namespace, device: str, octets: bytes, addresses: Collection[IpAddress]) -> None:
    own = net.device(device).mac
    if octets[:6] not in {bytes(own), bytes(BROADCAST_MAC)}:
        return
    try:
        asked = Arp.parse(octets[ethernet.HEADER_LENGTH :])
    except HeaderError:
        return
    if asked.operation != REQUEST or asked.target_ip not in addresses:
        return
    found = Arp(REPLY, own, asked.target_ip, asked.sender_mac, asked.sender_ip)
    packet.send(net, device, ethernet.header(asked.sender_mac, own, ethernet.ARP) + arp.build(*found))


def announce(net: Namespace, device: str, address: IpAddress) -> None:
    """Tell all neighbours who has `address` now: by a request and by a reply, for some hear only one."""
    own = net.device(device).mac
    for operation in (REQUEST, REPLY):
        told = Arp(operation, own, address, BROADCAST_MAC, address)
        packet.send(net, device, ethernet.header(BROADCAST_MAC, own, ethernet.ARP) + arp.build(*told))


class Speakers:
    """The speakers of all nodes.

    Args:
        fabric: where the nodes are.
        store: where Services and endpoints are.
        spec: what was said of them.

    Attributes:
        announced: the node of each address.
    """

    is_still: ClassVar[bool] = True

    def __init__(self, fabric: Fabric, store: Store, spec: LoadBalancerSpec) -> None:
        self.spec = spec
        self.announced: dict[IpAddress, str] = {}
        self._fabric = fabric
        self._store = store
        self._machines: dict[str, Machine] = {}
        self._processes: dict[str, Process[None]] = {}
        self._alive: set[str] = set()
        self._eligible: tuple[str, ...] = ()
        self._services: dict[IpAddress, Key] = {}

    def start(self, machine: Machine) -> None:
        """Start the speaker of a node, or hear of it again."""
        if machine.name not in self._processes:
            self._machines[machine.name] = machine
            found = self._fabric.spawn(machine.net, answer(IFACE, lambda: self._of(machine.name)))
            self._processes[machine.name] = found
        self._alive.add(machine.name)
        self.elect()

    def lose(self, name: str) -> None:
        """Have the others notice after a while that a node is silent."""
        self._alive.discard(name)
        self._fabric.loop.after(DETECTION, self.elect)

    def follow(self, services: Mapping[IpAddress, Key], eligible: Iterable[str]) -> None:
        """Announce these addresses, of these Services, from these nodes."""
        self._services, self._eligible = dict(services), tuple(eligible)
        self.elect()

    def elect(self) -> None:
        """See who announces each address; whoever is new tells the neighbours."""
        for address in [each for each in self.announced if each not in self._services]:
            del self.announced[address]
        for address, key in self._services.items():
            service = self._store.find(Service, key.name, key.namespace)
            if service is None:
                continue
            slices = [
                each for each in self._store.list(EndpointSlice, key.namespace) if each.service == key.name
            ]
            living = [each for each in self._eligible if each in self._alive]
            node = announcer(address, candidates(service, slices, living))
            if node is None:
                self.announced.pop(address, None)
            elif self.announced.get(address) != node:
                self.announced[address] = node
                words = f'announcing from node "{node}" with protocol "layer2"'
                events.record(self._store, service, events.NORMAL, "nodeAssigned", words, COMPONENT)
                if self.spec.gratuitous:
                    self._tell(node, address, 0)

    def _of(self, node: str) -> list[IpAddress]:
        return [address for address, owner in self.announced.items() if owner == node]

    def _tell(self, node: str, address: IpAddress, since: Duration) -> None:
        """Announce an address, and again until some seconds are over."""
        if self.announced.get(address) != node:
            return
        net = self._machines[node].net
        self._fabric.call(net, lambda it: announce(it, IFACE, address))
        if since + _GRATUITOUS_EVERY < _GRATUITOUS_FOR:
            loop = self._fabric.loop
            due = later(loop.now, _GRATUITOUS_EVERY)
            loop.periodic_at(due, self._tell, node, address, since + _GRATUITOUS_EVERY)
