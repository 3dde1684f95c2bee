# SPDX-License-Identifier: GPL-2.0-only
"""IPv4 addresses of a device, the routes that come with them, and the choice of a source.

A device that is up has for each address `10.244.1.1/24`: in table `local` the
address itself and the subnet's broadcast address, in `main` the subnet. All of
them name the address, or for a *secondary* (another of the same subnet) the
first one, as preferred source.

Source: net/ipv4/devinet.c, net/ipv4/fib_frontend.c `fib_add_ifaddr`, `fib_del_ifaddr`.
"""

from __future__ import annotations

import contextlib
import errno
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.link.device import Device, IfAddress
from emu.kernel.route import (
    PROTOCOL_KERNEL,
    TABLE_LOCAL,
    TABLE_MAIN,
    Insertion,
    Nexthop,
    Route,
    RouteError,
    RoutePattern,
    RouteType,
    Scope,
)
from emu.wire.addresses import ANY_IP4, LIMITED_BROADCAST, Interface, IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emu.kernel.fib import Fib

_LOOPBACK: Final = Interface.parse("127.0.0.1/8")
_SCOPES: Final = {scope.name.lower(): scope for scope in Scope}


# --- adding ---


def add_address(
    fib: Fib,
    device: Device,
    interface: Interface,
    *,
    peer: Prefix | None = None,
    broadcast: IpAddress | None = None,
    scope: str | None = None,
) -> IfAddress:
    """Give `device` an address, enter its routes, and return it.

    Args:
        fib: where the routes go.
        device: gets the address, up or not.
        interface: the address and the length of its subnet's prefix.
        peer: what is at the other end of a point-to-point link, instead of the subnet.
        broadcast: the subnet's broadcast address. `ip addr add` gives none,
            and there is a route to the subnet's highest address all the same.
        scope: `global`, `link` or `host`; by default `host` for 127.0.0.0/8, else `global`.

    Raises:
        RouteError: EEXIST, the device has it already; EINVAL, another address
            of the subnet has another scope; EAFNOSUPPORT, it is of IPv6.

    Source: net/ipv4/devinet.c `inet_rtm_newaddr`, `__inet_insert_ifa`.
    """
    if interface.address.family != 4:
        raise RouteError(errno.EAFNOSUPPORT)
    if scope is None:
        scope = "host" if interface.address.is_loopback else "global"
    prefix = interface.prefix if peer is None else peer
    relatives = [known for known in device.addresses if known.prefix == prefix]
    if any(known.address == interface.address for known in relatives):
        raise RouteError(errno.EEXIST, "ipv4: Address already assigned")
    if any(known.scope != scope for known in relatives):
        raise RouteError(errno.EINVAL, "ipv4: Invalid scope value")
    address = IfAddress(interface.address, prefix, broadcast, scope, bool(relatives))
    place = len(device.addresses) if address.secondary else _place_of_primary(device.addresses, scope)
    device.addresses.insert(place, address)
    _connect(fib, device, [address])
    return address


def add_hosts(fib: Fib, device: Device, interfaces: Iterable[Interface]) -> None:
    """Give `device` many addresses that are no subnet's (/32): as one after the other, without a search each.

    Raises:
        RouteError: EEXIST, it has one of them already; those before it have been added.
    """
    known = {own.address for own in device.addresses}
    place = _place_of_primary(device.addresses, "global")
    for interface in interfaces:
        if interface.address in known:
            raise RouteError(errno.EEXIST, "ipv4: Address already assigned")
        known.add(interface.address)
        address = IfAddress(interface.address, interface.prefix, None, "global", secondary=False)
        device.addresses.insert(place, address)
        place += 1
        _connect(fib, device, [address])


def _place_of_primary(addresses: list[IfAddress], scope: str) -> int:
    """Return the place behind the last primary address of the same or a nearer scope."""
    return max(
        (
            place
            for place, known in enumerate(addresses, 1)
            if not known.secondary and _SCOPES[scope] <= _SCOPES[known.scope]
        ),
        default=0,
    )


def _connect(fib: Fib, device: Device, addresses: Iterable[IfAddress], *, again: bool = False) -> None:
    """Enter the routes of `addresses`; of those that were there `again`, some may be entered already."""
    for address in addresses:
        for route in _routes(device, address, up=device.up):
            if not (again and fib.holds(route)):
                with contextlib.suppress(RouteError):  # where two addresses want the same route
                    fib.insert(route, Insertion.APPEND)
    if device.up:
        fib.device_up(device.name)  # revives what died with the last address


