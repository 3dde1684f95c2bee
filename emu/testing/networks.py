# SPDX-License-Identifier: GPL-2.0-only
"""Hypothesis strategies for whole networks: low-level documents.

`networks` draws any that the kernel takes, as long as no frame can go round in
circles at layer 2; `doings.actions` draws what is done in one. Both are what
documents consist of, so that what fails can be written down, run by `emu run`,
and built from real namespaces.
"""

from __future__ import annotations

from collections import defaultdict
from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs
from hypothesis import strategies as st

from emu.cluster.network.actions import CapturePoint
from emu.cluster.network.model import (
    BridgeSpec,
    EndSpec,
    FdbSpec,
    IpipSpec,
    LinkSpec,
    NamespaceSpec,
    NetworkDocument,
    PortSpec,
    RouteSpec,
    Sysctl,
    VxlanSpec,
)
from emu.testing import strategies
from emu.testing.lab import EVERYWHERE, mac
from emu.wire.addresses import ZERO_MAC, Interface, IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MTUS: Final = (1500, 1500, 1500, 1400, 576, 68)
_PORTS: Final = (
    PortSpec(""),
    PortSpec(""),
    PortSpec("", hairpin=True),
    PortSpec("", learning=False),
    PortSpec("", flood=False),
    PortSpec("", isolated=True),
)
_LEAST_UNDERLAY: Final = 68 + 50
_LEAST_INNER: Final = 68 + 20
NOBODY: Final = 99  # a host that no subnet has
_SETTINGS: Final = (
    Sysctl("net.ipv4.conf.all.rp_filter", "1"),
    Sysctl("net.ipv4.conf.all.rp_filter", "2"),
    Sysctl("net.ipv4.conf.all.send_redirects", "1"),
    Sysctl("net.ipv4.conf.all.accept_redirects", "1"),
    Sysctl("net.ipv4.conf.all.proxy_arp", "1"),
    Sysctl("net.ipv4.conf.all.arp_accept", "1"),
    Sysctl("net.ipv4.conf.all.arp_ignore", "1"),
    Sysctl("net.ipv4.conf.all.accept_local", "1"),
    Sysctl("net.ipv4.conf.all.bc_forwarding", "1"),
    Sysctl("net.ipv4.icmp_echo_ignore_broadcasts", "0"),
    Sysctl("net.ipv4.icmp_errors_use_inbound_ifaddr", "1"),
    Sysctl("net.bridge.bridge-nf-call-iptables", "0"),
)
"""Settings that lead packets other ways; a namespace gets any of them."""


class _Place(NamedTuple):
    """A device."""

    ns: str
    iface: str


class _Cable(NamedTuple):
    """Two places, and the number of the subnet that they are in."""

    ends: tuple[_Place, _Place]
    subnet: int


def _is_switch(name: str) -> bool:
    return name.startswith("sw")


@st.composite
def networks(draw: st.DrawFn, *, fewest: int = 2, most: int = 6, vxlans: bool = True) -> NetworkDocument:
    """Draw networks of hosts, routers and switches, all points captured; shrink to two hosts and a cable.

    The cables make a tree, and more than a tree between those that are no
    switches, so that switches are never in a loop. Every broadcast domain is
    a subnet. Of the routes that would lead everywhere some may be missing, and
    others may lead astray, refuse, or lead in circles.

    Args:
        draw: given by Hypothesis.
        fewest: namespaces at the least, 2 or more.
        most: namespaces at the most.
        vxlans: whether there may be a VXLAN, or tunnels of IPIP, on top.
    """
    kinds = draw(st.lists(st.sampled_from(("h", "r", "r", "sw")), min_size=fewest, max_size=most))
    names = [f"{kind}{number}" for number, kind in enumerate(kinds)]
    cables = _subnetted(_cabled(draw, names))
    addresses = _addressed(cables)
    document = NetworkDocument(
        tuple(NamespaceSpec(name, _sysctls(draw, name)) for name in names),
        links=tuple(_link(draw, number, cable, addresses) for number, cable in enumerate(cables)),
        bridges=tuple(_bridge(draw, at, name, cables) for at, name in enumerate(names) if _is_switch(name)),
        routes=tuple(_routes(draw, names, addresses)),
    )
    if vxlans and draw(st.booleans()):
        if draw(st.sampled_from((True, True, False))):
            document = attrs.evolve(document, vxlans=_vxlans(draw, document))
        else:
            document = _with_ipips(draw, document)
    return attrs.evolve(document, captures=_points(document))


# --- cables and addresses ---


