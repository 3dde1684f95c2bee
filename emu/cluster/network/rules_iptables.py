# SPDX-License-Identifier: GPL-2.0-only
"""A file for iptables-restore, loaded into a namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.tools.iptables import restore
from emu.tools.iptables.live import install

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace


def load(net: Namespace | None, text: str) -> None:
    """Make the tables of `net` what `text` says; with None only look for faults.

    Raises:
        RulesError: it has faults.
    """
    for snapshot in restore.parse(text).values():
        if net is not None:
            install(net.netfilter, snapshot)