def _routes(device: Device, address: IfAddress, *, up: bool) -> Iterator[Route]:
    """Yield the routes that come with `address`, on a device that is `up` or not.

    Source: net/ipv4/fib_frontend.c `fib_add_ifaddr`.
    """
    prefix = address.prefix
    primary = _primary(device.addresses, address).address
    yield _route(device, RouteType.LOCAL, Prefix.of(address.address, 32), primary)
    if not up:
        return
    if address.broadcast is not None and address.broadcast != LIMITED_BROADCAST:
        yield _route(device, RouteType.BROADCAST, Prefix.of(address.broadcast, 32), primary)
    is_lone = prefix.length == 32 and prefix.address == address.address
    if prefix.address == ANY_IP4 or address.secondary or is_lone:
        return
    kind = RouteType.LOCAL if device.is_loopback else RouteType.UNICAST
    yield _route(device, kind, prefix, primary)
    if prefix.length < 31:
        highest = Interface(prefix.address, prefix.length).broadcast
        yield _route(device, RouteType.BROADCAST, Prefix.of(highest, 32), primary)


def _primary(addresses: list[IfAddress], address: IfAddress) -> IfAddress:
    if not address.secondary:
        return address
    return next(known for known in addresses if known.prefix == address.prefix and not known.secondary)


def _route(device: Device, kind: RouteType, dst: Prefix, prefsrc: IpAddress) -> Route:
    if device.is_loopback:
        return _loopback_route(device.name, kind, dst, prefsrc, linkdown=not device.carrier)
    return _kernel_route(device.name, kind, dst, prefsrc, linkdown=not device.carrier)


def _kernel_route(device: str, kind: RouteType, dst: Prefix, prefsrc: IpAddress, *, linkdown: bool) -> Route:
    """Return a route of the kernel's own; what the FIB finds out about its nexthop stands there already."""
    is_local = kind is RouteType.LOCAL
    return Route(
        dst,
        kind,
        _hop(device) if is_local else _linked(device, linkdown=linkdown),
        table=TABLE_MAIN if kind is RouteType.UNICAST else TABLE_LOCAL,
        scope=Scope.HOST if is_local else Scope.LINK,
        prefsrc=prefsrc,
        protocol=PROTOCOL_KERNEL,
    )


_loopback_route = lru_cache(maxsize=1024)(_kernel_route)  # the same in every namespace


@lru_cache(maxsize=1024)
def _hop(device: str) -> tuple[Nexthop, ...]:
    return (Nexthop(device),)


@lru_cache(maxsize=1024)
def _linked(device: str, *, linkdown: bool) -> tuple[Nexthop, ...]:
    return (Nexthop(device, scope=Scope.HOST, linkdown=linkdown),)


# --- deleting ---


def delete_address(
    fib: Fib, device: Device, wanted: Interface | IpAddress, *, promote: bool, peer: Prefix | None = None
) -> list[IfAddress]:
    """Take an address from `device`, and with a primary one the secondaries; return all that went.

    Args:
        fib: loses the routes that came with the address; those in `main` that
            have it as preferred source; with the last address all by this device.
        device: has the address.
        wanted: the address and its prefix length; an address alone means the
            first entry with it.
        promote: sysctl `promote_secondaries`: the first secondary takes the
            primary's place, and none goes with it.
        peer: as it was given to `add_address`.

    Raises:
        RouteError: EADDRNOTAVAIL, the device does not have it.

    Source: net/ipv4/devinet.c `inet_rtm_deladdr`, `__inet_del_ifa`.
    """
    if isinstance(wanted, Interface):
        fitting = (wanted.address, wanted.prefix if peer is None else peer)
        found = [known for known in device.addresses if (known.address, known.prefix) == fitting]
    else:
        found = [known for known in device.addresses if known.address == wanted]
    if found:
        return _delete(fib, device, found[0], promote=promote)
    raise RouteError(errno.EADDRNOTAVAIL, "ipv4: Address not found")


def flush_addresses(fib: Fib, device: Device) -> None:
    """Take all addresses from `device`."""
    while device.addresses:
        _delete(fib, device, device.addresses[0], promote=False)


