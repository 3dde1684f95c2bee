# SPDX-License-Identifier: GPL-2.0-only
"""What the names in a network document refer to, and what Linux would refuse when it is built.

Every check works on a document that may be faulty elsewhere: a blank name
stands for one that could not be read, and is passed over.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from emu.cluster.network import values
from emu.cluster.network.actions import CapturePoint, Inject, Snapshot, Tally
from emu.cluster.network.model import (
    ETHERNET_MTU,
    BridgeSpec,
    EndSpec,
    IpipSpec,
    NetworkDocument,
    RouteSpec,
    VxlanSpec,
)
from emu.document import MappingNode
from emu.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.document.fields import Place
    from emu.wire.addresses import Interface, Prefix

_DeviceSpec: TypeAlias = EndSpec | BridgeSpec | VxlanSpec | IpipSpec

_IFACE_SYSCTL: Final = re.compile(r"net([./])ipv[46]\1(?:conf|neigh)\1(?P<iface>.+)\1\w+")
_BEFORE_DEVICES: Final = frozenset({"all", "default", "lo"})
_VXLAN_HEADROOM: Final = 50  # octets: Ethernet, IPv4, UDP and VXLAN header
_IPIP_HEADROOM: Final = 20  # an IPv4 header
_LOOPBACK_MTU: Final = 65536


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
        self._devices: dict[str, dict[str, _DeviceSpec]] = {spec.name: {} for spec in network.namespaces}
        self._mtus: dict[tuple[str, str], int] = {}  # that devices begin with
        self._captures = frozenset(network.captures)

    def check(self) -> None:
        """Check everything, what others refer to first."""
        self._links()
        self._bridges()
        self._vxlans()
        self._ipips()
        self._sysctls()
        self._neighbours()
        self._routes()
        self._rules()
        self._check_captures()
        self._actions()

    # What is made

    def _links(self) -> None:
        for index, link in enumerate(self._network.links):
            place = self._top.at("links").at(index)
            for end, key in zip(link.ends, ("a", "b"), strict=True):
                self._new_device(place.at(key), end, end.mtu)
            if link.a.up != link.b.up and link.a.iface and link.b.iface:
                down = "a" if link.b.up else "b"
                place.at(down).at("up").fault("is false for one end only: the other end would never run")

    def _bridges(self) -> None:
        masters: dict[tuple[str, str], BridgeSpec] = {}
        for index, bridge in enumerate(self._network.bridges):
            place = self._top.at("bridges").at(index)
            runs = not bridge.iface or bridge.ns not in self._devices
            least_mtu = _LOOPBACK_MTU
            for number, port in enumerate(bridge.ports):
                port_place = place.at("ports").at(number)
                end = self._link_end(port_place, bridge.ns, port.iface)
                runs = runs or end is None or end.up
                if end is None:
                    continue
                least_mtu = min(least_mtu, end.mtu)
                master = masters.get((end.ns, end.iface))
                if master is bridge:
                    port_place.fault(f"{end.iface} is in this list already")
                elif master is not None:
                    port_place.fault(f"{end.iface} is a port of {master.iface} already")
                else:
                    masters[end.ns, end.iface] = bridge
            if bridge.up and not runs:
                place.fault("is up, but has no port that is: it would never run (up: false leaves it down)")
            self._new_device(place, bridge, bridge.mtu or (least_mtu if bridge.ports else ETHERNET_MTU))

    def _link_end(self, place: Place, ns: str, iface: str) -> EndSpec | None:
        """Return the link end of that name, or None after reporting that there is none."""
        devices = self._devices.get(ns)
        if devices is None or not iface:
            return None
        device = devices.get(iface)
        if isinstance(device, EndSpec):
            return device
        ends = [name for name, other in devices.items() if isinstance(other, EndSpec)]
        place.fault(f"{iface!r} is no link end of {ns}{did_you_mean(iface, ends)}")
        return None

    def _vxlans(self) -> None:
        owners: dict[tuple[str, int, int], VxlanSpec] = {}
        for index, vxlan in enumerate(self._network.vxlans):
            place = self._top.at("vxlans").at(index)
            self._check_device(place.at("dev"), vxlan.ns, vxlan.dev)
            owner = owners.setdefault((vxlan.ns, vxlan.vni, vxlan.dstport), vxlan)
            if owner is not vxlan and vxlan.iface:
                used = f"VNI {vxlan.vni} with UDP port {vxlan.dstport}"
                place.at("vni").fault(f"{used} is {owner.iface}'s already")
            room = self._mtus.get((vxlan.ns, vxlan.dev), _LOOPBACK_MTU) - _VXLAN_HEADROOM
            if vxlan.mtu is not None and vxlan.mtu > room:
                limit = f"the MTU of {vxlan.dev} less {_VXLAN_HEADROOM}"
                place.at("mtu").fault(f"must be {room} at most: {limit}")
            self._new_device(place, vxlan, vxlan.mtu or room)

    def _ipips(self) -> None:
        ends: dict[tuple[object, ...], IpipSpec] = {}
        for index, ipip in enumerate(self._network.ipips):
            place = self._top.at("ipips").at(index)
            if ipip.dev is not None:
                self._check_device(place.at("dev"), ipip.ns, ipip.dev)
            owner = ends.setdefault((ipip.ns, ipip.local, ipip.remote), ipip)
            if owner is not ipip and ipip.iface:
                place.fault(f"{owner.iface} has the same ends")
            lower = self._mtus.get((ipip.ns, ipip.dev or ""), ETHERNET_MTU)
            self._new_device(place, ipip, ipip.mtu or lower - _IPIP_HEADROOM)

    def _new_device(self, place: Place, spec: _DeviceSpec, mtu: int) -> None:
        seen: set[Interface] = set()
        for number, address in enumerate(spec.addresses):
            if address in seen:
                place.at("addr").at(number).fault(f"{address} is in this list already")
            elif address != values.NO_INTERFACE:
                seen.add(address)
        if spec.iface:
            values.check_new_iface(place.at("if"), spec.iface)
        if not self._check_ns(place.at("ns"), spec.ns) or not spec.iface:
            return
        devices = self._devices[spec.ns]
        if spec.iface == "lo":
            place.at("if").fault("lo exists in every namespace already")
        elif spec.iface in devices:
            first = devices[spec.iface].line
            place.at("if").fault(f"{spec.ns} has an interface {spec.iface} already (line {first})")
        else:
            devices[spec.iface] = spec
            self._mtus[spec.ns, spec.iface] = mtu

    # What refers to it

    def _sysctls(self) -> None:
        for spec in self._network.namespaces:
            place = self._top.at("namespaces").at(spec.name)
            devices = self._devices[spec.name]
            for key, sysctls in (("sysctls", spec.sysctls), ("if_sysctls", spec.if_sysctls)):
                for sysctl in sysctls:
                    found = _IFACE_SYSCTL.fullmatch(sysctl.name)
                    iface = found["iface"] if found else "all"
                    if iface in _BEFORE_DEVICES or (iface in devices and key == "if_sysctls"):
                        continue
                    later = "exists later only: set it in if_sysctls"
                    reason = later if iface in devices else "does not exist"
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

    def _check_captures(self) -> None:
        seen: set[CapturePoint] = set()
        for index, point in enumerate(self._network.captures):
            place = self._top.at("captures").at(index)
            if not point.ns:
                continue
            if self._check_ns(place, point.ns):
                self._check_device(place, point.ns, point.iface)
            if point in seen:
                place.fault(f"{point} is in this list already")
            seen.add(point)
        compare = self._network.compare
        if isinstance(compare.unordered, tuple):
            self._recorded(self._top.at("compare").at("unordered"), compare.unordered)
        self._recorded(self._top.at("compare").at("detour"), compare.detour)

    def _recorded(self, place: Place, points: Sequence[CapturePoint]) -> None:
        for index, point in enumerate(points):
            self._check_recorded(place.at(index), point)

    def _check_recorded(self, place: Place, point: CapturePoint) -> None:
        if point.ns and point not in self._captures:
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
        if ns in self._devices:
            return True
        if ns:
            place.fault(f"there is no namespace {ns!r}{did_you_mean(ns, self._devices)}")
        return False

    def _check_device(self, place: Place, ns: str, iface: str) -> None:
        """Report if a namespace that exists has no such interface."""
        devices = self._devices.get(ns)
        if devices is None or not iface or iface == "lo" or iface in devices:
            return
        place.fault(f"{ns} has no interface {iface!r}{did_you_mean(iface, devices)}")
