# SPDX-License-Identifier: GPL-2.0-only
"""`aws-cni`: a pod gets a secondary address of one of its node's interfaces, and a routed cable.

    pod:   169.254.1.1 dev eth0 scope link; default via 169.254.1.1; a static neighbour
           169.254.1.1, the node's end of the cable: no ARP for it
    node:  ADDRESS dev eniXXXXXXXXXXX scope link
           ip rule 512 to ADDRESS lookup main, 1536 from ADDRESS lookup N

The node's end is called after the pod: `eni` and eleven digits of the SHA-1 of
`NAMESPACE.NAME`. Which interfaces there are stands in a file that the daemon writes.
An address that was given back rests for 30 s.

Source: aws/amazon-vpc-cni-k8s cmd/routed-eni-cni-plugin, pkg/ipamd/datastore.
"""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel import arp, rtnetlink
from emu.kernel.nud import Nud
from emu.kernel.route import TABLE_MAIN, Nexthop, Route, RouteError, RoutePattern, Scope
from emu.kernel.rules import RoutingRule, RulePattern
from emu.kube.cni import container
from emu.kube.cni.error import CniError, ErrorCode
from emu.kube.cni.host_local import Store
from emu.kube.cni.links import add_veth, delete_link
from emu.kube.cni.result import IpConfig, Result, ResultInterface
from emu.sim.time import SECOND
from emu.wire.addresses import Interface, IpAddress, MacAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kernel.namespace import Namespace
    from emu.kube.cni.call import Call, Invocation
    from emu.kube.cni.fields import Fields

INTERFACES: Final = "/run/aws-node/interfaces.json"
"""The daemon's list of interfaces with their addresses."""

GATEWAY: Final = IpAddress.parse("169.254.1.1")
_LEASES: Final = "/run/aws-node/ipam"
_RESTING: Final = "/run/aws-node/cooldown"
_REST: Final = 30 * SECOND
_TO_POD: Final = 512
_FROM_POD: Final = 1536
_HOST: Final = 32
_DIGITS: Final = 11
_CONTAINER: Final = 1
_EVERYWHERE: Final = Prefix.parse("0.0.0.0/0")


@attrs.frozen
class Pooled:
    """An interface of the node.

    Attributes:
        device: its name.
        table: where its routes are.
        addresses: for pods.
    """

    device: str
    table: int
    addresses: tuple[IpAddress, ...]


def interfaces_text(interfaces: Sequence[Pooled]) -> str:
    """Return what the daemon writes into the file."""
    values = [
        {"device": each.device, "table": each.table, "addresses": [str(ip) for ip in each.addresses]}
        for each in interfaces
    ]
    return json.dumps(values, indent=1) + "\n"


def _interfaces(call: Call) -> list[Pooled]:
    """Return what stands in the file.

    Raises:
        CniError: there is none: the daemon does not run.
    """
    text = call.disk.get(INTERFACES)
    if text is None:
        raise CniError("add cmd: Error received from AddNetwork gRPC call", ErrorCode.TRY_AGAIN_LATER)
    return [
        Pooled(each["device"], each["table"], tuple(map(IpAddress.parse, each["addresses"])))
        for each in json.loads(text)
    ]


@attrs.frozen
class Options:
    """What a configuration says."""

    prefix: str
    mtu: int


def read(fields: Fields) -> Options:
    """Return the options."""
    text = fields.text("mtu", "9001")
    if not text.isdecimal():
        fields.wrong("mtu", f"{text!r} is no number")
    return Options(fields.text("vethPrefix", "eni"), int(text) if text.isdecimal() else 0)


class AwsCni:
    """The plugin."""

    def add(self, given: Invocation) -> Result:
        """Give the container an address and the cable to the node."""
        options, call = given.conf.read(read), given.call
        sandbox = call.require_sandbox()
        address, table = _take(call)
        try:
            pair = add_veth(call, mtu=options.mtu, name=_veth(call, options))
            mac, inside = pair.host.mac, pair.inside
            call.fabric.call(sandbox, lambda net: _configure(net, call.ifname, address, mac))
            call.fabric.call(call.host, lambda net: _route(net, pair.host.name, address, table))
        except CniError:
            _give_back(call)
            raise
        return Result(
            (ResultInterface(pair.host.name, mac), ResultInterface(call.ifname, inside.mac, call.path)),
            (IpConfig(Interface(address, _HOST), None, _CONTAINER),),
        )

    def delete(self, given: Invocation) -> None:
        """Take rules, route and cable away, and give the address back."""
        options, call = given.conf.read(read), given.call
        for address in _leases(call).owned(call.container_id, call.ifname):
            call.fabric.call(call.host, partial(_unroute, address=IpAddress.parse(address)))
        delete_link(call.fabric, call.host, _veth(call, options))
        _give_back(call)

    def check(self, given: Invocation) -> None:
        """Look whether there is an address of the container."""
        if not _leases(given.call).owned(given.call.container_id, given.call.ifname):
            raise CniError(f"no address of container {given.call.container_id}")

    def status(self, given: Invocation) -> None:
        """Look whether the daemon runs."""
        given.conf.read(read)
        _interfaces(given.call)

    def gc(self, given: Invocation) -> None:
        """Do nothing: the daemon reconciles."""


