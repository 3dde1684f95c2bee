# SPDX-License-Identifier: GPL-2.0-only
"""`bridge`: the FDBs of bridges and VXLAN devices, and the switches of ports.

Addresses that other devices filter by (`bridge fdb add ... self` on a veth) are
not modelled; listed of them are only the groups that every device is in.
"""

from __future__ import annotations

import errno
import os
from functools import partial
from typing import TYPE_CHECKING, Final

from emu.apps.commands.answers import find_device, refusal, refusals
from emu.errors import CommandError
from emu.kernel.link import bridge_ports
from emu.kernel.link.bridge import Bridge
from emu.kernel.link.fdb import FdbState, FdbWrite
from emu.kernel.link.vxlan import Vxlan
from emu.kernel.link.vxlan_fdb import Remote
from emu.tools.bridge import fdb, link
from emu.tools.ip import options as ip_options
from emu.tools.ip.record import render
from emu.tools.ip.words import USAGE, Words, choose, not_modelled
from emu.wire.addresses import MacAddress
from emu.wire.vxlan import Vni

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.apps.commands.action import Action
    from emu.kernel.link.device import Device
    from emu.kernel.link.fdb import FdbEntry
    from emu.kernel.namespace import Namespace
    from emu.tools.ip.options import Options

_ALL_NODES6: Final = MacAddress.parse("33:33:00:00:00:01")  # joined though IPv6 is off
_ALL_HOSTS: Final = MacAddress.parse("01:00:5e:00:00:01")
_UNMODELLED: Final = ("mdb", "vlan", "vni", "monitor")
_NOT_FOUND: Final = 254  # exit status


def prepare(argv: Sequence[str]) -> Action:
    """Read the arguments of `bridge` and return what they ask for.

    Raises:
        CommandError: they make no sense, or something is not modelled.
    """
    words = Words(argv)
    options = ip_options.parse(words, "bridge")
    name = words.take()
    match choose(name, ("link", "fdb", *_UNMODELLED)):
        case "link":
            return _prepare_link(words, options)
        case "fdb":
            return _prepare_fdb(words, options)
        case str() as known:
            raise not_modelled(f"bridge {known}")
        case None:
            raise CommandError(f'Object "{name}" is unknown, try "bridge help".', USAGE)


# --- ports ---


def _prepare_link(words: Words, options: Options) -> Action:
    verb = words.take() if words else "show"
    match choose(verb, ("set", "change", "show", "lst", "list")):
        case "set" | "change":
            return partial(change_port, wanted=link.parse_set(words))
        case str():
            return partial(show_ports, name=link.parse_show(words), options=options)
        case None:
            raise CommandError(f'Command "{verb}" is unknown, try "bridge link help".', USAGE)


def change_port(net: Namespace, wanted: link.PortChange) -> str:
    """Do `bridge link set`."""
    device = net.devices.get(wanted.device)
    if device is None:
        raise CommandError(f'Cannot find bridge device "{wanted.device}"', USAGE)
    port = device.port
    if port is None:
        raise refusal(errno.EOPNOTSUPP, status=USAGE)
    wanted.apply(port)
    if wanted.state is not None:
        with refusals(USAGE):
            bridge_ports.set_state(port, wanted.state)
    return ""


def show_ports(net: Namespace, name: str, options: Options) -> str:
    """Do `bridge link show`."""
    if name:
        find_device(net, name, USAGE)
    devices = net.devices.values()
    records = [
        link.render(device, device.port, devices, options)
        for device in devices
        if device.port is not None and name in {"", device.name}
    ]
    return render(records, options)


# --- forwarding databases ---


def _prepare_fdb(words: Words, options: Options) -> Action:
    verb = words.take() if words else "show"
    match choose(verb, ("add", "append", "replace", "delete", "get", "show", "lst", "list", "flush")):
        case "add" | "append" | "replace" as known:
            return partial(write, spec=fdb.parse_spec(words), command=FdbWrite(known))
        case "delete":
            return partial(delete, spec=fdb.parse_spec(words))
        case "get":
            return partial(get, spec=fdb.parse_spec(words, getting=True), options=options)
        case "flush":
            raise not_modelled("bridge fdb flush")
        case str():
            return partial(show, selection=fdb.parse_selection(words), options=options)
        case None:
            raise CommandError(f'Command "{verb}" is unknown, try "bridge fdb help".', USAGE)


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def write(net: Namespace, spec: fdb.FdbSpec, command: FdbWrite) -> str:
    """Do `bridge fdb add`, `append` and `replace`. Source: net/core/rtnetlink.c `rtnl_fdb_add`."""
    device = find_device(net, spec.device, USAGE)
    with refusals(USAGE):
        if spec.of_bridge:
            port = device.port
            if port is None:
                raise _error(errno.EOPNOTSUPP)
            port.link.fdb.write(spec.mac, port, spec.state, net.now, command)
        if not spec.own:
            return ""
        if isinstance(device.link, Bridge):
            device.link.fdb.write(spec.mac, None, spec.state, net.now, command)
            return ""
        table, remote = _vxlan(device, spec).fdb, _remote(net, spec)
        if remote is None:
            raise _error(errno.EINVAL)
        with refusals(USAGE, {errno.EOPNOTSUPP: "Cannot replace non-unicast fdb entries"}):
            table.write(spec.mac, remote, spec.state, net.now, command)
    return ""


