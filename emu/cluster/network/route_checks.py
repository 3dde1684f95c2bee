# SPDX-License-Identifier: GPL-2.0-only
"""The routes of a network document that Linux would refuse to add.

Routes are added in their order when all interfaces are up, so each is checked
against the routes that the kernel has made for addresses and against those
before it.

Source: net/ipv4/fib_frontend.c, fib_semantics.c and fib_trie.c; ip/iproute.c of
iproute2; tried on Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.cluster.network.model import LOCAL_TABLE, MAIN_TABLE, RouteSpec
from emu.cluster.network.values import NO_PREFIX
from emu.wire.addresses import ANY_IP4, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emu.cluster.fields import Place
    from emu.cluster.network.model import BridgeSpec, EndSpec, VxlanSpec

_LOOPBACK: Final = Prefix.parse("127.0.0.0/8")
_LOOPBACK_HOSTS: Final = (Prefix.parse("127.0.0.1"), Prefix.parse("127.255.255.255"))
_NO_NEXT_HOP: Final = {"unreachable", "prohibit", "blackhole", "throw"}


class RouteChecks:
    """The routes of one namespace as they come about."""

    def __init__(self, ns: str, devices: Iterable[EndSpec | BridgeSpec | VxlanSpec]) -> None:
        self._ns = ns
        self._devices = {device.iface: device for device in devices}
        self._made: dict[tuple[int, Prefix, int], str] = {}  # by table, destination and metric
        self._on_link: list[tuple[str, Prefix]] = []  # by device, where a gateway can be
        self._local: list[Prefix] = []
        for table, dst, iface in self._of_addresses():
            self._made[table, dst, 0] = "the kernel makes it for an address"
            if table == MAIN_TABLE:
                self._on_link.append((iface, dst))
            else:
                self._local.append(dst)

    def add(self, route: RouteSpec, place: Place) -> None:
        """Take the next route and report what is wrong with it at its `place`."""
        self._check_destination(route, place)
        if route.type in _NO_NEXT_HOP:
            for key in ("via", "dev"):
                if place.at(key).is_given:
                    place.at(key).fault(f"a route of type {route.type} has no {key}")
        else:
            self._check_next_hop(route, place)
        if route.src is not None and not any(route.src in prefix for prefix in (*self._local, _LOOPBACK)):
            place.at("src").fault(f"{self._ns} has no address {route.src}")
        if route.type == "unicast" and route.via is None and route.dev is not None:
            self._on_link.append((route.dev, route.dst))
        if route.type == "local":
            self._local.append(route.dst)

    def _of_addresses(self) -> Iterator[tuple[int, Prefix, str]]:
        for dst in (_LOOPBACK, *_LOOPBACK_HOSTS):
            yield LOCAL_TABLE, dst, "lo"
        for device in self._devices.values():
            for address in device.addresses if device.up else ():
                yield LOCAL_TABLE, Prefix(address.address, 32), device.iface
                if 0 < address.length < 31:
                    yield LOCAL_TABLE, Prefix(address.broadcast, 32), device.iface
                if 0 < address.length < 32:
                    yield MAIN_TABLE, address.prefix, device.iface

    def _check_destination(self, route: RouteSpec, place: Place) -> None:
        if route.dst == NO_PREFIX:
            return
        key = (route.table, route.dst, route.metric)
        if key in self._made:
            dst = "default" if route.dst.length == 0 else str(route.dst)
            place.fault(
                f"{self._ns} has a route to {dst} with metric {route.metric} already: {self._made[key]}"
            )
        else:
            self._made[key] = f"line {route.line}"

    def _check_next_hop(self, route: RouteSpec, place: Place) -> None:
        device = self._devices.get(route.dev or "")
        if device is not None and not device.up:
            place.at("dev").fault(f"{route.dev} is down: it takes no routes")
            return
        if route.dev is None and (route.via is None or route.type == "local"):
            place.fault("lacks dev" if route.type == "local" else "lacks via or dev")
        if route.onlink and (not place.at("via").is_given or route.dev is None):
            place.at("onlink").fault("needs via and dev")
        if route.via is None:
            return
        if route.scope != "global":
            wrong = "scope" if place.at("scope").is_given else "via"
            place.at(wrong).fault(f"a route with scope {route.scope} has no gateway")
        elif not route.onlink and route.via != ANY_IP4 and not self._is_on_link(route):
            place.at("via").fault(
                f"{route.via} is on no link of {route.dev or self._ns} (onlink: true insists)"
            )

    def _is_on_link(self, route: RouteSpec) -> bool:
        if route.via is None or (route.dev is not None and route.dev not in self._devices):
            return True  # said elsewhere
        return any(route.via in prefix for prefix in self._local) or any(
            route.via in prefix for iface, prefix in self._on_link if route.dev in {None, iface}
        )