class EgressCni:
    """`egress-cni`: a second family's way out, which nobody has switched on."""

    def add(self, given: Invocation) -> Result:
        """Return what came before."""
        _refuse_if_enabled(given)
        return given.previous or Result()

    def delete(self, given: Invocation) -> None:
        """Do nothing."""

    def check(self, given: Invocation) -> None:
        """Do nothing."""

    def status(self, given: Invocation) -> None:
        """Do nothing."""

    def gc(self, given: Invocation) -> None:
        """Do nothing."""


def _refuse_if_enabled(given: Invocation) -> None:
    if given.conf.read(lambda fields: fields.text("enabled", "false")) != "false":
        raise CniError("egress-cni is not modelled: leave it disabled", ErrorCode.INVALID_NETWORK_CONFIG)


# --- addresses ---


def _leases(call: Call) -> Store:
    return Store.of(call.disk, _LEASES)


def _take(call: Call) -> tuple[IpAddress, int]:
    """Return the lowest free address of the first interface that has one, and that interface's table.

    Raises:
        CniError: there is none.
    """
    store = _leases(call)
    now = call.fabric.loop.now
    for each in _interfaces(call):
        for address in each.addresses:
            since = call.disk.get(f"{_RESTING}/{address}")
            if since is not None and now - int(since) < _REST:
                continue
            if store.reserve(call.container_id, call.ifname, address, 0):
                return address, each.table
    raise CniError("add cmd: failed to assign an IP address to container")


def _give_back(call: Call) -> None:
    store = _leases(call)
    for address in store.owned(call.container_id, call.ifname):
        call.disk[f"{_RESTING}/{address}"] = str(call.fabric.loop.now)
    store.release(call.container_id, call.ifname)


# --- devices, routes, rules ---


def _veth(call: Call, options: Options) -> str:
    """Return the name of the node's end of a pod's cable."""
    pod = f"{call.args.get('K8S_POD_NAMESPACE', '')}.{call.args.get('K8S_POD_NAME', call.container_id)}"
    digest = hashlib.sha1(pod.encode(), usedforsecurity=False).hexdigest()
    return f"{options.prefix}{digest[:_DIGITS]}"


def _configure(net: Namespace, name: str, address: IpAddress, gateway_mac: MacAddress) -> None:
    device = net.devices[name]
    rtnetlink.add_address(net, device, Interface(address, _HOST))
    rtnetlink.set_up(net, device)
    near = Route(Prefix(GATEWAY, _HOST), nexthops=(Nexthop(name),), table=TABLE_MAIN, scope=Scope.LINK)
    container.add_route(net, near)
    container.add_route(net, Route(_EVERYWHERE, nexthops=(Nexthop(name, GATEWAY),), table=TABLE_MAIN))
    arp.act(net, net.neighbours.replace(name, GATEWAY, gateway_mac, Nud.PERMANENT, net.now))


def _route(net: Namespace, name: str, address: IpAddress, table: int) -> None:
    own = Prefix(address, _HOST)
    container.add_route(net, Route(own, nexthops=(Nexthop(name),), table=TABLE_MAIN, scope=Scope.LINK))
    net.fib.add_rule(RoutingRule(_TO_POD, dst=own))
    if table != TABLE_MAIN:
        net.fib.add_rule(RoutingRule(_FROM_POD, src=own, table=table))


def _unroute(net: Namespace, address: IpAddress) -> None:
    own = Prefix(address, _HOST)
    patterns = RulePattern(_TO_POD, dst=own), RulePattern(_FROM_POD, src=own)
    for pattern in patterns:
        try:
            net.fib.delete_rule(pattern)
        except RouteError:
            continue  # it is gone, or there was none
    try:
        net.fib.delete(RoutePattern(own, table=TABLE_MAIN))
    except RouteError:
        return
