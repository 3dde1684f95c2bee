# SPDX-License-Identifier: GPL-2.0-only
"""Whose an address is, on which node a namespace is, and whose doing a step was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.verify.causes.objects import origin_of

if TYPE_CHECKING:
    from emu.cluster.emulation import Emulation
    from emu.observe.recording import Step
    from emu.verify.causes.origin import Origin
    from emu.verify.verdict import Outcome, Verdict
    from emu.wire.addresses import IpAddress


@attrs.define(eq=False)
class Places:
    """What is known of the network that a question was asked of.

    Args:
        network: it is only looked at; None where nothing but the verdict is at hand.
    """

    network: Emulation | None = None
    _owners: dict[IpAddress, str] | None = attrs.field(default=None, init=False)

    def owner(self, address: IpAddress) -> str:
        """Return the namespace that has `address`, the address itself if none has."""
        if self._owners is None:
            self._owners = {}
            namespaces = () if self.network is None else self.network.fabric.namespaces.values()
            for net in namespaces:
                for device in net.devices.values():
                    self._owners.update((own.address, net.name) for own in device.addresses)
        return self._owners.get(address) or str(address)

    def node(self, net: str) -> str | None:
        """Return the node that a namespace is on, None if there is none."""
        return None if self.network is None else self.network.owners(net)[1]

    def origin(self, step: Step) -> Origin | None:
        """Return the object that a step is owed to, None if it is nobody's in particular."""
        return None if self.network is None else origin_of(self.network, step)

    def object(self, step: Step) -> str | None:
        """Return the object that a step is owed to as `KIND NS/NAME`, None if it is nobody's."""
        origin = self.origin(step)
        return None if origin is None else origin.object

    def endpoint(self, outcome: Outcome) -> str:
        """Return who was picked to answer on a branch; empty if nobody had to be picked."""
        request = outcome.story.request
        if (outcome.dnat or outcome.story.onward is not None) and outcome.arrival is not None:
            return outcome.arrival.pod or outcome.arrival.net
        if request is None or request.tuples[0].dst == request.tuples[-1].dst:
            return ""
        return self.owner(request.tuples[-1].dst)

    def vicinity(self, verdict: Verdict, outcome: Outcome) -> str:
        """Return where the end point of a branch is, seen from who asked; empty if that is not known."""
        arrival = outcome.arrival
        picked = self.endpoint(outcome)
        there = arrival.node if arrival is not None else self.node(picked) if picked else None
        if there is None:
            return ""
        if verdict.source.namespace in {picked, arrival.net if arrival is not None else ""}:
            return "client itself"
        here = self.node(verdict.source.namespace)
        return "same node as client" if there == here else f"on {there}"
