# SPDX-License-Identifier: GPL-2.0-only
"""What the names in a network document refer to, and what Linux would refuse when it is built.

Every check works on a document that may be faulty elsewhere: a blank name
stands for one that could not be read, and is passed over.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.cluster.document import MappingNode
from emu.cluster.network import values
from emu.cluster.network.actions import CapturePoint, Inject, Snapshot, Tally
from emu.cluster.network.model import (
    ETHERNET_MTU,
    BridgeSpec,
    EndSpec,
    NetworkDocument,
    RouteSpec,
    VxlanSpec,
)
from emu.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.cluster.fields import Place
    from emu.wire.addresses import Prefix

_IFACE_SYSCTL: Final = re.compile(r"net([./])ipv[46]\1(?:conf|neigh)\1(?P<iface>.+)\1\w+")
_NO_IFACES: Final = {"all", "default"}
_VXLAN_HEADROOM: Final = 50  # octets: Ethernet, IPv4, UDP and VXLAN header


def check_names(network: NetworkDocument, top: Place) -> None:
    """Report every name without a bearer, every clash, and what cannot be built.

    Args:
        network: what was read, with blanks for what could not be.
        top: the place of the whole document.
    """
    _Checker(network, top).check()


class _Checker:
    def __init__(self, network: NetworkDocument, top: Place) -> None:
        self._network = network
        self._top = top
        self._namespaces = {spec.name for spec in network.namespaces}
        self._devices: dict[tuple[str, str], EndSpec | BridgeSpec | VxlanSpec] = {}
        self._owners: dict[tuple[str, str], int] = {}  # the bridge of a port, by its place in the list

    def check(self) -> None:
        """Check everything, what others refer to first."""
        self._links()
        self._bridges()
        self._vxlans()
        self._sysctls()
        self._neighbours()
        self._routes()
        self._rules()
        self._captures()
        self._actions()

    # What is made

    def _links(self) -> None:
        for index, link in enumerate(self._network.links):
            place = self._top.at("links").at(index)
            for end, key in zip(link.ends, ("a", "b"), strict=True):
                self._new_device(place.at(key), end)
            if link.a.up != link.b.up and link.a.iface and link.b.iface:
                down = "a" if link.b.up else "b"
                place.at(down).at("up").fault("is false for one end only: the other end would never run")

    def _bridges(self) -> None:
        for index, bridge in enumerate(self._network.bridges):
            place = self._top.at("bridges").at(index)
            self._new_device(place, bridge)
            runs = False
            for number, port in enumerate(bridge.ports):
                port_place = place.at("ports").at(number)
                if not port.iface or bridge.ns not in self._namespaces:
                    runs = True
                    continue
                end = self._devices.get((bridge.ns, port.iface))
                if not isinstance(end, EndSpec):
                    known = self._names_in(bridge.ns, EndSpec)
                    hint = did_you_mean(port.iface, known)
                    port_place.fault(f"{port.iface!r} is no link end of {bridge.ns}{hint}")
                    runs = True
                    continue
                runs = runs or end.up
                owner = self._owners.setdefault((bridge.ns, port.iface), index)
                if owner != index:
                    port_place.fault(
                        f"{port.iface} is a port of {self._network.bridges[owner].iface} already"
                    )
                elif any(port.iface == other.iface for other in bridge.ports[:number]):
                    port_place.fault(f"{port.iface} is in this list already")
            if bridge.up and not runs and bridge.iface:
                place.fault("is up, but has no port that is: it would never run (up: false leaves it down)")

    def _vxlans(self) -> None:
        numbers: dict[tuple[str, int, int], str] = {}
        for index, vxlan in enumerate(self._network.vxlans):
            place = self._top.at("vxlans").at(index)
            self._check_device(place.at("dev"), vxlan.ns, vxlan.dev)
            self._new_device(place, vxlan)
            other = numbers.setdefault((vxlan.ns, vxlan.vni, vxlan.dstport), vxlan.iface)
            if other != vxlan.iface:
                place.at("vni").fault(f"VNI {vxlan.vni} with UDP port {vxlan.dstport} is {other}'s already")
            room = self._mtu_of(vxlan.ns, vxlan.dev) - _VXLAN_HEADROOM
            if vxlan.mtu is not None and vxlan.mtu > room:
                place.at("mtu").fault(
                    f"must be {room} at most: the MTU of {vxlan.dev} less {_VXLAN_HEADROOM}"
                )

    def _new_device(self, place: Place, spec: EndSpec | BridgeSpec | VxlanSpec) -> None:
        self._check_ns(place.at("ns"), spec.ns)
        for number, address in enumerate(spec.addresses):
            if address != values.NO_INTERFACE and address in spec.addresses[:number]:
                place.at("addr").at(number).fault(f"{address} is in this list already")
        if not spec.iface:
            return
        values.check_new_iface(place.at("if"), spec.iface)
        if spec.iface == "lo":
            place.at("if").fault("lo exists in every namespace already")
        elif (spec.ns, spec.iface) in self._devices:
            first = self._devices[spec.ns, spec.iface].line
            place.at("if").fault(f"{spec.ns} has an interface {spec.iface} already (line {first})")
        else:
            self._devices[spec.ns, spec.iface] = spec

    def _mtu_of(self, ns: str, iface: str) -> int:
        """Return the MTU that an interface begins with."""
        match self._devices.get((ns, iface)):
            case EndSpec(mtu=mtu):
                return mtu
            case BridgeSpec(mtu=None, ports=ports):
                return min((self._mtu_of(ns, port.iface) for port in ports), default=ETHERNET_MTU)
            case VxlanSpec(mtu=None, dev=dev):
                return self._mtu_of(ns, dev) - _VXLAN_HEADROOM
            case BridgeSpec(mtu=int(mtu)) | VxlanSpec(mtu=int(mtu)):
                return mtu
            case _:
                return 65536

    # What refers to it

    def _sysctls(self) -> None:
        for spec in self._network.namespaces:
            place = self._top.at("namespaces").at(spec.name)
            known = {iface for ns, iface in self._devices if ns == spec.name} | _NO_IFACES | {"lo"}
            for key, names, sysctls in (
                ("sysctls", _NO_IFACES | {"lo"}, spec.sysctls),
                ("if_sysctls", known, spec.if_sysctls),
            ):
                for sysctl in sysctls:
                    found = _IFACE_SYSCTL.fullmatch(sysctl.name)
                    if found and found["iface"] not in names:
                        iface = found["iface"]
                        later = iface in known
                        reason = "exists later only: set it in if_sysctls" if later else "does not exist"
                        place.at(key).at(sysctl.name).fault(f"interface {iface} {reason}")

    def _neighbours(self) -> None:
        for index, neighbour in enumerate(self._network.neighbours):
            place = self._top.at("neigh").at(index)
            self._check_ns(place.at("ns"), neighbour.ns)
            self._check_device(place.at("dev"), neighbour.ns, neighbour.dev)

    def _routes(self) -> None:
        first: dict[tuple[str, int, Prefix, int], int] = {}  # the line of each route made
        for index, route in enumerate(self._network.routes):
            place = self._top.at("routes").at(index)
            if not isinstance(place.value, MappingNode):
                continue
            self._check_ns(place.at("ns"), route.ns)
            if route.dev is not None:
                self._check_device(place.at("dev"), route.ns, route.dev)
            self._check_next_hop(place, route)
            if not route.ns or route.dst == values.NO_PREFIX:
                continue
            key = (route.ns, route.table, route.dst, route.metric)
            if key in first:
                dst = "default" if route.dst.length == 0 else str(route.dst)
                place.fault(f"{route.ns} has a route to {dst} with that metric already (line {first[key]})")
            else:
                first[key] = route.line

    def _check_next_hop(self, place: Place, route: RouteSpec) -> None:
        """Report a next hop that no route of this type has (net/ipv4/fib_semantics.c)."""
        if route.type in {"unreachable", "prohibit", "blackhole", "throw"}:
            for key in ("via", "dev"):
                if place.at(key).is_given:
                    place.at(key).fault(f"a route of type {route.type} has no {key}")
        elif route.type == "local" and route.dev is None:
            place.fault("lacks dev")
        elif route.dev is None and not place.at("via").is_given:
            place.fault("lacks via or dev")
        if route.onlink and (route.dev is None or not place.at("via").is_given):
            place.at("onlink").fault("needs via and dev")

    def _rules(self) -> None:
        for key in ("ipset", "iptables", "nft"):
            for ns in getattr(self._network, key):
                self._check_ns(self._top.at(key).at(ns), ns)
        for index, ns in enumerate(self._network.conntrack):
            self._check_ns(self._top.at("conntrack").at(index), ns)

    def _captures(self) -> None:
        captures = self._network.captures
        for index, point in enumerate(captures):
            place = self._top.at("captures").at(index)
            if point.ns and self._check_ns(place, point.ns):
                self._check_device(place, point.ns, point.iface)
            if point.ns and point in captures[:index]:
                place.fault(f"{point} is in this list already")
        compare = self._network.compare
        if isinstance(compare.unordered, tuple):
            self._recorded(self._top.at("compare").at("unordered"), compare.unordered)
        self._recorded(self._top.at("compare").at("detour"), compare.detour)

    def _recorded(self, place: Place, points: Sequence[CapturePoint]) -> None:
        for index, point in enumerate(points):
            self._check_recorded(place.at(index), point)

    def _check_recorded(self, place: Place, point: CapturePoint) -> None:
        if point.ns and point not in self._network.captures:
            hint = did_you_mean(str(point), map(str, self._network.captures))
            place.fault(f"{point} is none of the captures{hint}")

    def _actions(self) -> None:
        labels: set[str] = set()
        for index, step in enumerate(self._network.actions):
            place = self._top.at("actions").at(index).at(step.kind)
            match step.action:
                case Tally(capture=capture):
                    self._check_recorded(place.at("capture"), capture)
                case Snapshot(label=label) if label:
                    if label in labels:
                        place.at("label").fault(f"{label!r} is an earlier snapshot's label")
                    labels.add(label)
                case Inject(ns=ns, iface=iface):
                    self._check_ns(place.at("ns"), ns)
                    self._check_device(place.at("if"), ns, iface)
                case _:
                    self._check_ns(place.at("ns"), getattr(step.action, "ns", ""))

    # Look-ups

    def _check_ns(self, place: Place, ns: str) -> bool:
        """Report if there is no such namespace, and return whether there is."""
        if ns in self._namespaces:
            return True
        if ns:
            place.fault(f"there is no namespace {ns!r}{did_you_mean(ns, self._namespaces)}")
        return False

    def _check_device(self, place: Place, ns: str, iface: str) -> None:
        """Report if a namespace that exists has no such interface."""
        if not iface or iface == "lo" or ns not in self._namespaces or (ns, iface) in self._devices:
            return
        hint = did_you_mean(iface, self._names_in(ns, EndSpec, BridgeSpec, VxlanSpec))
        place.fault(f"{ns} has no interface {iface!r}{hint}")

    def _names_in(self, ns: str, *kinds: type) -> Iterable[str]:
        return [
            iface for (owner, iface), spec in self._devices.items() if owner == ns and isinstance(spec, kinds)
        ]
