# SPDX-License-Identifier: GPL-2.0-only
"""`ptp`: a container's device and the node are alone on their cable, and the node routes.

The container has an address with the mask of its range, but no route to that
subnet on the link: everything goes to the gateway, whose address is on the host
end of every container's veth.

    container: GATEWAY dev eth0 scope link src ADDRESS
               SUBNET via GATEWAY dev eth0 src ADDRESS
    node:      ADDRESS dev vethXXXXXXXX scope host

Source: containernetworking/plugins plugins/main/ptp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.kernel import rtnetlink
from emu.kernel.route import TABLE_MAIN, Nexthop, Route, RouteError, RoutePattern, RouteType, Scope
from emu.kube.cni import container, ipmasq
from emu.kube.cni.error import CniError
from emu.kube.cni.links import add_veth, delete_link, delete_veth, host_name
from emu.kube.cni.result import NO_DNS, Dns, IpConfig, Result, ResultInterface
from emu.wire.addresses import Interface, IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kube.cni.call import Invocation
    from emu.kube.cni.fields import Fields

_CONTAINER = 1  # place of the container's device in the result


@attrs.frozen
class Options:
    """What a configuration says."""

    ip_masq: bool
    mtu: int
    dns: Dns


def read(fields: Fields) -> Options:
    """Return the options."""
    if fields.text("ipMasqBackend", "iptables") != "iptables":
        fields.wrong("ipMasqBackend", "is modelled for iptables alone")
    return Options(fields.flag("ipMasq"), fields.number("mtu"), Dns.read(fields.object("dns")))


class Ptp:
    """The plugin."""

    def add(self, given: Invocation) -> Result:
        """Give the container an address and the cable to the node."""
        options, call = given.conf.read(read), given.call
        sandbox = call.require_sandbox()
        leased = container.delegate_ipam(given)
        ips = tuple(IpConfig(ip.address, ip.gateway, _CONTAINER) for ip in leased.ips)
        host = ""
        try:
            container.enable_forwarding(call)
            pair = add_veth(call, mtu=options.mtu)
            host, inside, outside = pair.host.name, pair.inside, pair.host
            call.fabric.call(sandbox, lambda net: container.configure(net, inside, ips, leased.routes))
            call.fabric.call(sandbox, lambda net: _route_by_gateway(net, inside, ips))
            call.fabric.call(call.host, lambda net: _set_up_host(net, outside, ips))
            if options.ip_masq:
                for ip in ips:
                    ipmasq.set_up(given, ip.address)
        except CniError:
            given.find(given.conf.ipam).delete(given)
            delete_link(call.fabric, call.host, host)
            raise
        return Result(
            (ResultInterface(host, outside.mac), ResultInterface(call.ifname, inside.mac, call.path)),
            ips,
            leased.routes,
            leased.dns if options.dns == NO_DNS else options.dns,
        )

    def delete(self, given: Invocation) -> None:
        """Give the addresses back, delete the cable and the masquerade rules."""
        options, call = given.conf.read(read), given.call
        given.find(given.conf.ipam).delete(given)
        delete_veth(call, host_name(call.container_id, call.ifname))
        if options.ip_masq:
            ipmasq.tear_down(given)

    def check(self, given: Invocation) -> None:
        """Look at the container, the node's end and route, and the rules."""
        options, call = given.conf.read(read), given.call
        given.find(given.conf.ipam).check(given)
        container.check_inside(given)
        for ip in container.check_outside(given).ips:
            dst = _host(ip.address.address)
            if not container.has_route(call.host, dst):
                raise CniError(f"Expected Route {dst} not found in routing table of the node")
            if options.ip_masq:
                ipmasq.check(given, ip.address)

    def status(self, given: Invocation) -> None:
        """Ask the IPAM plugin."""
        given.conf.read(read)
        given.find(given.conf.ipam).status(given)

    def gc(self, given: Invocation) -> None:
        """Ask the IPAM plugin."""
        given.find(given.conf.ipam).gc(given)


def _host(address: IpAddress) -> Prefix:
    return Prefix(address, address.bits)


def _gateway(ip: IpConfig) -> IpAddress:
    if ip.gateway is None:
        raise CniError(f"IPAM plugin gave no gateway for {ip.address}")
    return ip.gateway


def _route_by_gateway(net: Namespace, device: Device, ips: Iterable[IpConfig]) -> None:
    """Put the two routes by the gateway in the place of the one that came with the address."""
    for ip in ips:
        own, gateway, subnet = ip.address.address, _gateway(ip), ip.address.prefix
        pattern = RoutePattern(subnet, table=TABLE_MAIN, nexthops=(Nexthop(device.name),))
        try:
            net.fib.delete(pattern)
        except RouteError as error:
            raise CniError(f"failed to delete route {subnet}: {error}") from None
        link = (Nexthop(device.name),)
        by_gateway = (Nexthop(device.name, gateway),)
        container.add_route(
            net, Route(_host(gateway), nexthops=link, table=TABLE_MAIN, scope=Scope.LINK, prefsrc=own)
        )
        container.add_route(
            net, Route(subnet, nexthops=by_gateway, table=TABLE_MAIN, scope=Scope.GLOBAL, prefsrc=own)
        )


def _set_up_host(net: Namespace, device: Device, ips: Iterable[IpConfig]) -> None:
    for ip in ips:
        gateway = _gateway(ip)
        try:
            rtnetlink.add_address(net, device, Interface(gateway, gateway.bits))
        except RouteError as error:
            raise CniError(f"failed to add IP addr ({gateway}) to veth: {error}") from None
        container.add_route(
            net,
            Route(
                _host(ip.address.address),
                RouteType.UNICAST,
                (Nexthop(device.name),),
                table=TABLE_MAIN,
                scope=Scope.HOST,
            ),
        )
