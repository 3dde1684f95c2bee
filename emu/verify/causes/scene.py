# SPDX-License-Identifier: GPL-2.0-only
"""The packet whose end has to be explained, and all that is known around it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import attrs

from emu.observe.recording import Kind
from emu.verify.causes.index import index_of
from emu.verify.causes.origin import store_of

if TYPE_CHECKING:
    from emu.cluster.emulation import Emulation
    from emu.kernel.namespace import Namespace
    from emu.kube.api.objects import Service
    from emu.kube.api.store import Store
    from emu.observe.recording import Step
    from emu.verify.endpoint import Source, Target
    from emu.verify.exchange import Exchange
    from emu.verify.fivetuple import FiveTuple
    from emu.verify.story import Packet, Story, Way
    from emu.wire.addresses import IpAddress


@attrs.frozen(slots=False)
class Scene:
    """A packet that ended, and where.

    Attributes:
        network: as the packets left it.
        exchange: all that was told.
        story: the first packets of it.
        source: who asked.
        target: whom.
        packet: the one that ended.
        way: which half it belongs to.
    """

    network: Emulation
    exchange: Exchange
    story: Story
    source: Source
    target: Target
    packet: Packet
    way: Way

    @property
    def end(self) -> Step:
        """The packet's last step."""
        return self.packet.end.step

    @property
    def before(self) -> Step:
        """The step before its last one; the last one if there is but one."""
        return self.packet.line[-2].step if len(self.packet.line) > 1 else self.end

    @property
    def net(self) -> Namespace:
        """Where it ended."""
        return self.network.fabric.namespace(self.end.net)

    @property
    def there(self) -> FiveTuple:
        """Between whom it travelled at its end."""
        return self.packet.tuples[-1]

    @property
    def steps(self) -> list[Step]:
        """The steps of the copy that matters."""
        return [one.step for one in self.packet.line]

    @cached_property
    def store(self) -> Store | None:
        """The objects of a cluster, None of a network."""
        return store_of(self.network)

    @cached_property
    def device(self) -> str:
        """The device where it ended, or the last one that it passed in that namespace; empty for none."""
        end = self.end
        passed = (step.device for step in reversed(self.steps) if step.net == end.net and step.device)
        return end.device or next(passed, "")

    @cached_property
    def decision(self) -> Step | None:
        """The last step within a chain since the packet passed a tap: what netfilter decided by."""
        for step in reversed(self.steps[:-1]):
            if step.kind is not Kind.NOTE or step.chain is not None:
                return step if step.chain is not None else None
        return None

    def service(self, namespace: str, name: str) -> Service | None:
        """Return a Service, None if there is none, or no objects at all."""
        if self.store is None:
            return None
        from emu.kube.api.objects import Service  # noqa: PLC0415 - a network has none

        return self.store.find(Service, name, namespace)

    def owner(self, address: IpAddress) -> str:
        """Return whose `address` is, as people call him; the address itself if it is nobody's."""
        pod = "" if self.store is None else index_of(self.store).pod_at(str(address))
        if pod:
            return f"Pod {pod}"
        nets = self.owners(address)
        return called(self.network, nets[0]) if len(nets) == 1 else str(address)

    def owners(self, address: IpAddress) -> list[str]:
        """Return the namespaces that have `address`."""
        return [
            net.name
            for net in self.network.fabric.namespaces.values()
            if any(own.address == address for device in net.devices.values() for own in device.addresses)
        ]


def called(network: Emulation, net: str) -> str:
    """Return what a namespace is to people: `Pod NS/NAME`, `Node NAME`, else its own name."""
    pod, node = network.owners(net)
    if pod is not None:
        return f"Pod {pod}"
    return net if node is None else f"Node {node}"
