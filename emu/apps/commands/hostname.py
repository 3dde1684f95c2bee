# SPDX-License-Identifier: GPL-2.0-only
"""`hostname`: the namespace's name, and its addresses."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from emu.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.apps.commands.action import Action
    from emu.kernel.namespace import Namespace


def prepare(argv: Sequence[str]) -> Action:
    """Read the arguments of `hostname` and return what they ask for.

    Raises:
        CommandError: something is not modelled.
    """
    match [*argv]:
        case [] | ["-s"] | ["--short"]:
            return partial(_show, addresses=False)
        case ["-I"] | ["--all-ip-addresses"]:
            return partial(_show, addresses=True)
        case [word, *_]:
            raise CommandError(f"hostname {word} is not modelled", 1)
        case _:
            raise AssertionError(argv)


def _show(net: Namespace, *, addresses: bool) -> str:
    if not addresses:
        return f"{net.name}\n"
    found = [
        f"{own.address} "
        for device in net.devices.values()
        if device.up and not device.is_loopback
        for own in device.addresses
    ]
    return "".join(found) + "\n"
