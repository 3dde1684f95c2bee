# SPDX-License-Identifier: GPL-2.0-only
"""`bridge`: a container's device becomes a port of a bridge of the node.

    container                    node
    eth0 ------- veth ------- vethXXXXXXXX --port-- cni0 (the gateway's address)

Known differences: `vlan`, `vlanTrunk`, `macspoofchk` and `portIsolation`'s
companions of the kernel that are not modelled are refused by name; a
promiscuous bridge is, too (its kind of port is not modelled). The plugin waits
until the host end is up; here it always is.

Source: containernetworking/plugins plugins/main/bridge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import AddressError
from emu.kernel import rtnetlink
from emu.kernel.link import bridge_ports
from emu.kernel.link.bridge import Bridge as BridgeLink
from emu.kernel.link.device import ETHERNET_MTU
from emu.kernel.route import RouteError
from emu.kube.cni import container, ipmasq
from emu.kube.cni.error import CniError, ErrorCode
from emu.kube.cni.links import Pair, add_veth, delete_link, delete_veth, host_name, mac_of
from emu.kube.cni.result import NO_DNS, Dns, IpConfig, Result, ResultInterface, RouteConfig
from emu.wire.addresses import Interface, IpAddress, MacAddress

if TYPE_CHECKING:
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kube.cni.call import Invocation
    from emu.kube.cni.fields import Fields

_CONTAINER: Final = 2  # place of the container's device in the result
_UNMODELLED: Final = ("vlan", "vlanTrunk", "macspoofchk", "promiscMode")


@attrs.frozen
class Options:
    """What a configuration says, with the names of the specification of the plugin."""

    bridge: str
    is_gateway: bool
    is_default_gateway: bool
    force_address: bool
    ip_masq: bool
    hairpin_mode: bool
    port_isolation: bool
    mtu: int
    mac: MacAddress | None
    dns: Dns


def read(fields: Fields) -> Options:
    """Return the options."""
    if fields.flag("hairpinMode") and fields.flag("promiscMode"):
        fields.wrong("promiscMode", "cannot set hairpin mode and promiscuous mode at the same time")
    for key in _UNMODELLED:
        if fields.values.get(key):
            fields.wrong(key, "is not modelled")
    if fields.text("ipMasqBackend", "iptables") != "iptables":
        fields.wrong("ipMasqBackend", "is modelled for iptables alone")
    is_default = fields.flag("isDefaultGateway")
    return Options(
        fields.text("bridge", "cni0") or "cni0",
        is_default or fields.flag("isGateway"),
        is_default,
        fields.flag("forceAddress"),
        fields.flag("ipMasq"),
        fields.flag("hairpinMode"),
        fields.flag("portIsolation"),
        fields.number("mtu"),
        fields.object("args").object("cni").mac("mac"),
        Dns.read(fields.object("dns")),
    )


class Bridge:
    """The plugin."""

    def add(self, given: Invocation) -> Result:
        """Make the bridge if need be, plug the container in, and give it addresses."""
        options, call = given.conf.read(read), given.call
        sandbox = call.require_sandbox()
        bridge = call.fabric.call(call.host, lambda net: _ensure_bridge(net, options))
        pair = add_veth(call, mtu=options.mtu, mac=_mac(given, options))
        call.fabric.call(call.host, lambda net: _plug(net, bridge, pair.host, options))
        if not given.conf.ipam:
            call.fabric.call(sandbox, lambda net: rtnetlink.set_up(net, pair.inside))
            return Result(_interfaces(call.path, bridge, pair), dns=options.dns)
        return self._layer3(given, options, bridge, pair)

    def _layer3(self, given: Invocation, options: Options, bridge: Device, pair: Pair) -> Result:
        call = given.call
        try:
            leased = container.delegate_ipam(given)
            ips = tuple(
                IpConfig(ip.address, ip.gateway or (_first(ip) if options.is_gateway else None), _CONTAINER)
                for ip in leased.ips
            )
            routes = leased.routes
            if options.is_default_gateway:
                routes = _with_default(routes, ips)
            try:
                inside = pair.inside
                sandbox = call.require_sandbox()
                sandbox.sysctl.set(f"net/ipv4/conf/{call.ifname}/arp_notify", 1)
                call.fabric.call(sandbox, lambda net: container.configure(net, inside, ips, routes))
                if options.is_gateway:
                    call.fabric.call(call.host, lambda net: _ensure_gateways(net, bridge, ips, options))
                    container.enable_forwarding(call)
                if options.ip_masq:
                    for ip in ips:
                        ipmasq.set_up(given, ip.address)
            except CniError:
                given.find(given.conf.ipam).delete(given)
                raise
        except CniError:
            delete_link(call.fabric, call.host, pair.host.name)
            raise
        dns = leased.dns if options.dns == NO_DNS else options.dns
        return Result(_interfaces(call.path, bridge, pair), ips, routes, dns)

    def delete(self, given: Invocation) -> None:
        """Give the addresses back, delete the container's device and the masquerade rules."""
        options, call = given.conf.read(read), given.call
        if given.conf.ipam:
            given.find(given.conf.ipam).delete(given)
        delete_veth(call, host_name(call.container_id, call.ifname))
        if options.ip_masq:
            ipmasq.tear_down(given)

    def check(self, given: Invocation) -> None:
        """Look at the bridge, both ends of the veth, addresses, routes and rules."""
        options, call = given.conf.read(read), given.call
        if given.conf.ipam:
            given.find(given.conf.ipam).check(given)
        inside = container.inside_interface(given)
        previous = given.previous
        assert previous is not None
        for each in previous.interfaces:
            if each is not inside and not each.sandbox:
                kind = BridgeLink.kind if each.name == options.bridge else "veth"
                device = container.check_link(call.host, each, kind)
                if kind == "veth" and (device.port is None or device.port.bridge.name != options.bridge):
                    raise CniError(f"Interface {each.name} is no port of {options.bridge}")
        container.check_inside(given)
        if options.ip_masq:
            for ip in previous.ips:
                ipmasq.check(given, ip.address)

    def status(self, given: Invocation) -> None:
        """Ask the IPAM plugin."""
        given.conf.read(read)
        if given.conf.ipam:
            given.find(given.conf.ipam).status(given)

    def gc(self, given: Invocation) -> None:
        """Ask the IPAM plugin."""
        if given.conf.ipam:
            given.find(given.conf.ipam).gc(given)


