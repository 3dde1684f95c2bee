# SPDX-License-Identifier: GPL-2.0-only
"""Making a node's kernel and files agree with what a provider wants.

The order is that of the daemons: settings, devices, rules, files, and the ways to
other nodes' pods as those become known. What was wanted before and no longer is
goes first.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, assert_never

from emu.errors import CommandError
from emu.kernel import arp, rtnetlink
from emu.kernel.link import ipip
from emu.kernel.link.fdb import FdbState, FdbWrite
from emu.kernel.link.vxlan import Vxlan
from emu.kernel.link.vxlan_fdb import Remote
from emu.kernel.nud import Nud
from emu.kernel.route import Insertion, Route, RouteError, RoutePattern
from emu.kube.cni.rules import Tables
from emu.kube.policy.load import is_intact, load
from emu.kube.policy.wanted import Wanted
from emu.kube.providers import mesh
from emu.kube.providers.apply_policy_routing import ensure_addresses, ensure_routing_rules
from emu.kube.providers.written import Ensure, PermanentFdb, PermanentNeighbour

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.fabric.driver import Fabric
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kube.cni.disk import Disk
    from emu.kube.providers.written import IpipDevice, RuleGroup, VxlanDevice, Way, Written
    from emu.wire.addresses import Interface


def apply(
    fabric: Fabric, net: Namespace, before: Written, now: Written, *, disk: Disk | None = None
) -> tuple[str, ...]:
    """Make node `net` agree with `now`, and return what the kernel refused, a line each.

    A refusal (a next hop that is on no link, say) does not keep the rest from
    being done, as in the daemons; the next call tries again.

    Args:
        fabric: what the node is part of.
        net: the node's namespace.
        before: what was wanted at the last call; `Written()` at the first.
        now: what is wanted.
        disk: the node's files; None if nobody asks for them.
    """
    tables = Tables(fabric, net)
    complaints: list[str] = []
    _forget(fabric, tables, before, now, disk)
    for name, value in now.sysctls.items():
        if net.sysctl.get(name) != value:
            net.sysctl.set(name, value)
    for device in now.vxlans:
        fabric.call(net, partial(_ensure_vxlan, wanted=device))
    if now.mesh is not None:
        mesh.ensure(fabric, net, now.mesh)
    for tunnel in now.ipips:
        fabric.call(net, partial(_ensure_ipip, wanted=tunnel))
    _load(net, before, now)
    for group in now.rules:
        try:
            _ensure_rules(tables, group)
        except CommandError as error:
            complaints.append(str(error).strip())
    if disk is not None:
        _ensure_files(disk, now)
    if now.addresses:
        fabric.call(net, partial(ensure_addresses, wanted=now.addresses))
    if now.routing_rules or before.routing_rules:
        fabric.call(net, partial(ensure_routing_rules, before=before.routing_rules, now=now.routing_rules))
    if now.ways:
        complaints += fabric.call(net, partial(_ensure_ways, ways=now.ways))
    return tuple(complaints)


def _ensure_files(disk: Disk, now: Written) -> None:
    for path, text in now.files.items():
        if disk.kept(path) != text:
            disk.keep(path, text)


def _forget(fabric: Fabric, tables: Tables, before: Written, now: Written, disk: Disk | None) -> None:
    """Take away what was wanted before, and is not any more."""
    net = tables.net
    if before.ways and before.ways != now.ways:
        wanted = {_key(way) for way in now.ways}
        for way in before.ways:
            if _key(way) not in wanted:
                fabric.call(net, partial(_remove_way, way=way))
    for group in before.rules:
        if group not in now.rules:
            _remove_rules(tables, group, {chain for each in now.rules for chain in each.chains})
    kept = _tunnels(now)
    for name in _tunnels(before):
        if name not in kept and name in net.devices:
            fabric.call(net, partial(rtnetlink.remove, device=net.devices[name]))
    if before.mesh is not None and before.mesh != now.mesh:
        mesh.forget(fabric, net, before.mesh, now.mesh)
    for path in before.files if disk is not None else ():
        if disk is not None and path not in now.files and path in disk:
            del disk[path]


def _tunnels(written: Written) -> list[str]:
    return [*(each.name for each in written.vxlans), *(each.name for each in written.ipips)]


# --- devices ---


def _ensure_vxlan(net: Namespace, wanted: VxlanDevice) -> None:
    """Make a VXLAN device; one that is otherwise is made anew, with nothing that hung on it."""
    device = net.devices.get(wanted.name)
    if device is not None and not _is_same(device.link, wanted):
        rtnetlink.remove(net, device)
        device = None
    if device is None:
        link = Vxlan(
            vni=wanted.vni,
            local=wanted.local,
            device=wanted.device,
            dstport=wanted.port,
            learning=False,
        )
        device = net.add_device(wanted.name, link, wanted.mac, mtu=wanted.mtu)
        net.sysctl.set(f"net/ipv6/conf/{wanted.name}/accept_ra", 0)
    if device.mac != wanted.mac:
        rtnetlink.set_mac(net, device, wanted.mac)
    if device.mtu != wanted.mtu:
        rtnetlink.set_mtu(net, device, wanted.mtu)
    _ensure_address(net, device, wanted.address)
    rtnetlink.set_up(net, device)


def _ensure_address(net: Namespace, device: Device, wanted: Interface) -> None:
    """Have one address on a device, and no other."""
    for address in tuple(device.addresses):
        if (address.address, address.prefix) != (wanted.address, wanted.prefix):
            rtnetlink.delete_address(net, device, address.address)
    if not device.addresses:
        rtnetlink.add_address(net, device, wanted)


def _is_same(link: object, wanted: VxlanDevice) -> bool:
    return isinstance(link, Vxlan) and (link.vni, link.local, link.device, link.dstport, link.learning) == (
        wanted.vni,
        wanted.local,
        wanted.device,
        wanted.port,
        False,
    )


def _ensure_ipip(net: Namespace, wanted: IpipDevice) -> None:
    """Make an IPIP device; with its first address the daemon takes it up."""
    device = net.devices.get(wanted.name) or ipip.add(net, wanted.name, ipip.Ipip())
    if device.mtu != wanted.mtu:
        rtnetlink.set_mtu(net, device, wanted.mtu)
    _ensure_address(net, device, wanted.address)
    rtnetlink.set_up(net, device)


def _load(net: Namespace, before: Written, now: Written) -> None:
    """Load tables whole, and empty those that are no longer wanted."""
    old = {each.table: each for each in before.tables}
    for each in now.tables:
        known = old.pop(each.table, Wanted(each.table, prefixes=each.prefixes))
        if known != each:
            load(net, known, each)
    for gone in old.values():
        load(net, gone, Wanted(gone.table, prefixes=gone.prefixes))


def look_after(net: Namespace, written: Written) -> None:
    """Load tables again that are not as they were left, the hooks at the ends of their chains."""
    for each in written.tables:
        if not is_intact(net, each):
            load(net, each, each)


# --- ways ---


def _ensure_ways(net: Namespace, ways: Iterable[Way]) -> list[str]:
    """Enter what is missing, and return what the kernel refused."""
    complaints: list[str] = []
    for way in ways:
        try:
            _ensure_way(net, way)
        except (RouteError, OSError) as error:
            complaints.append(f"{_words(way)}: {error}")
    return complaints


def _ensure_way(net: Namespace, way: Way) -> None:
    match way:
        case Route():  # first what there is most of
            net.fib.add(way, Insertion.REPLACE)
        case PermanentNeighbour(device, ip, mac):
            entry = net.neighbours.get(device, ip)
            if entry is None or entry.state is not Nud.PERMANENT or entry.mac != mac:
                arp.act(net, net.neighbours.replace(device, ip, mac, Nud.PERMANENT, net.now))
        case PermanentFdb(device, mac, remote):
            link = net.device(device).link
            assert isinstance(link, Vxlan)
            link.fdb.write(mac, Remote(remote), FdbState.PERMANENT, net.now, FdbWrite.REPLACE)
        case _:
            assert_never(way)


def _key(way: Way) -> tuple[str, str, bytes]:
    """Return what two parts of ways have in common when one takes the place of the other."""
    match way:
        case PermanentNeighbour(device, ip, _):
            return "neighbour", device, ip
        case PermanentFdb(device, mac, _):
            return "fdb", device, mac
        case Route():
            return "route", str(way.dst.length), way.dst.address
        case _:
            assert_never(way)


def _remove_way(net: Namespace, way: Way) -> None:
    """Take a part of a way off, if it is still there."""
    match way:
        case PermanentNeighbour(device, ip, _):
            if net.neighbours.get(device, ip) is not None:
                arp.act(net, net.neighbours.delete(device, ip, net.now))
        case PermanentFdb(device, mac, remote):
            found = net.devices.get(device)
            if found is not None and isinstance(found.link, Vxlan) and found.link.fdb.lookup(mac, net.now):
                found.link.fdb.delete(mac, Remote(remote), net.now)
        case Route():
            _delete_route(net, way)
        case _:
            assert_never(way)


def _delete_route(net: Namespace, route: Route) -> None:
    try:
        net.fib.delete(RoutePattern(route.dst, table=route.table, nexthops=route.nexthops))
    except RouteError:
        return  # it is gone, or somebody has put another in its place


def _words(way: Way) -> str:
    match way:
        case PermanentNeighbour(device, ip, mac):
            return f"neighbour {ip} lladdr {mac} dev {device}"
        case PermanentFdb(device, mac, remote):
            return f"fdb {mac} dev {device} dst {remote}"
        case Route(dst, _, nexthops):
            return f"route {dst} via {nexthops[0].gateway}" if nexthops else f"route {dst}"
        case _:
            assert_never(way)


# --- rules ---


def _ensure_rules(tables: Tables, group: RuleGroup) -> None:
    for chain in group.chains:
        tables.ensure_chain(group.table, chain)
    if group.ensure is Ensure.EACH:
        for chain, rule in group.rules:
            tables.append_unique(group.table, chain, rule)
    elif not all(tables.has(group.table, chain, rule) for chain, rule in group.rules):
        for chain, rule in group.rules:
            tables.remove(group.table, chain, rule)
        for chain, rule in group.rules:
            tables.append(group.table, chain, rule)


def _remove_rules(tables: Tables, group: RuleGroup, kept: set[str]) -> None:
    for chain, rule in group.rules:
        if tables.chain(group.table, chain) is not None:
            tables.remove(group.table, chain, rule)
    for chain in group.chains:
        found = tables.chain(group.table, chain)
        if chain not in kept and found is not None and not found.rules:
            tables.remove_chain(group.table, chain)
