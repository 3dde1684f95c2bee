# SPDX-License-Identifier: GPL-2.0-only
"""The network provider's daemons: on every node one, all with the same eye on the Nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.errors import AddressError
from emu.kube.api.objects import Node
from emu.kube.controller import Key, Queue
from emu.kube.providers import Calico, NodeNetwork, Written, apply, look_after
from emu.kube.providers.flannel import Flannel
from emu.wire.addresses import IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.cluster.underlay import Underlay
    from emu.fabric.driver import Fabric
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kube.api.store import Change, Store
    from emu.kube.kubelet.machine import Machine
    from emu.kube.providers import Provider

_ALL: Key = Key("", "")


class Daemons:
    """Writes what the provider wants on each node, whenever the Nodes have changed.

    Attributes:
        complaints: what kernels refused the last time, by node.
        iface: the device of a node that they send by; empty for the one that they find themselves.
        underlay: what the nodes hang on, which may give them interfaces.
    """

    def __init__(
        self,
        fabric: Fabric,
        store: Store,
        provider: Provider,
        cluster_cidr: Prefix,
        ready: Callable[[Machine], None],
    ) -> None:
        self.complaints: dict[str, tuple[str, ...]] = {}
        self.underlay: Underlay | None = None
        self._fabric = fabric
        self._store = store
        self._provider = provider
        self._cluster_cidr = cluster_cidr
        self._ready = ready
        self.iface = ""
        self._machines: dict[str, tuple[Machine, Prefix]] = {}
        self._written: dict[str, Written] = {}
        self._queue = Queue(store, self)
        store.watch(Node, self._hear)
        if isinstance(provider, Calico):
            provider.watch(lambda: self._queue.add(_ALL))

    def start(self, machine: Machine, segment: Prefix) -> None:
        """Start the daemon of a node whose InternalIP is in `segment`."""
        self._machines[machine.name] = machine, segment
        self._queue.add(_ALL)

    def stop(self, name: str) -> None:
        """End the daemon of a node; what it wrote stays."""
        self._machines.pop(name, None)
        self._written.pop(name, None)
        if isinstance(self._provider, Calico):
            self._provider.forget(name)
        self._queue.add(_ALL)

    def forget(self, name: str) -> None:
        """Take what was written on a node as gone, with all that its kernel knew."""
        self._written.pop(name, None)

    def look_again(self) -> None:
        """Have all nodes looked at once more."""
        self._queue.add(_ALL)

    def look_after(self, name: str) -> None:
        """Put back the rules of a node where others have taken them away, or come before them."""
        written, known = self._written.get(name), self._machines.get(name)
        if written is not None and known is not None and known[0].is_up:
            look_after(known[0].net, written)

    def _hear(self, change: Change) -> None:
        old, new = change
        if isinstance(old, Node) and isinstance(new, Node) and _network_of(old) == _network_of(new):
            return
        self._queue.add(_ALL)

    def reconcile(self, _: Key) -> None:
        """Make all nodes as the provider wants them."""
        nodes = [
            self._network(node) for node in self._store.each(Node) if node.metadata.name in self._machines
        ]
        networks = [each for each in nodes if each is not None]
        for network in networks:
            machine, _segment = self._machines[network.name]
            if not machine.is_up:
                continue
            written = self._provider.configure(network, networks)
            before = self._written.get(network.name, Written())
            self.complaints[network.name] = apply(
                self._fabric, machine.net, before, written, disk=machine.disk
            )
            self._written[network.name] = written
            announced = written.announced
            if self.underlay is not None and announced is not None and announced != before.announced:
                self.underlay.announce(self._speaker(network), announced)
            machine.keep_sysctls()
            self._annotate(network.name, written)
            if machine.network != written.config:
                machine.network = written.config
                self._ready(machine)

    def _network(self, node: Node) -> NodeNetwork | None:
        machine, segment = self._machines[node.metadata.name]
        internal = next(iter(node.addresses("InternalIP")), "")
        try:
            address = IpAddress.parse(internal)
        except AddressError:
            return None
        device, address, segment = self._way_out(machine.net, address, segment)
        return NodeNetwork(
            node.metadata.name,
            address,
            node.spec.pod_cidrs,
            self._cluster_cidr,
            device.name,
            device.mtu,
            segment,
            node.metadata.annotations,
            () if self.underlay is None else self.underlay.interfaces_of(machine.net),
            () if self.underlay is None else self.underlay.ranges,
            None if self.underlay is None else self.underlay.gateways.get(segment),
        )

    def _speaker(self, network: NodeNetwork) -> IpAddress:
        """Return the address by which routers reach a node: its InternalIP, whatever its daemon goes by."""
        internal = self._store.get(Node, network.name).addresses("InternalIP")
        return IpAddress.parse(internal[0]) if internal else network.internal_ip

    def _way_out(
        self, net: Namespace, internal: IpAddress, segment: Prefix
    ) -> tuple[Device, IpAddress, Prefix]:
        """Return the device that the daemon sends by, the address that it tells the others, and its subnet.

        Daemons go by the InternalIP; flannel goes by the device of the default
        route, unless it is told another (`--iface`).
        """
        if not self.iface and not isinstance(self._provider, Flannel):
            owner = next((each for each in net.devices.values() if _has(each, internal)), None)
            return owner or net.devices["eth0"], internal, segment
        device = net.devices.get(self.iface or _of_default_route(net))
        if device is None or not device.addresses:
            return net.devices["eth0"], internal, segment
        if _has(device, internal):
            return device, internal, segment
        own = device.addresses[0]
        return device, own.address, own.prefix

    def _annotate(self, name: str, written: Written) -> None:
        node = self._store.find(Node, name)
        if node is None or written.annotations.items() <= node.metadata.annotations.items():
            return
        annotations = {**node.metadata.annotations, **written.annotations}
        self._store.put(attrs.evolve(node, metadata=attrs.evolve(node.metadata, annotations=annotations)))


def _network_of(node: Node) -> tuple[object, ...]:
    """Return what of a Node the daemons act on."""
    return node.addresses("InternalIP"), node.spec.pod_cidrs


def _has(device: Device, address: IpAddress) -> bool:
    return any(each.address == address for each in device.addresses)


def _of_default_route(net: Namespace) -> str:
    """Return the device of a node's default route; `eth0` if it has none."""
    defaults = (route for route in net.fib.routes() if not route.dst.length and route.nexthops)
    return next((route.nexthops[0].device for route in defaults), "eth0")
