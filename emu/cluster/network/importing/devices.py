# SPDX-License-Identifier: GPL-2.0-only
"""`ip -j addr` and `ip -d -j link`: the devices of a node.

Both print the same records; the one adds addresses, the other (by `-d`) what
kind of device it is. Without `-d` a kind is guessed from what shows otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.network import values
from emu.cluster.network.importing.dump import Address, Device, Ipip, Port, Vxlan
from emu.cluster.network.importing.records import device_name, flags, is_ipv6, number_of, records, word
from emu.document import MappingNode, SequenceNode
from emu.document.fields import Fields, Place, boolean, text
from emu.errors import AddressError
from emu.wire.addresses import Interface, MacAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from emu.cluster.network.importing.dump import Route
    from emu.wire.addresses import IpAddress

_MAX_DEVICES: Final = 4096  # of one node; a full one has some hundred pods
_WITH_MAC: Final = "ether"
_PORT_DEFAULTS: Final = {"neigh_suppress": False, "proxy_arp": False, "vlan_tunnel": False, "locked": False}
_BRIDGE_DEFAULTS: Final = {
    "stp_state": 0,
    "vlan_filtering": 0,
    "nf_call_iptables": 0,
    "nf_call_arptables": 0,
    "group_fwd_mask": "0",
}
_VXLAN_SWITCHES: Final = (
    "external",
    "vnifilter",
    "proxy",
    "rsc",
    "l2miss",
    "l3miss",
    "gbp",
    "gpe",
    "group",
    "tos",
)
_CENTISECONDS: Final = 10**9  # a bridge forgets after this at the latest


def read_devices(place: Place) -> tuple[Device, ...]:
    """Return the devices that a list of records describes, without addresses of IPv6."""
    found: dict[str, Device] = {}
    for fields in records(place):
        device = _device(fields)
        if device.name in found:
            fields.place.fault(f"there is a device {device.name} in this list already")
        elif device.name:
            found[device.name] = device
        if len(found) > _MAX_DEVICES:
            place.fault(f"has more than {_MAX_DEVICES} devices")
            break
    return tuple(found.values())


def count_ipv6(place: Place) -> int:
    """Return how many addresses of IPv6 the records have."""
    devices = place.value if isinstance(place.value, SequenceNode) else ()
    lists = [device.get("addr_info") for device in devices if isinstance(device, MappingNode)]
    entries = [entry for one in lists if isinstance(one, SequenceNode) for entry in one]
    return sum(isinstance(entry, MappingNode) and entry.get("family") == "inet6" for entry in entries)


def merge(with_addresses: Iterable[Device], with_details: Iterable[Device]) -> tuple[Device, ...]:
    """Return the devices of both files: addresses of the one, all else of the other."""
    detailed = {device.name: device for device in with_details}
    merged: dict[str, Device] = {}
    for device in with_addresses:
        details = detailed.pop(device.name, None)
        merged[device.name] = device if details is None else attrs.evolve(details, addresses=device.addresses)
    merged |= detailed
    return tuple(sorted(merged.values(), key=lambda device: device.index))


def guess_kinds(devices: Iterable[Device], tunnels: Iterable[str]) -> Iterator[Device]:
    """Yield the devices with kinds where nothing says one.

    Args:
        devices: of which nobody asked for details.
        tunnels: those that an FDB gives remote destinations.
    """
    devices = tuple(devices)
    masters = {device.master for device in devices}
    remote = frozenset(tunnels)
    for device in devices:
        kind = ""
        if device.name in masters:
            kind = "bridge"
        elif device.name in remote:
            kind = "vxlan"
        elif device.elsewhere:
            kind = "veth"
        yield device if device.kind else attrs.evolve(device, kind=kind)


def addresses_from_routes(devices: Iterable[Device], routes: Iterable[Route]) -> Iterator[Device]:
    """Yield the devices with the addresses that their routes tell of.

    The kernel makes a route to each address in table local, and one to its subnet.
    """
    known = tuple(routes)
    lengths = {
        (hop.device, route.prefsrc): route.dst.length
        for route in known
        if route.protocol == "kernel" and route.type == "unicast" and route.prefsrc is not None
        for hop in route.hops
        if route.prefsrc in route.dst
    }
    for device in devices:
        own = [
            route.dst.address
            for route in known
            if route.type == "local" and route.protocol == "kernel" and route.dst.is_host
            for hop in route.hops
            if hop.device == device.name
        ]
        addresses = [Address(Interface(ip, lengths.get((device.name, ip), 32))) for ip in dict.fromkeys(own)]
        yield attrs.evolve(device, addresses=device.addresses or tuple(addresses))


# --- one record ---


def _device(fields: Fields) -> Device:
    layer = fields.get("link_type", text, _WITH_MAC)
    state = flags(fields)
    info = fields.place.at("linkinfo")
    details = Fields(info) if info.is_given else None
    kind = details.get("info_kind", word, "") if details else ""
    is_port = details is not None and details.get("info_slave_kind", word, "") == "bridge"
    vxlan = bridge = port = None
    if details is not None and kind == "vxlan":
        vxlan = details.get("info_data", _vxlan, None)
    ipip = Ipip() if kind == "ipip" else None
    if details is not None and ipip is not None:
        ipip = details.get("info_data", _ipip, ipip)
    if details is not None and kind == "bridge":
        bridge = details.get("info_data", _bridge, None)
    if details is not None and is_port:
        port = details.get("info_slave_data", _port, None)
    return Device(
        name=fields.must("ifname", device_name),
        kind=kind,
        layer=layer,
        mac=fields.get("address", _mac if layer == _WITH_MAC else _no_mac, None),
        mtu=fields.get("mtu", number_of, 1500),
        up="UP" in state,
        carrier="LOWER_UP" in state and "NO-CARRIER" not in state,
        master=fields.get("master", device_name, ""),
        index=fields.get("ifindex", number_of, 0),
        peer_index=fields.get("link_index", number_of, 0),
        elsewhere=fields.has("link_netnsid"),
        lower=fields.get("link", _lower, ""),
        addresses=tuple(one for one in fields.each("addr_info", _address) if one is not None),
        ageing=bridge[0] if bridge else 30_000,
        port=port[0] if port else None,
        vxlan=vxlan,
        ipip=ipip,
        unlike=(bridge[1] if bridge else ()) + (port[1] if port else ()),
    )


def _lower(place: Place) -> str:
    return "" if place.value is None else word(place)  # null: it is in another namespace


def _mac(place: Place) -> MacAddress:
    return values.device_mac(place)


def _no_mac(_: Place) -> None:
    return None


def _address(place: Place) -> Address | None:
    if place.at("family").value != "inet":
        return None
    fields = Fields(place)
    length = fields.must("prefixlen", _length)
    local, peer = fields.must("local", values.ipv4), fields.get("address", values.ipv4, None)
    interface = Interface(local, 32 if peer is not None else length)
    return Address(
        interface,
        None if peer is None else Interface(peer, length),
        fields.get("scope", word, "global"),
        fields.get("secondary", boolean, False),
    )


def _length(place: Place) -> int:
    length = number_of(place)
    if length > 32:
        place.wrong("a prefix length from 0 to 32")
        return 32
    return length


def _port(place: Place) -> tuple[Port, tuple[str, ...]]:
    fields = Fields(place)
    port = Port(
        hairpin=fields.get("hairpin", boolean, False),
        learning=fields.get("learning", boolean, True),
        flood=fields.get("flood", boolean, True),
        isolated=fields.get("isolated", boolean, False),
    )
    unlike = _other_than(place, _PORT_DEFAULTS)
    if place.at("state").value in {"blocking", "listening", "learning"}:
        unlike += (f"state {place.at('state').value}",)
    return port, unlike


def _bridge(place: Place) -> tuple[int, tuple[str, ...]]:
    ageing = Fields(place).get("ageing_time", number_of, 30_000)
    return min(ageing, _CENTISECONDS), _other_than(place, _BRIDGE_DEFAULTS)


def _other_than(place: Place, defaults: Mapping[str, object]) -> tuple[str, ...]:
    """Return the names of settings that are not as a document's devices have them."""
    return tuple(
        name
        for name, default in defaults.items()
        if place.at(name).is_given and place.at(name).value != default
    )