def _delete(fib: Fib, device: Device, address: IfAddress, *, promote: bool) -> list[IfAddress]:
    secondaries = [
        known
        for known in device.addresses
        if known.secondary and known.prefix == address.prefix and not address.secondary
    ]
    if secondaries and promote:
        _promote(fib, device, address, secondaries)
        return [address]
    for gone in (*secondaries, address):
        before = _all_routes(device)
        device.addresses.remove(gone)
        _disconnect(fib, device, before, gone)
    return [*secondaries, address]


def _promote(fib: Fib, device: Device, old: IfAddress, secondaries: list[IfAddress]) -> None:
    """Put the first of `secondaries` in the place of `old`."""
    before = _all_routes(device)
    promoted = attrs.evolve(secondaries[0], secondary=False)
    addresses = device.addresses
    place = addresses.index(old)
    between = addresses[place + 1 : addresses.index(secondaries[0])]
    place += max(
        (
            offset
            for offset, known in enumerate(between, 1)
            if not known.secondary and _SCOPES[old.scope] <= _SCOPES[known.scope]
        ),
        default=0,
    )
    addresses.remove(secondaries[0])
    addresses.insert(place + 1, promoted)
    addresses.remove(old)
    _disconnect(fib, device, before, old)
    _connect(fib, device, [promoted, *secondaries[1:]])


def _all_routes(device: Device) -> dict[Route, None]:
    return dict.fromkeys(route for address in device.addresses for route in _routes(device, address, up=True))


def _disconnect(fib: Fib, device: Device, before: dict[Route, None], gone: IfAddress) -> None:
    """Delete those of the routes `before` that no address needs any more.

    Linux tells need by the address alone, and so is wrong in two odd cases: it
    keeps the route to a `broadcast` that is the first address of another subnet
    of the device, and deletes the one to a `peer` of the loopback that is an
    address of the loopback as well.
    """
    needed = _all_routes(device)
    for route in before:
        if route not in needed:
            with contextlib.suppress(RouteError):  # somebody else deleted it
                fib.delete(RoutePattern.of(route))
    is_kept = any(known.address == gone.address for known in device.addresses)
    if not is_kept and fib.address_type(gone.address) is not RouteType.LOCAL:
        fib.flush(lambda route: route.prefsrc == gone.address and route.table == TABLE_MAIN)
    if not device.addresses:
        fib.device_down(device.name, force=True)


# --- ups and downs ---


def device_up(fib: Fib, device: Device) -> None:
    """Enter the routes of a device that has just come up; the loopback gets 127.0.0.1/8."""
    addresses = tuple(device.addresses)
    if device.is_loopback:
        with contextlib.suppress(RouteError):  # it has the address already
            add_address(fib, device, _LOOPBACK)
    _connect(fib, device, addresses, again=True)


def device_down(fib: Fib, device: Device) -> None:
    """Take the routes by a device that has just gone down, but for those to its own addresses."""
    fib.device_down(device.name)


def device_removed(fib: Fib, device: Device) -> None:
    """Take the addresses of a device that is going away, and all routes by it."""
    flush_addresses(fib, device)
    fib.device_removed(device.name)


# --- asking ---


def select_source(
    devices: Iterable[Device],
    device: Device | None,
    dst: IpAddress | None,
    scope: Scope,
    *,
    route_localnet: bool = False,
) -> IpAddress | None:
    """Return the address that packets leaving by `device` get as source, None if there is none.

    Args:
        devices: all of the namespace, in the order of their index.
        device: whose addresses are preferred.
        dst: an address of this one's subnet is preferred; None for the first.
        scope: the address must reach that far: `LINK` takes those of scope
            `link` and `global`.
        route_localnet: the sysctl: addresses of scope `host` may be used, too.

    Source: net/ipv4/devinet.c `inet_select_addr`.
    """
    nearest = Scope.LINK if route_localnet else Scope.HOST
    if device is not None:
        usable = [
            own for own in device.addresses if not own.secondary and min(_SCOPES[own.scope], nearest) <= scope
        ]
        if dst is not None and not dst.is_unspecified:
            for own in usable:
                if dst in own.prefix:
                    return own.address
        if usable:
            return usable[0].address
    for other in devices:
        for own in other.addresses:
            if not own.secondary and own.scope != "link" and _SCOPES[own.scope] <= scope:
                return own.address
    return None
