# SPDX-License-Identifier: GPL-2.0-only
"""What main plugins do inside the container, and how they look at it again.

Source: containernetworking/plugins pkg/ipam/ipam_linux.go, pkg/ip/utils_linux.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel import rtnetlink
from emu.kernel.route import TABLE_MAIN, Nexthop, Route, RouteError, RouteType, Scope
from emu.kube.cni.error import CniError, ErrorCode
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kube.cni.call import Call, Invocation
    from emu.kube.cni.result import IpConfig, Result, ResultInterface, RouteConfig
    from emu.wire.addresses import IpAddress

DEFAULT: Final = Prefix.parse("0.0.0.0/0")


def delegate_ipam(given: Invocation) -> Result:
    """Return what the IPAM plugin of the configuration gives.

    Raises:
        CniError: there is none, it failed (then it was asked to clean up), or it gave no address.
    """
    plugin = given.find(given.conf.ipam)
    try:
        result = plugin.add(given)
    except CniError:
        plugin.delete(given)
        raise
    if not result.ips:
        plugin.delete(given)
        raise CniError("IPAM plugin returned missing IP config")
    for ip in result.ips:
        if ip.address.address.family != 4:
            plugin.delete(given)
            raise CniError(
                f"{ip.address}: addresses of IPv6 are not modelled", ErrorCode.INVALID_NETWORK_CONFIG
            )
    return result


def configure(net: Namespace, device: Device, ips: Iterable[IpConfig], routes: Iterable[RouteConfig]) -> None:
    """Give a container's device its addresses, bring it up, and enter the routes.

    Raises:
        CniError: the kernel refuses part of it.
    """
    gateway: IpAddress | None = None
    for ip in ips:
        try:
            rtnetlink.add_address(net, device, ip.address)
        except RouteError as error:
            raise CniError(f'failed to add IP addr {ip.address} to "{device.name}": {error}') from None
        gateway = gateway or ip.gateway
    rtnetlink.set_up(net, device)
    for route in routes:
        via = route.gateway or gateway
        scope = Scope(route.scope) if route.scope is not None else Scope.GLOBAL
        if via is None and route.scope is None:
            scope = Scope.LINK
        add_route(
            net,
            Route(
                route.dst,
                RouteType.UNICAST,
                (Nexthop(device.name, via),),
                table=TABLE_MAIN if route.table is None else route.table,
                scope=scope,
                metric=route.priority,
                mtu=route.mtu,
            ),
        )


def add_route(net: Namespace, route: Route) -> None:
    """Enter a route.

    Raises:
        CniError: the kernel refuses it.
    """
    try:
        net.fib.add(route)
    except RouteError as error:
        hop = route.nexthops[0]
        raise CniError(
            f"failed to add route '{route.dst} via {hop.gateway} dev {hop.device}': {error}"
        ) from None


# --- looking again ---


def inside_interface(given: Invocation) -> ResultInterface:
    """Return the container's device of the previous result.

    Raises:
        CniError: it has none in this namespace.
    """
    previous = given.previous
    if previous is None:
        raise CniError("Required prevResult missing")
    path = given.call.path
    for each in previous.interfaces:
        if each.name == given.call.ifname and each.sandbox == path:
            return each
    raise CniError(f"Sandbox in prevResult  doesn't match configured netns: {path}")


def check_link(net: Namespace, wanted: ResultInterface, kind: str) -> Device:
    """Look whether a device is there, of its kind and with its MAC address.

    Raises:
        CniError: it is not.
    """
    device = net.devices.get(wanted.name)
    if device is None:
        raise CniError(f'Interface name in prevResult: "{wanted.name}" not found')
    if device.link.kind != kind:
        raise CniError(f"Interface {wanted.name} is not of type {kind}")
    if wanted.mac is not None and device.mac != wanted.mac:
        raise CniError(f"Interface {wanted.name} Mac {wanted.mac} doesn't match: {device.mac}")
    return device


def check_outside(given: Invocation) -> Result:
    """Look at the node's ends of the cables that the previous result names, and return that result.

    Raises:
        CniError: one is missing, or is another.
    """
    previous = given.previous
    assert previous is not None
    for each in previous.interfaces:
        if not each.sandbox:
            check_link(given.call.host, each, "veth")
    return previous


def has_route(net: Namespace, dst: Prefix) -> bool:
    """Return whether the main table has a route to exactly `dst`."""
    return any(route.dst == dst for route in net.fib.routes(TABLE_MAIN))


def check_addresses(device: Device, ips: Iterable[IpConfig]) -> None:
    """Look whether `device` has the addresses of a result.

    Raises:
        CniError: one is missing.
    """
    for ip in ips:
        if not any(
            (own.address, own.prefix) == (ip.address.address, ip.address.prefix) for own in device.addresses
        ):
            raise CniError(f"Failed to match addr {ip.address} on interface {device.name}")


def check_routes(net: Namespace, routes: Iterable[RouteConfig]) -> None:
    """Look whether a container has the routes of a result.

    Raises:
        CniError: one is missing.
    """
    present = list(net.fib.routes())
    for route in routes:
        if not any(
            each.dst == route.dst
            and (route.gateway is None or any(hop.gateway == route.gateway for hop in each.nexthops))
            and (route.table is None or each.table == route.table)
            for each in present
        ):
            via = f" via {route.gateway}" if route.gateway is not None else ""
            raise CniError(f"Expected Route {route.dst}{via} not found in routing table")


def check_inside(given: Invocation) -> None:
    """Look whether the container is as the previous result says.

    Raises:
        CniError: it is not.
    """
    wanted = inside_interface(given)
    net = given.call.require_sandbox()
    device = check_link(net, wanted, "veth")
    previous = given.previous
    assert previous is not None
    place = previous.interfaces.index(wanted)
    check_addresses(device, [ip for ip in previous.ips if ip.interface == place])
    check_routes(net, previous.routes)


def enable_forwarding(call: Call) -> None:
    """Let the node forward IPv4."""
    sysctl = call.host.sysctl
    if not sysctl.values["net.ipv4.ip_forward"]:
        sysctl.set("net.ipv4.ip_forward", 1)
