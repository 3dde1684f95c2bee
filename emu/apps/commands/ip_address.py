# SPDX-License-Identifier: GPL-2.0-only
"""`ip addr`: addresses listed, entered and deleted."""

from __future__ import annotations

import errno
from functools import partial
from typing import TYPE_CHECKING, Final

from emu.apps.commands.answers import find_device, refusals
from emu.apps.commands.ip_link import select
from emu.errors import CommandError
from emu.kernel import rtnetlink
from emu.kernel.route import RouteError
from emu.tools.ip import address
from emu.tools.ip.record import render
from emu.tools.ip.words import USAGE, choose, not_modelled
from emu.wire.addresses import Interface

if TYPE_CHECKING:
    from emu.apps.commands.action import Action
    from emu.kernel.namespace import Namespace
    from emu.tools.ip.options import Options
    from emu.tools.ip.words import Words

_VERBS: Final = ("add", "change", "chg", "replace", "delete", "show", "lst", "list", "flush")
_UNMODELLED: Final = ("save", "showdump", "restore")


def prepare(words: Words, options: Options) -> Action:
    """Return what the words behind `ip addr` ask for."""
    verb = words.take() if words else "show"
    match choose(verb, (*_VERBS, *_UNMODELLED)):
        case "add" | "change" | "chg" | "replace" as known:
            return partial(enter, spec=address.parse_spec(words), replace=known != "add")
        case "delete":
            return partial(delete, spec=address.parse_spec(words))
        case "show" | "lst" | "list":
            return partial(show, selection=address.parse_selection(words), options=options)
        case "flush":
            if not words:
                raise CommandError("Flush requires arguments.", 1)
            return partial(flush, selection=address.parse_selection(words))
        case str() as known:
            raise not_modelled(f"ip addr {known}")
        case None:
            raise CommandError(f'Command "{verb}" is unknown, try "ip address help".', USAGE)


def enter(net: Namespace, spec: address.AddressSpec, *, replace: bool) -> str:
    """Do `ip addr add`; with `replace` an address that is there already is no mistake."""
    device = find_device(net, spec.device)
    with refusals():
        try:
            rtnetlink.add_address(
                net,
                device,
                spec.interface,
                peer=spec.peer,
                broadcast=spec.broadcast_address,
                scope=spec.scope,
            )
        except RouteError as error:
            if not replace or error.errno != errno.EEXIST:
                raise
    return ""


def delete(net: Namespace, spec: address.AddressSpec) -> str:
    """Do `ip addr del`; without a prefix length the first entry with the address goes."""
    device = find_device(net, spec.device)
    wanted = spec.interface if spec.has_length or spec.peer else spec.interface.address
    with refusals():
        rtnetlink.delete_address(net, device, wanted, peer=spec.peer)
    return ""


def flush(net: Namespace, selection: address.Selection) -> str:
    """Do `ip addr flush`."""
    for device in list(select(net, selection)):
        if selection.passes_over(device):
            continue
        while (own := next((a for a in device.addresses if selection.has(a, device)), None)) is not None:
            wanted = Interface(own.address, own.prefix.length)
            rtnetlink.delete_address(net, device, wanted, peer=own.prefix)
    return ""


def show(net: Namespace, selection: address.Selection, options: Options) -> str:
    """Do `ip addr show`."""
    records = address.render(select(net, selection), net.devices, selection, options)
    if options.oneline and not options.json:  # each address is a line of its own already
        return "".join(record.text for record in records)
    return render(records, options)
