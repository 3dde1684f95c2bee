# SPDX-License-Identifier: GPL-2.0-only
"""`bridge`: the FDBs of bridges and VXLAN devices, and the switches of ports."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from emu.apps.commands.answers import find_device, refusals
from emu.errors import CommandError
from emu.kernel.link import bridge_ports
from emu.kernel.link.bridge import Bridge
from emu.kernel.link.fdb import FdbWrite
from emu.kernel.link.vxlan import Vxlan
from emu.kernel.link.vxlan_fdb import Remote
from emu.tools import bridge
from emu.tools.ip.words import USAGE, Words, choose, no_device, not_modelled
from emu.wire.vxlan import Vni

if TYPE_CHECKING:
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace


def run(net: Namespace, argv: list[str]) -> str:
    """Run `bridge` with the words of `argv` behind its name."""
    words = Words(argv)
    name = words.take()
    chosen = choose(name, ("link", "fdb"))
    if chosen is None:
        raise CommandError(f'Object "{name}" is unknown, try "bridge help".', USAGE)
    if chosen == "link":
        _link(net, words)
    else:
        _fdb(net, words)
    return ""


def _device(net: Namespace, name: str) -> Device:
    device = net.devices.get(name)
    if device is None:
        raise CommandError(str(no_device(name)), USAGE)
    return device


# --- ports ---


def _link(net: Namespace, words: Words) -> None:
    verb = words.take()
    if choose(verb, ("set", "change")) is None:
        raise CommandError(f'Command "{verb}" is unknown, try "bridge link help".', USAGE)
    change = bridge.parse_link_set(words)
    device = net.devices.get(change.device)
    if device is None:
        raise CommandError(f'Cannot find bridge device "{change.device}"', USAGE)
    port = device.port
    if port is None:
        raise CommandError(f"RTNETLINK answers: {os.strerror(errno.EOPNOTSUPP)}", USAGE)
    for name, value in change.switches:
        setattr(port, name, value)
    if change.state is not None:
        with refusals(USAGE):
            bridge_ports.set_state(port, change.state)


# --- forwarding databases ---


def _fdb(net: Namespace, words: Words) -> None:
    verb = words.take()
    chosen = choose(verb, ("add", "append", "replace", "delete"))
    if chosen is None:
        raise CommandError(f'Command "{verb}" is unknown, try "bridge fdb help".', USAGE)
    spec = bridge.parse_fdb(words)
    device = _device(net, spec.device)
    with refusals(USAGE):
        if spec.of_bridge:
            _bridge_entry(net, device, spec, chosen)
        if spec.own:
            _own_entry(net, device, spec, chosen)


def _bridge_entry(net: Namespace, device: Device, spec: bridge.FdbSpec, verb: str) -> None:
    """Change the FDB of the bridge that `device` is a port of."""
    port = device.port
    if port is None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    if verb == "delete":
        port.link.fdb.delete(spec.mac, port, net.now)
    else:
        port.link.fdb.write(spec.mac, port, spec.state, net.now, FdbWrite(verb))


def _own_entry(net: Namespace, device: Device, spec: bridge.FdbSpec, verb: str) -> None:
    """Change the FDB that `device` itself has."""
    link = device.link
    if isinstance(link, Bridge):
        if verb == "delete":
            link.fdb.delete(spec.mac, None, net.now)
        else:
            link.fdb.write(spec.mac, None, spec.state, net.now, FdbWrite(verb))
    elif isinstance(link, Vxlan):
        _remote(net, link, spec, verb)
    else:
        raise not_modelled(f"the list of addresses of {device.name}, which is neither bridge nor VXLAN,")


def _remote(net: Namespace, link: Vxlan, spec: bridge.FdbSpec, verb: str) -> None:
    if spec.via:
        find_device(net, spec.via)
    remote = None
    if spec.dst is not None:
        vni = None if spec.vni is None else Vni(spec.vni)
        remote = Remote(spec.dst, spec.port, vni, spec.via)
    if verb == "delete":
        link.fdb.delete(spec.mac, remote, net.now)
        return
    if remote is None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    link.fdb.write(spec.mac, remote, spec.state, net.now, FdbWrite(verb))