def _ensure_bridge(net: Namespace, options: Options) -> Device:
    device = net.devices.get(options.bridge)
    if device is None:
        device = net.add_device(
            options.bridge,
            BridgeLink(),
            mac_of(net.name, options.bridge),
            mtu=options.mtu or ETHERNET_MTU,
        )
        bridge_ports.start(device, mac_is_set=False)
        net.sysctl.set(f"net/ipv6/conf/{device.name}/accept_ra", 0)
    elif device.link.kind != BridgeLink.kind:
        name = options.bridge
        raise CniError(f'failed to create bridge "{name}": "{name}" already exists but is not a bridge')
    rtnetlink.set_up(net, device)
    return device


def _plug(net: Namespace, bridge: Device, device: Device, options: Options) -> None:
    rtnetlink.set_master(net, device, bridge)
    assert device.port is not None
    device.port.hairpin = options.hairpin_mode
    device.port.isolated = options.port_isolation


def _ensure_gateways(net: Namespace, bridge: Device, ips: tuple[IpConfig, ...], options: Options) -> None:
    for ip in ips:
        assert ip.gateway is not None
        wanted = Interface(ip.gateway, ip.address.length)
        own = [Interface(each.address, each.prefix.length) for each in bridge.addresses]
        if wanted in own:
            continue
        for other in own:
            if not options.force_address:
                raise CniError(
                    f'failed to set bridge addr: "{bridge.name}" already has an IP address '
                    f"different from {wanted}"
                )
            rtnetlink.delete_address(net, bridge, other)
        try:
            rtnetlink.add_address(net, bridge, wanted)
        except RouteError as error:
            raise CniError(f'could not add IP address to "{bridge.name}": {error}') from None
        rtnetlink.set_mac(net, bridge, bridge.mac)


def _first(ip: IpConfig) -> IpAddress:
    prefix = ip.address.prefix
    return IpAddress.from_int(int(prefix.address) + 1, prefix.address.bits)


def _with_default(routes: tuple[RouteConfig, ...], ips: tuple[IpConfig, ...]) -> tuple[RouteConfig, ...]:
    """Return `routes` with a default one, unless there is one that names its gateway."""
    if any(route.dst == container.DEFAULT and route.gateway is not None for route in routes):
        return routes
    return (*routes, RouteConfig(container.DEFAULT, ips[0].gateway))


def _mac(given: Invocation, options: Options) -> MacAddress | None:
    """Return the address that is asked for: by `runtimeConfig`, `args` or CNI_ARGS, in this order."""
    asked = given.runtime.get("mac") or options.mac or given.call.args.get("MAC")
    try:
        return MacAddress.parse(asked) if isinstance(asked, str) else options.mac
    except AddressError as error:
        raise CniError(str(error), ErrorCode.INVALID_NETWORK_CONFIG) from None


def _interfaces(path: str, bridge: Device, pair: Pair) -> tuple[ResultInterface, ...]:
    return (
        ResultInterface(bridge.name, bridge.mac),
        ResultInterface(pair.host.name, pair.host.mac),
        ResultInterface(pair.inside.name, pair.inside.mac, path),
    )
