# SPDX-License-Identifier: GPL-2.0-only
"""`ip -j neigh` and `bridge -j fdb`: who is where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.cluster.network import values
from emu.cluster.network.importing.dump import FdbEntry, Neighbour
from emu.cluster.network.importing.records import device_name, flags, is_ipv6, number_of, records, word

if TYPE_CHECKING:
    from emu.document.fields import Fields, Place
    from emu.wire.addresses import MacAddress

_STATES: Final = {
    "PERMANENT": "permanent",
    "NOARP": "noarp",
    "REACHABLE": "reachable",
    "STALE": "stale",
    "DELAY": "stale",
    "PROBE": "stale",
    "FAILED": "failed",
    "INCOMPLETE": "failed",
    "NONE": "none",
}
"""A document begins in silence: who was being asked is asked again when it is needed."""


def read_neighbours(place: Place) -> tuple[tuple[Neighbour, ...], int]:
    """Return the neighbours of IPv4, and how many there are of IPv6."""
    found: list[Neighbour] = []
    passed_over = 0
    for fields in records(place):
        if is_ipv6(fields.place.at("dst").value):
            passed_over += 1
        elif not fields.has("proxy"):
            found.append(_neighbour(fields))
    return tuple(found), passed_over


def _neighbour(fields: Fields) -> Neighbour:
    ip = fields.must("dst", values.ipv4)
    device = fields.must("dev", device_name)
    mac = fields.get("lladdr", _link_address, None)
    words = [name for name in flags(fields, "state") if name in _STATES]
    state = _STATES[words[0]] if words else "none"
    if mac is None and state != "failed":
        state = "failed"
    return Neighbour(ip, device, mac, state)


def _link_address(place: Place) -> MacAddress | None:
    """Read a MAC address; other kinds of networks have other addresses, which are passed over."""
    if isinstance(place.value, str) and place.value.count(":") != 5:
        return None
    return values.mac(place)


def read_fdb(place: Place) -> tuple[tuple[FdbEntry, ...], int]:
    """Return the entries that lead somewhere, and how many have a destination of IPv6.

    Group addresses that a device itself listens for are passed over.
    """
    found: list[FdbEntry] = []
    passed_over = 0
    for fields in records(place):
        entry = fields.place
        if is_ipv6(entry.at("dst").value):
            passed_over += 1
        elif entry.at("dst").is_given or entry.at("master").is_given:
            found.append(_fdb_entry(fields))
    return tuple(found), passed_over


def _fdb_entry(fields: Fields) -> FdbEntry:
    further: list[str] = []
    for key, option in (("port", "port"), ("vni", "vni")):
        if fields.has(key):
            further += (option, str(fields.must(key, number_of)))
    if fields.has("viaIf"):
        further += ("via", fields.must("viaIf", device_name))
    return FdbEntry(
        mac=fields.must("mac", values.mac),
        device=fields.must("ifname", device_name),
        master=fields.get("master", device_name, ""),
        state=fields.get("state", _state, ""),
        dst=fields.get("dst", values.ipv4, None),
        further=tuple(further),
    )


def _state(place: Place) -> str:
    if place.value == "":
        return ""
    name = word(place)
    return name if name in {"permanent", "static"} else ""
