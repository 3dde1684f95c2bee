# SPDX-License-Identifier: GPL-2.0-only
"""`ip link`: devices listed and changed."""

from __future__ import annotations

import errno
from functools import partial
from typing import TYPE_CHECKING, Final

from emu.apps.commands.answers import find_device, refusal, refusals
from emu.errors import CommandError
from emu.kernel import rtnetlink
from emu.kernel.link.bridge import Bridge
from emu.kernel.link.device import MIN_MTU
from emu.kernel.link.dummy import Dummy
from emu.kernel.link.ipip import Ipip
from emu.kernel.link.veth import Veth
from emu.kernel.link.vxlan import Vxlan
from emu.tools.ip import link, link_text
from emu.tools.ip.record import Record, render
from emu.tools.ip.words import USAGE, choose, no_such_device, not_modelled, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.apps.commands.action import Action
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.tools.ip.options import Options
    from emu.tools.ip.words import Words

KINDS: Final = frozenset({Bridge.kind, Dummy.kind, Ipip.kind, Veth.kind, Vxlan.kind})
"""The types of devices that there are."""

_UNMODELLED: Final = ("add", "delete", "replace", "change", "property", "xstats", "afstats")


def prepare(words: Words, options: Options) -> Action:
    """Return what the words behind `ip link` ask for."""
    verb = words.take() if words else "show"
    match choose(verb, ("set", "show", "lst", "list", *_UNMODELLED)):
        case "set":
            return partial(change, wanted=link.parse_set(words))
        case "show" | "lst" | "list":
            return partial(show, selection=link.parse_show(words), options=options)
        case str() as known:
            raise not_modelled(f"ip link {known}")
        case None:
            raise CommandError(f'Command "{verb}" is unknown, try "ip link help".', USAGE)


def change(net: Namespace, wanted: link.Change) -> str:
    """Do `ip link set`, in the kernel's order. Source: net/core/rtnetlink.c `do_setlink`."""
    device = find_device(net, wanted.device)
    bridge = _bridge(net, wanted.master) if wanted.master else None
    if wanted.mac is not None:
        with refusals():
            rtnetlink.set_mac(net, device, wanted.mac)
    if wanted.mtu is not None:
        _set_mtu(net, device, wanted.mtu)
    if wanted.master is not None:
        _set_master(net, device, bridge)
    if wanted.up is not None:
        (rtnetlink.set_up if wanted.up else rtnetlink.set_down)(net, device)
    return ""


def _set_mtu(net: Namespace, device: Device, mtu: int) -> None:
    if mtu < MIN_MTU:
        raise refusal(errno.EINVAL, "mtu less than device minimum")
    if mtu > rtnetlink.MAX_MTU:
        raise refusal(errno.EINVAL, "mtu greater than device maximum")
    with refusals():
        rtnetlink.set_mtu(net, device, mtu)


def _bridge(net: Namespace, name: str) -> Device:
    bridge = net.devices.get(name)
    if bridge is None:
        raise wrong(name, "Device does not exist\n")
    return bridge


def _set_master(net: Namespace, device: Device, bridge: Device | None) -> None:
    if bridge is not None and not isinstance(bridge.link, Bridge):
        raise refusal(errno.EOPNOTSUPP)
    with refusals(extacks={errno.ELOOP: "Can not enslave a bridge to a bridge"}):
        rtnetlink.set_master(net, device, bridge)


# --- listing ---


def select(net: Namespace, selection: link.Selection) -> Iterator[Device]:
    """Yield the devices that are meant, but for `up` and unknown types, which the tool itself looks at.

    Raises:
        CommandError: a device that is named does not exist.
    """
    if selection.device and selection.device not in net.devices:
        raise no_such_device(selection.device)
    if selection.master:
        _bridge(net, selection.master)
    for device in net.devices.values():
        master = device.port.bridge.name if device.port is not None else ""
        if (
            selection.device in {"", device.name}
            and selection.master in {"", master}
            and (selection.kind not in KINDS or selection.kind == device.link.kind)
        ):
            yield device


def show(net: Namespace, selection: link.Selection, options: Options) -> str:
    """Do `ip link show`."""
    records = []
    for device in select(net, selection):
        record = Record()
        records.append(record)
        if selection.passes_over(device):
            continue
        if options.brief:
            link_text.put_brief(record, device, net.devices, is_link=True)
            continue
        link_text.put_link(record, device, net.devices, options, is_link=True)
        if options.statistics:
            link_text.put_counters(record, device.counters)
    return render(records, options)
