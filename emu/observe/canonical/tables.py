# SPDX-License-Identifier: GPL-2.0-only
"""The tables of a namespace as plain values, in the order in which they compare.

What passes by itself (which of several states a resolved neighbour is in) is
folded together; so are values that are only there to be the default.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from emu.kernel.fib import PROTOCOL_BOOT, PROTOCOL_KERNEL, PROTOCOL_STATIC, TABLE_MAIN, RouteType, Scope
from emu.kernel.link.bridge import Bridge
from emu.kernel.link.fdb import FdbState
from emu.kernel.link.vxlan import Vxlan
from emu.kernel.nud import Nud

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from emu.kernel.fib import Route
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace

Row = dict[str, Any]
"""One entry of a table: JSON's own types."""

Tables = dict[str, Any]
"""The tables of one namespace by their kind: rows, but for the kind `iptables`."""

_NUD: Final = {
    Nud.REACHABLE: "resolved",
    Nud.STALE: "resolved",
    Nud.DELAY: "resolved",
    Nud.PROBE: "resolved",
    Nud.FAILED: "failed",
    Nud.INCOMPLETE: "failed",
    Nud.PERMANENT: "permanent",
}
_PROTOCOLS: Final = {PROTOCOL_KERNEL: "kernel", PROTOCOL_STATIC: "static"}
_FDB: Final = {FdbState.PERMANENT: "permanent", FdbState.STATIC: "static", FdbState.DYNAMIC: "dynamic"}


def dump(
    net: Namespace,
    *,
    conntrack: bool = False,
    iptables: bool = False,
    known_ports: Collection[int] | None = None,
) -> Tables:
    """Return the tables of `net` as they are now.

    Args:
        net: the namespace.
        conntrack: the connections belong to the dump.
        iptables: the rules of iptables do.
        known_ports: ports and ICMP identifiers of connections that are not drawn at
            random; None if none is.
    """
    found: Tables = {}
    if conntrack:
        from emu.observe.canonical.connections import connections  # noqa: PLC0415 - few runs need it

        entries = net.netfilter.conntrack.entries(net.now)
        found["conntrack"] = connections(entries, net.now, known_ports=known_ports)
    if iptables:
        from emu.observe.canonical.rules import rules  # noqa: PLC0415 - few runs need it

        found["iptables"] = rules(net.netfilter.tables)
    bridging = any(isinstance(device.link, Bridge | Vxlan) for device in net.devices.values())
    if bridging:
        found["fdb"] = _sorted(_fdb(net))
    found["neigh"] = _sorted(_neighbours(net))
    found["route"] = _sorted(_route(route) for route in net.fib.routes(TABLE_MAIN))
    found["addr"] = sorted(
        (_device(device) for device in net.devices.values()), key=lambda row: str(row["dev"])
    )
    return found


def _sorted(rows: Iterator[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


def _neighbours(net: Namespace) -> Iterator[Row]:
    for entry in net.neighbours:
        if entry.state in _NUD:
            row = {"ip": str(entry.ip), "dev": entry.device, "state": _NUD[entry.state]}
            if entry.is_valid:
                row["mac"] = str(entry.mac)
            yield row


def _fdb(net: Namespace) -> Iterator[Row]:
    for device in net.devices.values():
        if isinstance(device.link, Bridge):
            for entry in device.link.fdb.entries(net.now):
                name = entry.port.name if entry.port is not None else device.name
                if not entry.mac.is_group:
                    yield {
                        "mac": str(entry.mac),
                        "dev": name,
                        "state": _FDB[entry.state],
                        "master": device.name,
                    }
        elif isinstance(device.link, Vxlan):
            for remote in device.link.fdb.entries(net.now):
                for end in remote.remotes:
                    if not remote.mac.is_group:
                        yield {
                            "mac": str(remote.mac),
                            "dev": device.name,
                            "state": _FDB[remote.state],
                            "dst": str(end.dst),
                        }


def _route(route: Route) -> Row:
    row: Row = {}
    if route.type is not RouteType.UNICAST:
        row["type"] = route.type.value
    row["dst"] = _destination(route)
    if len(route.nexthops) == 1:
        hop = route.nexthops[0]
        if hop.gateway is not None:
            row["gateway"] = str(hop.gateway)
        if hop.device:
            row["dev"] = hop.device
    if route.scope is not Scope.GLOBAL:
        row["scope"] = route.scope.name.lower()
    if route.prefsrc is not None:
        row["prefsrc"] = str(route.prefsrc)
    if route.metric:
        row["metric"] = route.metric
    flags = _flags(route)
    if flags:
        row["flags"] = flags
    if route.protocol != PROTOCOL_BOOT:
        row["protocol"] = _PROTOCOLS.get(route.protocol, str(route.protocol))
    return row


def _destination(route: Route) -> str:
    if route.dst.length == 0:
        return "default"
    return str(route.dst.address) if route.dst.is_host else str(route.dst)


def _flags(route: Route) -> list[str]:
    if len(route.nexthops) != 1:
        return []
    hop = route.nexthops[0]
    flags = {"dead": hop.dead, "onlink": hop.onlink, "linkdown": hop.linkdown}
    return [name for name, is_set in flags.items() if is_set]


def _device(device: Device) -> Row:
    row: Row = {
        "dev": device.name,
        "mac": str(device.mac),
        "mtu": device.mtu,
        "up": device.up,
        "carrier": device.is_running,
        "addr": [str(address) for address in device.addresses],
    }
    if device.port is not None:
        row["master"] = device.port.bridge.name
    return row