def _cabled(draw: st.DrawFn, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of namespaces that have a cable."""
    pairs = [(draw(st.sampled_from(names[:at])), name) for at, name in enumerate(names) if at]
    ends = [name for name in names if not _is_switch(name)]
    more = [(one, other) for at, one in enumerate(ends) for other in ends[:at]]
    return pairs + (draw(st.lists(st.sampled_from(more), max_size=2)) if more else [])


def _subnetted(pairs: Sequence[tuple[str, str]]) -> list[_Cable]:
    """Name the devices, and number the subnets: all cables that meet in switches are in one."""
    used: defaultdict[str, int] = defaultdict(int)
    domains = list(range(len(pairs)))
    first: dict[str, int] = {}
    ends: list[tuple[_Place, _Place]] = []
    for number, pair in enumerate(pairs):
        places = []
        for name in pair:
            places.append(_Place(name, f"{'p' if _is_switch(name) else 'eth'}{used[name]}"))
            used[name] += 1
            if _is_switch(name):
                new, old = domains[first.setdefault(name, number)], domains[number]
                domains = [new if domain == old else domain for domain in domains]
        ends.append((places[0], places[1]))
    return [_Cable(pair, domain) for pair, domain in zip(ends, domains, strict=True)]


def _addressed(cables: Sequence[_Cable]) -> dict[_Place, Interface]:
    """Give every place that is no port of a switch an address of its subnet."""
    addresses: dict[_Place, Interface] = {}
    hosts: defaultdict[int, int] = defaultdict(int)
    for cable in cables:
        for place in cable.ends:
            if not _is_switch(place.ns):
                hosts[cable.subnet] += 1
                address = IpAddress(bytes((10, 0, cable.subnet, hosts[cable.subnet])))
                addresses[place] = Interface(address, 24)
    return addresses


def _link(draw: st.DrawFn, number: int, cable: _Cable, addresses: dict[_Place, Interface]) -> LinkSpec:
    mtu = draw(st.sampled_from(_MTUS))
    mtus = mtu, draw(st.sampled_from((mtu, mtu, mtu, *_MTUS)))
    a, b = (
        EndSpec(
            *place,
            mac(2 * number + side + 1),
            (addresses[place],) if place in addresses else (),
            mtus[side],
        )
        for side, place in enumerate(cable.ends)
    )
    return LinkSpec(a, b)


def _sysctls(draw: st.DrawFn, name: str) -> tuple[Sysctl, ...]:
    forwarding = (Sysctl("net.ipv4.ip_forward", "1"),) if name.startswith("r") else ()
    return forwarding + tuple(draw(st.lists(st.sampled_from(_SETTINGS), max_size=2)))


def _bridge(draw: st.DrawFn, at: int, name: str, cables: Sequence[_Cable]) -> BridgeSpec:
    ports = []
    for cable in cables:
        for place, other in (cable.ends, cable.ends[::-1]):
            if place.ns == name:
                port = draw(st.sampled_from(_PORTS))
                hairpin = port.hairpin and not _is_switch(other.ns)  # at both ends of a cable it makes a loop
                ports.append(attrs.evolve(port, iface=place.iface, hairpin=hairpin))
    return BridgeSpec(name, "br0", mac(0x100 + at), ports=tuple(ports))


# --- routes ---


def _routes(draw: st.DrawFn, names: Sequence[str], addresses: dict[_Place, Interface]) -> Iterator[RouteSpec]:
    """Yield the routes of every host and router, each with a metric of its own."""
    for name in names:
        own = [address for place, address in addresses.items() if place.ns == name]
        if not own:
            continue
        leading = list(_leading(name, addresses))
        has_gaps = draw(st.booleans())
        if leading and has_gaps:
            some: st.SearchStrategy[list[RouteSpec]] = st.lists(st.sampled_from(leading), unique=True)
            leading = draw(some)
        others = draw(st.lists(_strays(name, own, addresses), max_size=2))
        for metric, route in enumerate((*leading, *others), 1):
            yield attrs.evolve(route, ns=name, metric=metric)


def _leading(name: str, addresses: dict[_Place, Interface]) -> Iterator[RouteSpec]:
    """Yield a shortest way from `name` to every subnet that can be reached and is not its own."""
    own = {address.prefix for place, address in addresses.items() if place.ns == name}
    known = set(own)
    ways: list[tuple[str, IpAddress]] = []  # a namespace that was reached, and the first gateway to it
    for place, address in addresses.items():
        if place.ns != name and address.prefix in own:
            ways.append((place.ns, address.address))
    for ns, gateway in ways:  # grows as it is walked
        found = {address.prefix for place, address in addresses.items() if place.ns == ns} - known
        known |= found
        for prefix in sorted(found, key=str):
            yield RouteSpec(name, prefix, via=gateway)
            ways += [(place.ns, gateway) for place, address in addresses.items() if address.prefix == prefix]


def _strays(
    name: str, own: Sequence[Interface], addresses: dict[_Place, Interface]
) -> st.SearchStrategy[RouteSpec]:
    """Draw a route that nobody needs: by any neighbour, by nobody at all, or refusing."""
    mine = {address.address for address in own}
    prefixes = {address.prefix for address in own}
    gateways = [
        address.address
        for address in addresses.values()
        if address.prefix in prefixes and address.address not in mine
    ]
    gateways += [IpAddress.from_int(int(prefix.address) + NOBODY) for prefix in sorted(prefixes, key=str)]
    subnets = sorted({address.prefix for address in addresses.values()}, key=str)
    destinations = st.just(EVERYWHERE) | st.sampled_from(subnets) | strategies.prefixes(longest=24)
    mtus = st.none() | st.sampled_from(_MTUS)
    unicast = st.builds(
        lambda dst, via, mtu: RouteSpec(name, dst, via=via, mtu=mtu),
        destinations,
        st.sampled_from(gateways),
        mtus,
    )
    refusing = st.builds(
        lambda dst, kind: RouteSpec(name, dst, kind),
        destinations,
        st.sampled_from(("unreachable", "prohibit", "blackhole", "throw")),
    )
    return unicast | refusing


# --- on top ---


def _vxlans(draw: st.DrawFn, document: NetworkDocument) -> tuple[VxlanSpec, ...]:
    """Return a VXLAN between some of the namespaces: each sends to all others what it does not know."""
    ends = [
        end for link in document.links for end in link.ends if end.addresses and end.mtu >= _LEAST_UNDERLAY
    ]
    if not ends:
        return ()
    some: st.SearchStrategy[list[EndSpec]] = st.lists(
        st.sampled_from(ends), min_size=min(3, len({end.ns for end in ends})), unique_by=attrgetter("ns")
    )
    places = draw(some)
    learning, checksums = draw(st.booleans()), draw(st.booleans())
    return tuple(
        VxlanSpec(
            end.ns,
            "vx9",
            mac(0x900 + at),
            9,
            end.addresses[0].address,
            end.iface,
            addresses=(Interface(IpAddress(bytes((10, 9, 0, at + 1))), 24),),
            learning=learning,
            udpcsum=checksums,
            fdb=tuple(FdbSpec(ZERO_MAC, other.addresses[0].address) for other in places if other is not end),
        )
        for at, end in enumerate(places)
    )


def _with_ipips(draw: st.DrawFn, document: NetworkDocument) -> NetworkDocument:
    """Return the document with a tunnel in some of the namespaces, and routes through it to all others."""
    ends = [end for link in document.links for end in link.ends if end.addresses and end.mtu > _LEAST_INNER]
    if not ends:
        return document
    some: st.SearchStrategy[list[EndSpec]] = st.lists(
        st.sampled_from(ends), min_size=min(2, len({end.ns for end in ends})), unique_by=attrgetter("ns")
    )
    places = draw(some)
    ttl, tos, pmtudisc = (
        draw(st.sampled_from((0, 0, 9))),
        draw(st.sampled_from((0, 1, 4))),
        draw(st.booleans()),
    )
    inside = {end: Interface(IpAddress(bytes((10, 8, 0, at + 1))), 32) for at, end in enumerate(places)}
    return attrs.evolve(
        document,
        ipips=tuple(
            IpipSpec(end.ns, "tunl0", addresses=(own,), ttl=ttl, tos=tos, pmtudisc=pmtudisc)
            for end, own in inside.items()
        ),
        routes=document.routes
        + tuple(
            RouteSpec(end.ns, far.prefix, via=other.addresses[0].address, dev="tunl0", onlink=True)
            for end in places
            for other, far in inside.items()
            if other is not end
        ),
    )


def _points(document: NetworkDocument) -> tuple[CapturePoint, ...]:
    points = [CapturePoint(end.ns, end.iface) for link in document.links for end in link.ends]
    points += [CapturePoint(bridge.ns, bridge.iface) for bridge in document.bridges]
    points += [CapturePoint(vxlan.ns, vxlan.iface) for vxlan in document.vxlans]
    points += [CapturePoint(ipip.ns, ipip.iface) for ipip in document.ipips]
    return tuple(points)
