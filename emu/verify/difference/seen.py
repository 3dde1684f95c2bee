# SPDX-License-Identifier: GPL-2.0-only
"""By what kind of address a server sees who asks it.

Kinds are compared and not addresses: pods have others under another provider.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

import attrs

from emu.verify.verdict import Result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.cluster.cluster import Cluster
    from emu.kernel.link.device import Device
    from emu.verify.verdict import Outcome, Verdict
    from emu.wire.addresses import IpAddress

_CARDS: Final = ("eth", "lo")


class Kind(enum.Enum):
    """Whose address it is."""

    CLIENT = "client"  # who asks has it
    NODE = "node"  # on a card of any node
    GATEWAY = "gateway"  # of a node, too, but among pods: on a bridge, a pod's cable, a tunnel
    OTHER = "another"


@attrs.frozen
class Owners:
    """Who has which address in a cluster.

    Attributes:
        of: kinds of the nodes' addresses.
        takes_datagrams: whether programs of nodes take what is sent to Services, and ask on.
    """

    of: Mapping[IpAddress, Kind]
    takes_datagrams: bool = False

    def kinds(self, verdict: Verdict) -> tuple[str, ...]:
        """Return how those see the client who answer it, on any branch of chance, in words, sorted."""
        found = (self._kind(one) for one in verdict.outcomes if one.result is Result.DELIVERED)
        return tuple(sorted({kind.value for kind in found if kind is not None}))

    def _kind(self, outcome: Outcome) -> Kind | None:
        request, arrival = outcome.story.request, outcome.arrival
        if request is None or arrival is None:
            return None
        if self._is_taken(outcome):
            return Kind.NODE
        kind = self.of.get(arrival.source, Kind.OTHER)
        is_own = arrival.source == request.tuples[0].src and kind is not Kind.GATEWAY
        return Kind.CLIENT if is_own else kind

    def _is_taken(self, outcome: Outcome) -> bool:
        """Return whether the story ends at a node's proxy: which datagrams it sends on nobody can tell."""
        if outcome.arrival is None or not self.takes_datagrams:
            return False
        return outcome.dnat and len(outcome.story.legs) == 1 and outcome.arrival.pod is None


def owners(cluster: Cluster) -> Owners:
    """Return who has which address."""
    spec = cluster.topology.cluster
    found = {
        own.address: _of_device(device)
        for machine in cluster.machines.values()
        for device in machine.net.devices.values()
        for own in device.addresses
        if own.address not in spec.service_cidr  # of Services: the device only says that they are here
    }
    return Owners(found, takes_datagrams=spec.proxy.mode == "userspace")


def _of_device(device: Device) -> Kind:
    return Kind.NODE if device.name.startswith(_CARDS) else Kind.GATEWAY
