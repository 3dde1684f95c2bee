# SPDX-License-Identifier: GPL-2.0-only
"""Where the routes of a namespace lead, told without names: by whose addresses they are."""

from __future__ import annotations

from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel.fib import Flow
from emu.verify.likeness.doubt import Doubt

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from emu.kernel.namespace import Namespace
    from emu.kernel.route import Nexthop
    from emu.verify.likeness.universe import Universe
    from emu.wire.addresses import IpAddress

_BITS: Final = 32
_BY_TOS: Final = "there are routes for some types of service"
_NO_NAMES: Final[Mapping[str, str]] = MappingProxyType({})


class Way(NamedTuple):
    """What a namespace does with packets for an address.

    Attributes:
        device: where they leave.
        gateway: by whom they go, None for the address itself.
        text: all that counts, as a value that can be compared.
    """

    device: str
    gateway: IpAddress | None
    text: Hashable


def way(
    net: Namespace, address: bytes, call: Callable[[IpAddress], Hashable], devices: Mapping[str, str]
) -> Way | None:
    """Return where packets for `address` go, None if nowhere.

    Args:
        net: the namespace.
        address: the destination.
        call: what gateways and sources are called.
        devices: what devices are called that have names of their own.

    Raises:
        Doubt: there is more than one way.
    """
    found = net.fib.lookup(Flow(address))
    if found is None:
        return None
    route = found.route
    if len(route.nexthops) > 1:
        raise Doubt("there are routes with several ways")
    hops = tuple(_hop(hop, call, devices) for hop in route.nexthops)
    source = None if route.prefsrc is None else call(route.prefsrc)
    rest = route.scope, route.tos, route.mtu, route.mtu_locked
    device = route.nexthops[0].device if route.nexthops else ""
    gateway = route.nexthops[0].gateway if route.nexthops else None
    return Way(device, gateway, (route.type, hops, source, rest))


def device_to(net: Namespace, number: int) -> str:
    """Return the device by which packets for an address leave, empty for none.

    Raises:
        Doubt: there is more than one way.
    """
    found = net.fib.lookup(Flow(number.to_bytes(4, "big")))
    if found is None or not found.route.nexthops:
        return ""
    if len(found.route.nexthops) > 1:
        raise Doubt("there are routes with several ways")
    return found.route.nexthops[0].device


def check(net: Namespace) -> None:
    """Check that where packets go depends on nothing but their destinations.

    Raises:
        Doubt: it may.
    """
    if any(route.tos for route in net.fib.routes()):
        raise Doubt(_BY_TOS)


def _hop(hop: Nexthop, call: Callable[[IpAddress], Hashable], devices: Mapping[str, str]) -> Hashable:
    gateway = None if hop.gateway is None else call(hop.gateway)
    return devices.get(hop.device, hop.device), gateway, hop.onlink, hop.scope, hop.dead, hop.linkdown


def routes(
    net: Namespace, home: str, number: int, universe: Universe, call: Callable[[IpAddress], Hashable]
) -> Hashable:
    """Return the routes of a pod: for whom each is, as seen from its node, the narrowest first.

    Those for none of the addresses that take part are left out.

    Args:
        net: the pod's namespace.
        home: that of its node.
        number: of the pod.
        universe: who takes part.
        call: what gateways and sources are called.

    Raises:
        Doubt: a route has more than one way.
    """
    found: list[tuple[int, Hashable]] = []
    for route in net.fib.routes():
        length = route.dst.length
        mask = ((1 << length) - 1) << (_BITS - length)
        extent = universe.prefix(int(route.dst.address), mask)
        if not extent:
            continue
        if len(route.nexthops) > 1:
            raise Doubt("there are routes with several ways")
        if route.tos:
            raise Doubt(_BY_TOS)
        itself = length == _BITS and extent.pods == 1 << number
        whom = "itself" if itself else universe.seen_from(extent, home)
        hops = tuple([_hop(hop, call, _NO_NAMES) for hop in route.nexthops])
        source = None if route.prefsrc is None else call(route.prefsrc)
        rest = route.table, route.scope, route.metric, route.mtu, route.mtu_locked
        found.append((-length, (whom, route.type, hops, source, rest)))
    found.sort(key=itemgetter(0))
    return tuple([text for _, text in found])
