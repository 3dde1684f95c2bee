# SPDX-License-Identifier: GPL-2.0-only
"""`calico`: a container has an address for itself alone, and the node routes to it.

    container: 169.254.1.1 dev eth0 scope link, default via 169.254.1.1 dev eth0
    node:      ADDRESS dev caliXXXXXXXXXXX scope link

Nobody has 169.254.1.1. The node's end answers for it because it is a proxy for all that
the node reaches by another device: so a node without a default route cuts its pods off.

Source: projectcalico/calico cni-plugin/pkg/dataplane/linux/dataplane_linux.go.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel import rtnetlink
from emu.kernel.route import TABLE_MAIN, Insertion, Nexthop, Route, RouteError, RouteType, Scope
from emu.kube.cni import container
from emu.kube.cni.error import CniError
from emu.kube.cni.links import add_veth, delete_link
from emu.kube.cni.result import IpConfig, Result, ResultInterface, RouteConfig
from emu.wire.addresses import Interface, IpAddress, MacAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kube.cni.call import Call, Invocation
    from emu.kube.cni.fields import Fields

MAC: Final = MacAddress.parse("ee:ee:ee:ee:ee:ee")
"""The address of all host ends: each is alone on its cable."""

GATEWAY: Final = IpAddress.parse("169.254.1.1")
PREFIX: Final = "cali"
_CONTAINER: Final = 1  # place of the container's device in the result
_DIGITS: Final = 11
_HOST_SYSCTLS: Final = (
    ("net/ipv4/conf/{}/route_localnet", 1),
    ("net/ipv4/neigh/{}/proxy_delay", 0),
    ("net/ipv4/conf/{}/proxy_arp", 1),
    ("net/ipv4/conf/{}/forwarding", 1),
    ("net/ipv4/conf/{}/rp_filter", 1),
    ("net/ipv6/conf/{}/accept_ra", 0),
)


@attrs.frozen
class Options:
    """What a configuration says."""

    mtu: int
    ip_forward: bool


def read(fields: Fields) -> Options:
    """Return the options."""
    settings = fields.object("container_settings")
    return Options(fields.number("mtu"), settings.flag("allow_ip_forwarding"))


def device_name(namespace: str, pod: str) -> str:
    """Return the name of a pod's device on its node."""
    return PREFIX + hashlib.sha1(f"{namespace}.{pod}".encode(), usedforsecurity=False).hexdigest()[:_DIGITS]


class Calico:
    """The plugin."""

    def add(self, given: Invocation) -> Result:
        """Give the container an address and the cable to the node."""
        options, call = given.conf.read(read), given.call
        sandbox = call.require_sandbox()
        leased = container.delegate_ipam(given)
        ips = tuple(IpConfig(Interface(ip.address.address, 32), None, _CONTAINER) for ip in leased.ips)
        routes = (RouteConfig(container.DEFAULT, GATEWAY),)
        name = _name(call)
        try:
            delete_link(call.fabric, call.host, name)  # of a sandbox before, if it was left
            pair = add_veth(call, mtu=options.mtu, name=name)
            call.fabric.call(call.host, partial(_set_up_host, device=pair.host, ips=ips))
            call.fabric.call(sandbox, partial(_set_up_container, device=pair.inside, ips=ips))
            sandbox.sysctl.set("net.ipv4.ip_forward", int(options.ip_forward))
        except CniError:
            given.find(given.conf.ipam).delete(given)
            delete_link(call.fabric, call.host, name)
            raise
        return Result(
            (ResultInterface(name), ResultInterface(call.ifname, pair.inside.mac, call.path)), ips, routes
        )

    def delete(self, given: Invocation) -> None:
        """Give the addresses back and delete the cable, with which the routes go."""
        given.conf.read(read)
        given.find(given.conf.ipam).delete(given)
        delete_link(given.call.fabric, given.call.host, _name(given.call))

    def check(self, given: Invocation) -> None:
        """Look at the container, the node's end, and the routes to it."""
        given.find(given.conf.ipam).check(given)
        container.check_inside(given)
        for ip in container.check_outside(given).ips:
            dst = Prefix(ip.address.address, 32)
            if not container.has_route(given.call.host, dst):
                raise CniError(f"no route to {dst} on the node")

    def status(self, given: Invocation) -> None:
        """Ask the IPAM plugin."""
        given.conf.read(read)
        given.find(given.conf.ipam).status(given)

    def gc(self, given: Invocation) -> None:
        """Ask the IPAM plugin."""
        given.find(given.conf.ipam).gc(given)


def _name(call: Call) -> str:
    args = call.args
    return device_name(args.get("K8S_POD_NAMESPACE", ""), args.get("K8S_POD_NAME", call.container_id))


def _set_up_host(net: Namespace, device: Device, ips: Iterable[IpConfig]) -> None:
    rtnetlink.set_mac(net, device, MAC)
    for name, value in _HOST_SYSCTLS:
        net.sysctl.set(name.format(device.name), value)
    for ip in ips:
        route = Route(
            Prefix(ip.address.address, 32),
            nexthops=(Nexthop(device.name),),
            table=TABLE_MAIN,
            scope=Scope.LINK,
        )
        try:
            net.fib.add(route, Insertion.REPLACE)
        except RouteError as error:
            raise CniError(f"error adding host side routes for interface: {device.name}: {error}") from None


def _set_up_container(net: Namespace, device: Device, ips: Iterable[IpConfig]) -> None:
    rtnetlink.set_up(net, device)
    hops = (
        Route(Prefix(GATEWAY, 32), nexthops=(Nexthop(device.name),), table=TABLE_MAIN, scope=Scope.LINK),
        Route(container.DEFAULT, RouteType.UNICAST, (Nexthop(device.name, GATEWAY),), table=TABLE_MAIN),
    )
    for route in hops:
        container.add_route(net, route)
    for ip in ips:
        try:
            rtnetlink.add_address(net, device, ip.address)
        except RouteError as error:
            raise CniError(f'failed to add IP addr to "{device.name}": {error}') from None