def delete(net: Namespace, spec: fdb.FdbSpec) -> str:
    """Do `bridge fdb del`."""
    device = find_device(net, spec.device, USAGE)
    with refusals(USAGE):
        if spec.of_bridge:
            port = device.port
            if port is None:
                raise _error(errno.EOPNOTSUPP)
            port.link.fdb.delete(spec.mac, port, net.now)
        if not spec.own:
            return ""
        if isinstance(device.link, Bridge):
            device.link.fdb.delete(spec.mac, None, net.now)
        else:
            _vxlan(device, spec).fdb.delete(spec.mac, _remote(net, spec), net.now)
    return ""


def _vxlan(device: Device, spec: fdb.FdbSpec) -> Vxlan:
    """Return the link of `device`, whose own table is meant.

    Raises:
        OSError: EINVAL, other devices take permanent entries alone.
        CommandError: it is no VXLAN device.
    """
    if isinstance(device.link, Vxlan):
        return device.link
    if spec.state is not FdbState.PERMANENT:
        raise _error(errno.EINVAL)
    raise not_modelled(f"the table of {device.name}, neither a bridge nor a VXLAN device,")


def _remote(net: Namespace, spec: fdb.FdbSpec) -> Remote | None:
    if spec.via:
        find_device(net, spec.via, USAGE)
    if spec.dst is None:
        return None
    return Remote(spec.dst, spec.port, None if spec.vni is None else Vni(spec.vni), spec.via)


# --- listing ---


def show(net: Namespace, selection: fdb.Selection, options: Options) -> str:
    """Do `bridge fdb show`: device by device, of each what was entered last first."""
    if selection.bridge and selection.bridge not in net.devices:
        raise CommandError(f'Cannot find bridge device "{selection.bridge}"', USAGE)
    if selection.device:
        find_device(net, selection.device, USAGE)
    records = [
        fdb.render(line, selection, options)
        for device in net.devices.values()
        if selection.device in {"", device.name} and _is_of(device, selection.bridge)
        for line in _lines(net, device)
        if selection.has(line.state)
    ]
    return render(records, options)


def _is_of(device: Device, bridge: str) -> bool:
    """Return whether `device` is the bridge, or a port of it, or any will do."""
    return bridge in {"", device.name} or (device.port is not None and device.port.bridge.name == bridge)


def _lines(net: Namespace, device: Device) -> Iterator[fdb.Line]:
    """Yield what belongs to `device`. Source: net/core/rtnetlink.c `rtnl_fdb_dump`."""
    port, own = device.port, device.link
    if port is not None:
        yield from (
            _bridge_line(net, entry, device, port.bridge)
            for entry in reversed(port.link.fdb.entries(net.now))
            if entry.port is port
        )
    if isinstance(own, Vxlan):
        for remote_entry in reversed(own.fdb.entries(net.now)):
            age = net.now - remote_entry.updated
            for remote in remote_entry.remotes:
                yield fdb.Line(
                    remote_entry.mac, device.name, remote_entry.state, remote=remote, used=(age, age)
                )
    elif not device.is_loopback:
        yield fdb.Line(_ALL_NODES6, device.name, FdbState.PERMANENT)
        if device.up:
            yield fdb.Line(_ALL_HOSTS, device.name, FdbState.PERMANENT)
    if isinstance(own, Bridge):
        yield from (
            _bridge_line(net, entry, device, device)
            for entry in reversed(own.fdb.entries(net.now))
            if entry.port is None
        )


def _bridge_line(net: Namespace, entry: FdbEntry, device: Device, bridge: Device) -> fdb.Line:
    age = net.now - entry.updated
    return fdb.Line(entry.mac, device.name, entry.state, bridge.name, used=(age, age))


def get(net: Namespace, spec: fdb.FdbSpec, options: Options) -> str:
    """Do `bridge fdb get`."""
    bridge = net.devices.get(spec.bridge)
    if spec.bridge and bridge is None:
        raise CommandError(f'Cannot find bridge device "{spec.bridge}"', USAGE)
    for device in net.devices.values() if bridge is not None else [find_device(net, spec.device, USAGE)]:
        for line in _lines(net, device):
            if line.mac == spec.mac and (bridge is None or line.bridge == bridge.name):
                return render([fdb.render(line, fdb.Selection(), options)], options)
    raise refusal(errno.ENOENT, "Fdb entry not found", _NOT_FOUND)