def _vxlan(place: Place) -> Vxlan:
    fields = Fields(place)
    given = {name: place.at(name).value for name in _VXLAN_SWITCHES if place.at(name).is_given}
    unlike = tuple(name for name, value in given.items() if value not in (False, 0, None))
    if is_ipv6(place.at("local6").value) or is_ipv6(place.at("remote6").value):
        unlike += ("IPv6",)
    return Vxlan(
        vni=fields.get("id", number_of, 0) & 0xFFFFFF,
        local=fields.get("local", values.ipv4, None),
        lower=fields.get("link", _lower, ""),
        port=fields.get("port", _udp_port, 4789),
        learning=fields.get("learning", boolean, True),
        udpcsum=fields.get("udp_csum", boolean, True),
        ttl=fields.get("ttl", _ttl, 0),
        remote=fields.get("remote", _remote, None),
        unlike=unlike,
    )


def _ipip(place: Place) -> Ipip:
    """Source: iproute2, ip/link_iptnl.c `iptunnel_print_opt`."""
    fields = Fields(place)
    switches = [name for name in ("external", "fwmark", "encap") if place.at(name).value not in (None, False)]
    proto = fields.get("proto", text, "ipip")
    if proto not in {"ipip", "any"}:
        switches.append(f"proto {proto}")
    return Ipip(
        local=fields.get("local", _end, None),
        remote=fields.get("remote", _end, None),
        lower=fields.get("link", _lower, ""),
        ttl=fields.get("ttl", _ttl, 0),
        tos=fields.get("tos", _tos, 0),
        pmtudisc=fields.get("pmtudisc", boolean, False),
        unlike=tuple(switches),
    )


def _end(place: Place) -> IpAddress | None:
    return None if place.value == "any" else values.ipv4(place)


def _tos(place: Place) -> int:
    value = place.value
    try:
        return int(value, 16) & 0xFF if isinstance(value, str) else values.octet(place)
    except ValueError:
        place.wrong("an octet in hexadecimal digits")
        return 0


def _udp_port(place: Place) -> int:
    return values.port(place)


def _ttl(place: Place) -> int:
    if isinstance(place.value, str):  # `auto`, `inherit`
        return 0
    return values.octet(place)


def _remote(place: Place) -> IpAddress | None:
    try:
        return values.ipv4(place)
    except AddressError:
        return None
