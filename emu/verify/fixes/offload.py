# SPDX-License-Identifier: GPL-2.0-only
"""Network cards that spoil checksums: have the kernel reckon them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.link.vxlan import Vxlan
from emu.verify.fixes.fix import Proposal
from emu.verify.fixes.remedy import Command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.verify.fixes.case import Case

_FEATURE: Final = "tx-checksum-ip-generic"


def reckon_in_software(case: Case) -> Iterator[Proposal]:
    """Leave no checksum of a tunnel's packets to the card, on each node that the packets left by one."""
    commands: list[Command] = []
    for name in dict.fromkeys(case.passed):
        net = case.network.fabric.namespaces.get(name)
        if net is None or not any(device.spoils_tunnels for device in net.devices.values()):
            continue
        tunnels = [each.name for each in net.devices.values() if isinstance(each.link, Vxlan)]
        commands += [Command(case.host(name), ("ethtool", "-K", each, _FEATURE, "off")) for each in tunnels]
    if commands:
        words = "a network card gets the checksums inside of the tunnel wrong: have the kernel reckon them"
        yield Proposal(words, tuple(commands))
