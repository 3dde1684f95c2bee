# SPDX-License-Identifier: GPL-2.0-only
"""`ip tunnel`: tunnels listed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from emu.errors import CommandError
from emu.kernel.link.ipip import Ipip
from emu.tools.ip.record import render
from emu.tools.ip.tunnel import tunnel_record
from emu.tools.ip.words import USAGE, choose, no_device, not_modelled

if TYPE_CHECKING:
    from emu.apps.commands.action import Action
    from emu.kernel.namespace import Namespace
    from emu.tools.ip.options import Options
    from emu.tools.ip.words import Words

_UNMODELLED: Final = ("add", "change", "delete", "prl", "6rd")


def prepare(words: Words, options: Options) -> Action:
    """Return what the words behind `ip tunnel` ask for."""
    verb = words.take() if words else "show"
    match choose(verb, (*_UNMODELLED, "show", "lst", "list")):
        case "show" | "lst" | "list":
            name = words.take() if words else ""
            if words:
                raise not_modelled(f"ip tunnel show {name} {words.peek()}")
            return partial(show, name=name, options=options)
        case str() as known:
            raise not_modelled(f"ip tunnel {known}")
        case None:
            raise CommandError(f'Command "{verb}" is unknown, try "ip tunnel help".', USAGE)


def show(net: Namespace, name: str, options: Options) -> str:
    """Do `ip tunnel show`.

    Raises:
        CommandError: the device that is named does not exist.
    """
    if name and name not in net.devices:
        raise no_device(name)
    records = [
        tunnel_record(device, device.link)
        for device in net.devices.values()
        if isinstance(device.link, Ipip) and name in {"", device.name}
    ]
    return render(records, options)
