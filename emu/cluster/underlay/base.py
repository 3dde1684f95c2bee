# SPDX-License-Identifier: GPL-2.0-only
"""What an underlay offers to whoever uses one: the control plane, load balancers, routing daemons.

There are several kinds (`lay` says which a cluster gets), and users know this
class alone. All of them are machines in the one fabric, so whatever this class
has no method for can be done as on a real network: look into the namespaces.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from emu.cluster.underlay.names import is_underlay
from emu.cluster.underlay.wiring import Wiring
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.fabric.driver import Fabric
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kube.providers import NodeInterface
    from emu.wire.addresses import Interface, IpAddress

EVERYWHERE: Final = Prefix.parse("0.0.0.0/0")


class Underlay(ABC):
    """The network between the machines.

    Attributes:
        fabric: where it is built.
        wiring: what it is built with.
        warnings: what of its documents leads to nothing, a line each.
    """

    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric
        self.wiring = Wiring(fabric)
        self.warnings: list[str] = []

    # --- what hangs on it ---

    @abstractmethod
    def attach(self, net: Namespace, devices: Sequence[tuple[Interface, ...]], *, name: str = "") -> None:
        """Give a machine among the nodes its devices `eth0`, `eth1`, ... and its default route.

        Nodes are attached so, and what else stands in their subnets: a load
        balancer is `fabric.add_namespace("lb/NAME")` and an address in a node's
        subnet, which `free_address` knows.

        Args:
            net: new; its loopback is taken up, too.
            devices: the addresses of each, one at least. The subnet of the
                first is where its default gateway is.
            name: by which documents call the machine (`worker-1`), so that their
                links are followed; for what no document names it is empty.
        """

    @abstractmethod
    def attach_outside(self, net: Namespace, address: IpAddress, *, iface: str = "eth0") -> Device:
        """Give a machine a device outside, where clients of the cluster are, and return it.

        The underlay gets the way to `address`. The machine gets a default route
        through the device if it has none yet: a load balancer with one leg
        among the nodes and one outside has both by `attach` and this.
        """

    def add_external(self, name: str, address: IpAddress) -> Namespace:
        """Make the host `ext/NAME` outside, with one address."""
        net = self.wiring.host(f"ext/{name}")
        self.attach_outside(net, address)
        return net

    @abstractmethod
    def free_address(self, segment: Prefix) -> IpAddress:
        """Return an address of a node subnet that no machine has, the highest one, and keep it taken."""

    def interfaces_of(self, net: Namespace) -> tuple[NodeInterface, ...]:  # noqa: ARG002 - those that have none
        """Return the interfaces that a cloud gave a machine; none where there is no cloud."""
        return ()

    @property
    def ranges(self) -> tuple[Prefix, ...]:
        """The addresses of a cloud's network; none where there is no cloud."""
        return ()

    @property
    def public(self) -> Mapping[IpAddress, IpAddress]:
        """The private address of each public one that a cloud translates; none where there is no cloud."""
        return {}

    def attach_resolver(self) -> tuple[Namespace, IpAddress] | None:
        """Make the network's own name server, and return it and its address; None if it has none."""
        return None

    # --- ways ---

    @abstractmethod
    def announce(self, speaker: IpAddress, prefixes: Sequence[Prefix]) -> None:
        """Let the routers send what is for `prefixes` to the machine with the address `speaker`.

        This is what a BGP session to the routers would tell them: what the
        speaker had announced before and does not now, they forget. A prefix may
        be a node's pod CIDR, its blocks, a single address that moves from node
        to node, or a load balancer's virtual one. Networks that routers have
        themselves, they keep.
        """

    @property
    @abstractmethod
    def gateways(self) -> Mapping[Prefix, IpAddress]:
        """The default gateway of machines in each subnet of the nodes."""

    # --- faults ---

    def cut(self, net: Namespace) -> None:
        """Let all cables between `net` and the underlay carry nothing, as those of a machine without power.

        No device is taken down: what leads to the machine stays where it was.
        """
        self._set_dead(net, is_dead=True)

    def mend(self, net: Namespace) -> None:
        """Let them carry again, but for those that are unplugged."""
        self._set_dead(net, is_dead=False)

    def _set_dead(self, net: Namespace, *, is_dead: bool) -> None:
        for iface in list(net.devices):
            end = self.fabric.far_end(net, iface)
            if end is not None and is_underlay(end[0].name):
                name = f"{net.name}:{iface} - {end[0].name}:{end[1]}"
                cable = self.fabric.own_cable(net, iface, name)
                cable.is_dead = is_dead
                self.fabric.follow(cable)
