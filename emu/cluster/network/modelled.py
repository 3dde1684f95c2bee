# SPDX-License-Identifier: GPL-2.0-only
"""What emu models of what a network document may ask for.

What is asked for and not modelled is told with the other faults of a document,
by name: it is never passed over in silence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.apps import commands
from emu.cluster.network import rules
from emu.cluster.network.build import BASE_SYSCTLS
from emu.cluster.network.checks import Checks
from emu.kernel.sysctl_check import check_sysctl

if TYPE_CHECKING:
    from emu.fabric.driver import Fabric

CHECKS: Final = Checks(command=commands.check, sysctl=check_sysctl, rules=rules.check)
"""What the reader of documents asks."""


def unobeyed(fabric: Fabric) -> list[str]:
    """Return the names of the settings that were changed though the stack does not obey them.

    What the format of documents gives every namespace is none of them: it is
    about IPv6, which is off there.
    """
    return sorted(
        {
            name
            for net in fabric.namespaces.values()
            for name, value in net.sysctl.unmodelled.items()
            if BASE_SYSCTLS.get(name) != value
        }
    )


def unknown_rules(fabric: Fabric) -> list[str]:
    """Return what rules ask for that is not modelled, and where: `-m bpf (node1 filter/FORWARD)`."""
    used = [net for net in fabric.namespaces.values() if net.used_netfilter is not None]
    if not used:
        return []
    from emu.tools.iptables.restore import unmodelled  # noqa: PLC0415 - few runs have rules

    found = (
        f"{what} ({net.name} {name}/{chain})"
        for net in used
        for name, table in net.netfilter.tables.items()
        for what, chain in unmodelled(table.table)
    )
    nft = (f"{what} ({net.name})" for net in used for what in net.netfilter.nft.unmodelled())
    return list(dict.fromkeys((*found, *nft)))
