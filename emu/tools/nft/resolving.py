# SPDX-License-Identifier: GPL-2.0-only
"""Elements entered or deleted, once it is known what their set looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel.netfilter.nftables import requests as ask

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.ruleset import Set
    from emu.tools.nft.asked import Pending


def request_of(pending: Pending, known: Set) -> ask.AddElements | ask.DeleteElements:
    """Return what `pending` asks of the kernel.

    Raises:
        SyntaxFaultError: the set has not such elements.
    """
    elements = pending.read(known)
    where = (pending.family, pending.table, pending.set)
    if pending.verb in ("delete", "destroy"):
        return ask.DeleteElements(*where, elements, pending.verb == "destroy")
    return ask.AddElements(*where, elements, pending.verb == "create")
