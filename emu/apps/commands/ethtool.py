# SPDX-License-Identifier: GPL-2.0-only
"""`ethtool -k` and `-K`: which checksums are left to the network card.

    ethtool -k DEVICE
    ethtool -K DEVICE tx off
    ethtool -K DEVICE tx-checksum-ip-generic on

Source: ethtool(8); of its features those that a packet's octets depend on.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from emu.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.apps.commands.action import Action
    from emu.kernel.namespace import Namespace

_FEATURES: Final = ("tx", "tx-checksumming", "tx-checksum-ip-generic")
_STATES: Final = {"on": True, "off": False}


def prepare(argv: Sequence[str]) -> Action:
    """Read the arguments of `ethtool` and return what they ask for.

    Raises:
        CommandError: they make no sense, or are not modelled.
    """
    match [*argv]:
        case ["-k" | "--show-features" | "--show-offload", device]:
            return partial(_show, name=device)
        case ["-K" | "--features" | "--offload", device, feature, ("on" | "off") as state]:
            if feature not in _FEATURES:
                raise CommandError(
                    f"ethtool: feature {feature} is not modelled; {', '.join(_FEATURES)} are", 1
                )
            return partial(_set, name=device, is_on=_STATES[state])
        case _:
            raise CommandError("ethtool: -k DEVICE and -K DEVICE FEATURE on|off are modelled", 1)


def _set(net: Namespace, *, name: str, is_on: bool) -> str:
    if name not in net.devices:
        raise CommandError("netlink error: No such device", 1)
    net.devices[name].tx_offload = is_on
    return ""


def _show(net: Namespace, *, name: str) -> str:
    if name not in net.devices:
        raise CommandError("netlink error: No such device", 1)
    state = "on" if net.devices[name].tx_offload else "off"
    return f"Features for {name}:\ntx-checksumming: {state}\n\ttx-checksum-ip-generic: {state}\n"
