# SPDX-License-Identifier: GPL-2.0-only
"""What is set in a namespace, as values that can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.fib import Fib
from emu.kernel.link.bridge import Bridge
from emu.kernel.link.ipip import Ipip
from emu.kernel.link.vxlan import Vxlan
from emu.sim.time import START
from emu.verify.likeness.doubt import Doubt

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from emu.fabric.cable import Cable
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.sim.time import Instant


class Settings:
    """Tells what is set. Equal tables of settings are mostly one object, and told once.

    Args:
        now: the instant.
    """

    def __init__(self, now: Instant) -> None:
        self._now = now
        self._known: dict[int, tuple[Mapping[str, object], int]] = {}
        self._numbers: dict[Hashable, int] = {}

    def table(self, values: Mapping[str, object]) -> int:
        """Return a number that stands for what is in a table."""
        known = self._known.get(id(values))
        if known is None or known[0] is not values:
            number = self._numbers.setdefault(tuple(sorted(values.items())), len(self._numbers))
            self._known[id(values)] = known = values, number
        return known[1]

    def of_namespace(self, net: Namespace) -> Hashable:
        """Return what counts for a namespace as a whole.

        Raises:
            Doubt: it does something that is not understood.
        """
        if net.unseen:
            raise Doubt("there are rules that are not modelled")
        if net.fib.has_custom_local_routes or net.fib.rules != _RULES:
            raise Doubt("there are routing rules")
        if vars(net).get("exceptions"):
            raise Doubt("paths have MTUs or gateways of their own")
        limits = vars(net).get("icmp_limits")
        if limits is not None and not limits.are_rested(self._now):
            raise Doubt("it complained a short while ago")
        sysctl = net.sysctl
        tables = (sysctl.values, sysctl.conf["all"], sysctl.conf["lo"], sysctl.conf["default"])
        loopback = net.loopback
        return net.has_sctp, loopback.up, loopback.mtu, *(self.table(each) for each in tables)

    def of_device(self, net: Namespace, device: Device) -> Hashable:
        """Return what counts for a device, its addresses left out.

        Raises:
            Doubt: a filter stands there, or it spoils what it sends.
        """
        if device.spoils_tunnels:
            raise Doubt(f"{device.name} spoils checksums")
        if any(guard.device in {"", device.name} for guard in net.guards):
            raise Doubt(f"a filter stands at {device.name} of {net.name}")
        port = device.port
        if port is None:
            place: Hashable = None
        else:
            flags = port.hairpin, port.learning, port.flood, port.mcast_flood, port.bcast_flood, port.isolated
            place = port.bridge.name, flags, port.state
        tables = self.table(device.conf), self.table(net.sysctl.neigh[device.name])
        return (
            device.link.kind,
            device.mtu,
            device.up,
            device.carrier,
            device.arp,
            place,
            tables,
            _link(device),
        )


_RULES: Final = Fib().rules
"""The routing rules that every namespace has."""


def _link(device: Device) -> Hashable:
    """Return what counts for the kind of a device.

    Raises:
        Doubt: it does something that is not understood.
    """
    link = device.link
    match link:
        case Bridge():
            if any(entry.by_user for entry in link.fdb.entries(START)):
                raise Doubt(f"the bridge {device.name} was told who is where")
            return link.group_fwd_mask, link.fdb.ageing_time
        case Vxlan():
            return (
                *(link.vni, link.device, link.dstport, link.learning, link.udpcsum, link.ttl),
                *(link.ttl_inherit, link.tos, link.tos_inherit, link.df, link.source_ports),
            )
        case Ipip():
            return link.device, link.ttl, link.tos, link.tos_inherit, link.pmtudisc
        case _ if link.kind in {"", "veth", "dummy"}:
            return None
        case _:
            raise Doubt(f"the device {device.name} is a {link.kind}")


def cable(found: Cable | None) -> Hashable:
    """Return what counts for a cable.

    Raises:
        Doubt: it counts frames.
    """
    if found is None:
        return None
    if found.faults.drop_nth or found.faults.drop_every:
        raise Doubt(f"{found.name} drops frames by their number")
    return (
        *(found.latency, found.jitter, found.bandwidth, found.queue, found.mtu),
        *(found.faults, found.is_dark),
    )
