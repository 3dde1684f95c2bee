# SPDX-License-Identifier: GPL-2.0-only
"""That a node's virtual server lets the packets of the questions pass: it is about other addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.verify.likeness.doubt import Doubt
from emu.verify.likeness.packets import meet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.ipvs.virtual import ServiceKey
    from emu.verify.likeness.packets import Sort
    from emu.verify.likeness.universe import Universe

_ANY_PORT: Final = 0


def check(net: Namespace, universe: Universe, sorts: Sequence[Sort]) -> None:
    """Return if no packet is for a virtual service, or of a connection to one.

    Raises:
        Doubt: one may be.
    """
    ipvs = net.netfilter.ipvs
    if not ipvs.is_enabled:
        return
    if len(ipvs.connections):
        raise Doubt("there are connections to virtual services")
    if net.sysctl.number("net.ipv4.vs.nat_icmp_send"):
        raise Doubt("IPVS answers for destinations")
    for service in ipvs.services:
        if service.key.mark or any(_may_be_for(service.key, universe, sort) for sort in sorts):
            raise Doubt(f"the virtual service {service.key} is at an address of theirs")


def _may_be_for(key: ServiceKey, universe: Universe, sort: Sort) -> bool:
    if key.protocol != sort.protocol:
        return False
    if key.port != _ANY_PORT and not meet(sort.dports, ((key.port, key.port),)):
        return False
    number = int(key.address)
    there = universe.between(number, number)
    return bool(there.pods & sort.targets.pods or there.machines & sort.targets.machines)
