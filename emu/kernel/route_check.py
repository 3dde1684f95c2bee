# SPDX-License-Identifier: GPL-2.0-only
"""What a route must be to be entered, and how its nexthops' devices are found.

Source: net/ipv4/fib_semantics.c `fib_create_info`, `fib_check_nh`.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.route import (
    LEAST_SCOPE,
    TABLE_LOCAL,
    TABLE_MAIN,
    Nexthop,
    Route,
    RouteError,
    RouteType,
    Scope,
)
from emu.kernel.tables import Flow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.link.device import Device
    from emu.kernel.tables import RoutingTables
    from emu.wire.addresses import IpAddress

_GLOBAL: Final = Scope.GLOBAL  # looked up for every route
_LINK: Final = Scope.LINK
_HOST: Final = Scope.HOST
_NEAR: Final = int(Scope.LINK) - 1


@attrs.frozen
class RouteCheck:
    """Checks routes against the tables and devices there are."""

    tables: RoutingTables
    devices: Mapping[str, Device]

    def complete(self, route: Route) -> Route:
        """Return `route` with its nexthops' devices found.

        Raises:
            RouteError: it cannot be entered (EINVAL, ENODEV, ENETDOWN, ENETUNREACH).
        """
        kind = route.type
        is_plain = kind is RouteType.UNICAST
        if not is_plain and route.scope < LEAST_SCOPE.get(kind, _GLOBAL):
            raise RouteError(errno.EINVAL, "Invalid scope")
        if not is_plain and kind.is_error:
            if route.nexthops:
                raise RouteError(
                    errno.EINVAL, "Gateway, device and multipath can not be specified for this route type"
                )
            return route
        if route.scope > _HOST:
            raise RouteError(errno.EINVAL, "Invalid scope")
        nexthops = route.nexthops or (Nexthop(),)
        if route.scope == _HOST:
            self._check_own(nexthops)
        else:
            nexthops = tuple([self._check_nexthop(nexthop, route) for nexthop in nexthops])
        if route.prefsrc is not None and not self._is_valid_prefsrc(route, route.prefsrc):
            raise RouteError(errno.EINVAL, "Invalid prefsrc address")
        return route if nexthops is route.nexthops else route.entered(nexthops)

    def _check_own(self, nexthops: tuple[Nexthop, ...]) -> None:
        """Check the nexthop of a route to this host itself."""
        if len(nexthops) > 1:
            raise RouteError(errno.EINVAL, "Route with host scope can not have multiple nexthops")
        nexthop = nexthops[0]
        if nexthop.gateway is not None:
            raise RouteError(errno.EINVAL, "Route with host scope can not have a gateway")
        if nexthop.device not in self.devices:
            raise RouteError(errno.ENODEV)

    def _check_nexthop(self, nexthop: Nexthop, route: Route) -> Nexthop:
        """Return `nexthop` with its device found. Source: net/ipv4/fib_semantics.c `fib_check_nh`."""
        gateway = nexthop.gateway
        if gateway is None or gateway.is_unspecified:
            return self._check_direct(nexthop)
        if nexthop.onlink:
            return self._check_onlink(nexthop, gateway, route)
        flow = Flow(gateway, oif=nexthop.device)
        scope = _LINK if route.scope < _NEAR else Scope(route.scope + 1)
        found = None
        if route.table != TABLE_MAIN:
            found = self.tables.search_table(route.table, flow, scope, ignore_linkstate=True)
        if found is None or (found.type is not RouteType.UNICAST and found.type.is_error):
            found = self.tables.search(flow, scope, ignore_linkstate=True)
        if found is None:
            raise RouteError(errno.ENETUNREACH, "Nexthop has invalid gateway")
        if found.type is not RouteType.UNICAST and found.type is not RouteType.LOCAL:
            raise RouteError(errno.EINVAL, "Nexthop has invalid gateway")
        device = self.devices[found.device]
        if not device.up:
            raise RouteError(errno.ENETDOWN)
        return _checked(nexthop, gateway, device, found.route.scope)

    def _check_direct(self, nexthop: Nexthop) -> Nexthop:
        if nexthop.onlink:
            raise RouteError(errno.EINVAL, "Invalid flags for nexthop - PERVASIVE and ONLINK can not be set")
        device = self.devices.get(nexthop.device)
        if device is None:
            raise RouteError(errno.ENODEV)
        if not device.up:
            raise RouteError(errno.ENETDOWN, "Device for nexthop is not up")
        if nexthop.scope is _HOST and nexthop.gateway is None and nexthop.linkdown is not device.carrier:
            return nexthop if not nexthop.dead else _checked(nexthop, None, device, _HOST)
        return _checked(nexthop, None, device, _HOST)

    def _check_onlink(self, nexthop: Nexthop, gateway: IpAddress, route: Route) -> Nexthop:
        if route.scope >= Scope.LINK:
            raise RouteError(errno.EINVAL, "Nexthop has invalid scope")
        device = self.devices.get(nexthop.device)
        if device is None:
            raise RouteError(errno.ENODEV, "Nexthop device required for onlink")
        if not device.up:
            raise RouteError(errno.ENETDOWN, "Nexthop device is not up")
        if self.tables.address_type(gateway) is not RouteType.UNICAST:
            raise RouteError(errno.EINVAL, "Nexthop has invalid gateway")
        return _checked(nexthop, gateway, device, Scope.LINK)

    def _is_valid_prefsrc(self, route: Route, prefsrc: IpAddress) -> bool:
        """Return whether `prefsrc` is ours. Source: net/ipv4/fib_semantics.c `fib_valid_prefsrc`."""
        if route.type is RouteType.LOCAL and prefsrc == route.dst.address:
            return True
        if self.tables.address_type(prefsrc) is RouteType.LOCAL:
            return True
        is_elsewhere = route.table not in {TABLE_MAIN, TABLE_LOCAL}
        return is_elsewhere and self.tables.address_type(prefsrc, table=route.table) is RouteType.LOCAL


def _checked(nexthop: Nexthop, gateway: IpAddress | None, device: Device, scope: Scope) -> Nexthop:
    linkdown = not device.carrier
    return Nexthop(device.name, gateway, nexthop.weight, nexthop.onlink, scope, linkdown=linkdown)
