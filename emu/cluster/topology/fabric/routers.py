# SPDX-License-Identifier: GPL-2.0-only
"""The key `routers`: what forwards between subnets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.cluster.topology import values
from emu.cluster.topology.fabric import quantities
from emu.document.fields import Fields, boolean, elements, integer
from emu.kernel.sysctl_check import check_machine_sysctl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.document.fields import Place
    from emu.wire.addresses import Interface, IpAddress, Prefix


@attrs.frozen
class InterfaceSpec:
    """A device of a router.

    Attributes:
        name: of the device.
        addresses: of it.
        ports: what is switched together behind it, as ports of a rack's subnet
            are; None where the device is a port itself.
        mtu: of the device.
        masquerade: what leaves by it gets its address (NAT).
    """

    name: str
    addresses: tuple[Interface, ...] = ()
    ports: tuple[str, ...] | None = None
    mtu: int = 1500
    masquerade: bool = False


@attrs.frozen
class WaySpec:
    """A route that somebody entered."""

    to: Prefix
    via: IpAddress


@attrs.frozen
class RouterSpec:
    """A router.

    Attributes:
        name: of it.
        interfaces: its devices.
        routes: what somebody entered.
        learns: it hears of other routers' networks and of pods, as by BGP.
        multipath: of ways that are equally long it uses all, not the first.
        sysctls: the last word.
        file: where it stands.
        line: the same.
    """

    name: str
    interfaces: tuple[InterfaceSpec, ...] = ()
    routes: tuple[WaySpec, ...] = ()
    learns: bool = True
    multipath: bool = False
    sysctls: Mapping[str, str] = attrs.field(factory=dict)
    file: str = attrs.field(default="", eq=False, repr=False, kw_only=True)
    line: int = attrs.field(default=0, eq=False, repr=False, kw_only=True)


def router(place: Place) -> RouterSpec:
    """Read one router."""
    fields = Fields(place)
    found = fields.done(
        RouterSpec(
            fields.must("name", values.name),
            fields.must("interfaces", lambda each: elements(each, interface)),
            fields.each("routes", way),
            fields.get("learns", boolean, default=True),
            fields.get("multipath", boolean, default=False),
            fields.get("sysctls", settings, {}),
            file=place.file,
            line=place.line,
        )
    )
    if fields.has("interfaces") and not any(each.addresses for each in found.interfaces):
        fields.place.fault("a router has an address at least, like 10.0.0.1/24")
    names = [name for each in found.interfaces for name in (each.name, *(each.ports or ()))]
    for name in sorted({name for name in names if names.count(name) > 1}):
        fields.place.at("interfaces").fault(f"has {name} twice")
    return found


def settings(place: Place) -> Mapping[str, str]:
    """Read sysctls, which a router's kernel has to take."""
    found = values.settings(place)
    for name, value in found.items():
        complaint = check_machine_sysctl(name, value)
        if complaint is not None:
            place.at(name).fault(complaint)
    return found


def interface(place: Place) -> InterfaceSpec:
    """Read one device of a router."""
    fields = Fields(place)
    return fields.done(
        InterfaceSpec(
            fields.must("name", quantities.port),
            fields.get("addresses", lambda each: elements(each, values.interface), ()),
            fields.get("ports", lambda each: elements(each, quantities.port), None),
            fields.get("mtu", integer(68, 65535), 1500),
            fields.get("masquerade", boolean, default=False),
        )
    )


def way(place: Place) -> WaySpec:
    """Read one route."""
    fields = Fields(place)
    return fields.done(WaySpec(fields.must("to", values.prefix), fields.must("via", values.address)))
