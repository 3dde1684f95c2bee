# SPDX-License-Identifier: GPL-2.0-only
"""Routes, routing rules and neighbours of a node.

What the list `routes` of a document can say stands there; all else becomes the
command that enters it. Who entered a route (`proto`) is not kept.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, get_args

from emu.cluster.network.importing.node import Role, primary_addresses
from emu.cluster.network.importing.wiring import early_addresses
from emu.cluster.network.model import NeighbourSpec, RouteScope, RouteSpec, RouteType
from emu.tools.ip.names import TABLES
from emu.wire.addresses import ZERO_MAC, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emu.cluster.network.importing.draft import Draft
    from emu.cluster.network.importing.dump import Hop, Neighbour, Route, RoutingRule
    from emu.cluster.network.importing.node import Node
    from emu.wire.addresses import IpAddress

_TYPES: Final[tuple[RouteType, ...]] = get_args(RouteType)
_SCOPES: Final[tuple[RouteScope, ...]] = get_args(RouteScope)
_NEVER: Final = frozenset({"encap", "encap of nexthops", "gateway of another family", "from"})
_FIRST_OWN_TABLE: Final = 1001
_OF_THE_KERNEL: Final = {(0, "local"), (32766, "main"), (32767, "default")}
_NO_PLACE: Final = frozenset({"unreachable", "prohibit", "blackhole", "throw"})
_LONGEST_MTU: Final = 65535
_MOST_NEIGHBOURS: Final = 500  # that may be forgotten: from 512 (gc_thresh2) on the kernel clears up


class Ways:
    """Writes what one node knows about where packets go."""

    def __init__(self, node: Node, draft: Draft) -> None:
        self._node = node
        self._draft = draft
        self._tables = {name: str(number) for name, number in TABLES.items()}
        self._late = {device.name for device in node.dump.devices if node.is_late(device)}
        kept = [device for device in node.dump.devices if node.is_kept(device.name)]
        early = {one.address for device in kept for one in early_addresses(device)}
        own = {one.interface.address for device in kept for one in device.addresses}
        self._late_addresses = own - early
        self._own = {Prefix(address, 32) for address in own}
        self._local = list(self._own)
        self._local += [
            route.dst
            for route in node.dump.routes or ()
            if route.type == "local" and not (route.table == "local" and route.protocol == "kernel")
        ]
        self._on_link = self._prefixes_on_link()
        self._early_on_link = {
            device.name: [one.prefix for one in early_addresses(device)]
            for device in kept
            if device.up and device.name not in self._late
        }
        self._written: set[tuple[str, Prefix, int]] = set()
        self._later: list[tuple[tuple[str, ...], str]] = []

    def write(self) -> None:
        """Write routes, rules and neighbours."""
        connected = dict(self._connected())
        self._written |= {("254", prefix, 0) for _, prefix, _ in connected}
        recorded: set[tuple[str, Prefix, IpAddress]] = set()
        for route in sorted(self._node.dump.routes or (), key=_has_gateway):
            if route.table == "local" and (route.protocol == "kernel" or self._is_of_an_address(route)):
                continue
            key = _as_connected(route)
            if key is not None and key in connected:
                recorded.add(key)
            else:
                self._route(route)
        if self._node.dump.routes is not None:
            for (device, prefix, src), words in connected.items():
                if (device, prefix, src) not in recorded:
                    argv = ("ip", "route", "del", *words)
                    self._draft.execute(self._node.ns, argv, f"that there is no route {' '.join(words)}")
        for argv, what in self._later:
            self._draft.execute(self._node.ns, argv, what)
        self._rules()
        self._neighbours()

    def _prefixes_on_link(self) -> dict[str, list[Prefix]]:
        found: dict[str, list[Prefix]] = {}
        for device in self._node.dump.devices:
            found[device.name] = [(one.peer or one.interface).prefix for one in device.addresses]
            found[device.name] += [
                route.dst
                for route in self._node.routes_by(device)
                if any(hop.device == device.name and hop.gateway is None for hop in route.hops)
            ]
        return found

    def _is_of_an_address(self, route: Route) -> bool:
        """Return whether the kernel made a route though something else is said to have."""
        return route.type in {"local", "broadcast"} and (
            route.dst in self._own or route.dst.address.is_loopback
        )

    # --- routes ---

    def _connected(self) -> Iterator[tuple[tuple[str, Prefix, IpAddress], tuple[str, ...]]]:
        """Yield the routes that come with addresses, and the words that name each."""
        for device in self._node.dump.devices:
            if not device.up or not self._node.is_kept(device.name) or device.name == "lo":
                continue
            for one in primary_addresses(device):
                prefix = (one.peer or one.interface).prefix
                if prefix.length == 32 and one.peer is None:
                    continue
                src = one.interface.address
                scope = "global" if one.scope == "global" else one.scope
                words = (str(prefix), "dev", device.name, "proto", "kernel", "scope", "link", "src", str(src))
                if scope != "host":
                    yield (device.name, prefix, src), words

    def _left_out(self, route: Route, why: str) -> None:
        self._draft.left_out.append(f"{self._node.ns}: route {route}: {why}")

    def _route(self, route: Route) -> None:
        why = self._why_not(route)
        if why:
            self._left_out(route, why)
            return
        if route.unlike:
            self._draft.left_out.append(f"{self._node.ns}: {', '.join(route.unlike)} of route {route}")
        src = route.prefsrc
        if src is not None and not any(src in prefix for prefix in self._local):
            self._draft.left_out.append(
                f"{self._node.ns}: src {src} of route {route}, no address of the node"
            )
            src = None
        hops = tuple(self._hop(route, hop) for hop in route.hops)
        key = (self._table(route.table), route.dst, route.metric)
        is_plain = (
            len(hops) <= 1
            and route.type in _TYPES
            and not route.tos
            and (route.scope in _SCOPES or route.type in _NO_PLACE)
            and key not in self._written
            and not (self._late & {hop.device for hop in hops})
            and src not in self._late_addresses
            and all(map(self._is_early, hops))
            and (not route.mtu or 68 <= route.mtu <= _LONGEST_MTU)
        )
        if is_plain:
            self._written.add(key)
            self._plain(route, hops, src)
            for hop in hops:
                if hop.gateway is None and hop.device:
                    self._early_on_link[hop.device].append(route.dst)
        else:
            verb = "append" if key in self._written else "add"
            argv = ("ip", "route", verb, *self._words(route, hops, src))
            self._written.add(key)
            self._later.append((argv, f"route {route}"))

    def _why_not(self, route: Route) -> str:
        never = [name for name in route.unlike if name in _NEVER]
        if never:
            return f"{', '.join(never)} is not modelled"
        for hop in route.hops:
            if hop.device and hop.device not in self._node.devices:
                return f"there is no device {hop.device}"
            if hop.device and not self._node.is_kept(hop.device):
                return f"{hop.device} is left out"
            if hop.device and not self._node.devices[hop.device].up:
                return f"{hop.device} is down"
        if not route.hops and route.type not in _NO_PLACE:
            return "it leads nowhere"
        return ""

    def _hop(self, route: Route, hop: Hop) -> Hop:
        """Return a way that the kernel takes: a gateway has to be on the link, or be said to be."""
        if hop.gateway is None or hop.onlink or not hop.device:
            return hop
        if any(hop.gateway in prefix for prefix in self._on_link[hop.device]):
            return hop
        self._draft.invented.append(
            f"{self._node.ns}: onlink of route {route}: no route leads to its gateway {hop.gateway}"
        )
        return hop._replace(onlink=True)

    def _is_early(self, hop: Hop) -> bool:
        """Return whether what leads to a gateway is there before the commands begin."""
        if hop.gateway is None or hop.onlink:
            return True
        devices = [hop.device] if hop.device else self._early_on_link
        return any(hop.gateway in prefix for name in devices for prefix in self._early_on_link.get(name, ()))

    def _plain(self, route: Route, hops: tuple[Hop, ...], src: IpAddress | None) -> None:
        hop = hops[0] if hops and route.type not in _NO_PLACE else None
        kind = next(name for name in _TYPES if name == route.type)
        self._draft.routes.append(
            RouteSpec(
                self._node.ns,
                route.dst,
                kind,
                via=hop.gateway if hop else None,
                dev=(hop.device or None) if hop else None,
                src=src,
                scope=next((name for name in _SCOPES if name == route.scope), "global"),
                metric=route.metric,
                mtu=route.mtu or None,
                table=int(self._table(route.table)),
                onlink=hop is not None and hop.onlink and hop.gateway is not None and bool(hop.device),
            )
        )

    def _words(self, route: Route, hops: tuple[Hop, ...], src: IpAddress | None) -> Iterator[str]:
        if route.type != "unicast":
            yield route.type
        yield "default" if route.dst.length == 0 else str(route.dst)
        if len(hops) == 1 and route.type not in _NO_PLACE:
            yield from _hop_words(hops[0])
        yield from ("table", self._table(route.table))
        if route.type not in _NO_PLACE:
            yield from ("scope", route.scope)
        for key, value in (("src", src), ("metric", route.metric), ("tos", route.tos), ("mtu", route.mtu)):
            if value:
                yield from (key, str(value))
        if len(hops) > 1:
            for hop in hops:
                yield from ("nexthop", *_hop_words(hop), "weight", str(hop.weight))

    def _table(self, name: str) -> str:
        """Return the number of a table; one with a name of the node's own gets one."""
        if name.isascii() and name.isdigit() and 0 < int(name) < 2**32:
            return name
        if name not in self._tables:
            taken = self._tables.values()
            number = next(n for n in map(str, range(_FIRST_OWN_TABLE, 2**31)) if n not in taken)
            self._tables[name] = number
            self._draft.invented.append(f"{self._node.ns}: number {number} of the routing table {name}")
        return self._tables[name]

    # --- rules and neighbours ---

    def _rules(self) -> None:
        rules = self._node.dump.routing_rules
        if rules is None:
            return
        found = {_known(rule) for rule in rules}
        for rule in rules:
            if _known(rule) in _OF_THE_KERNEL:
                continue
            words = [*rule.words, *(("lookup", self._table(rule.table)) if rule.table else ())]
            argv = ("ip", "rule", "add", "pref", str(rule.priority), *words)
            self._draft.execute(self._node.ns, argv, f"routing rule {rule}")
        for priority, table in sorted(_OF_THE_KERNEL - found):
            argv = ("ip", "rule", "del", "pref", str(priority), "lookup", table)
            self._draft.execute(self._node.ns, argv, f"that there is no routing rule {priority}")

    def _neighbours(self) -> None:
        node = self._node
        lost = Counter(entry.device for entry in node.dump.neighbours if not node.is_kept(entry.device))
        for name, number in lost.items():
            self._draft.left_out.append(f"{node.ns}: {number} neighbours on {name}, which is left out")
        found: dict[tuple[str, IpAddress], Neighbour] = {}
        for entry in node.dump.neighbours:
            if entry.device not in lost and self._takes(entry):
                found.setdefault((entry.device, entry.ip), entry)
        chosen = self._most_wanted(found.values())
        if len(chosen) < len(found):
            left = len(found) - len(chosen)
            self._draft.left_out.append(f"{node.ns}: {left} neighbours, more than its table has room for")
        for entry in found.values():
            if entry in chosen:
                self._neighbour(entry)

    def _takes(self, entry: Neighbour) -> bool:
        device = self._node.devices[entry.device]
        if not device.up or self._node.roles[device.name] is Role.LOOPBACK:
            return False
        return entry.state != "none" and not entry.ip.is_multicast

    def _most_wanted(self, entries: Iterable[Neighbour]) -> set[Neighbour]:
        """Return those that there is room for: fixed ones, gateways and pods before others."""
        gateways = {hop.gateway for route in self._node.dump.routes or () for hop in route.hops}

        def rank(entry: Neighbour) -> int:
            if entry.ip in gateways:
                return 0
            is_near = self._node.roles[entry.device] in {Role.BRIDGE, Role.POD}
            return 1 if is_near and entry.mac is not None else 2 if entry.mac is not None else 3

        fixed = {entry for entry in entries if entry.state == "permanent"}
        others = sorted((entry for entry in entries if entry not in fixed), key=rank)
        return fixed | set(others[:_MOST_NEIGHBOURS])

    def _neighbour(self, entry: Neighbour) -> None:
        ns, name = self._node.ns, entry.device
        if name not in self._late:
            mac = entry.mac or ZERO_MAC
            self._draft.neighbours.append(NeighbourSpec(ns, name, entry.ip, mac, entry.state))
        elif entry.mac is not None:
            words = (str(entry.ip), "lladdr", str(entry.mac), "dev", name, "nud", entry.state)
            self._draft.execute(ns, ("ip", "neigh", "replace", *words), f"neighbour {entry.ip}")


def _has_gateway(route: Route) -> bool:
    return any(hop.gateway is not None for hop in route.hops)


def _as_connected(route: Route) -> tuple[str, Prefix, IpAddress] | None:
    """Return what a route is known by if it comes with an address, None if it was entered."""
    is_connected = route.protocol == "kernel" and route.table == "main" and not route.metric
    if not is_connected or route.prefsrc is None or len(route.hops) != 1 or _has_gateway(route):
        return None
    return route.hops[0].device, route.dst, route.prefsrc


def _hop_words(hop: Hop) -> Iterator[str]:
    if hop.gateway is not None:
        yield from ("via", str(hop.gateway))
    if hop.device:
        yield from ("dev", hop.device)
    if hop.onlink:
        yield "onlink"


def _known(rule: RoutingRule) -> tuple[int, str]:
    """Return priority and table of a rule for all packets; those of others are none of the kernel's."""
    return rule.priority, "" if rule.words else rule.table
