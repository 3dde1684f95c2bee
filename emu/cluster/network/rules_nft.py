# SPDX-License-Identifier: GPL-2.0-only
"""A file for `nft -f`, loaded into a namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.errors import Complaint, RulesError
from emu.kernel.netfilter.nftables.tables import NfTables
from emu.sim.time import START
from emu.tools.nft.faults import NftError
from emu.tools.nft.loading import load as load_text

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace


def load(net: Namespace | None, text: str) -> None:
    """Carry out the commands of `text` in `net`; with None only look for faults.

    Raises:
        RulesError: it has faults.
    """
    try:
        if net is None:
            load_text(NfTables(), text, START)
            return
        load_text(net.netfilter.nft, text, net.now, interfaces=net.devices)
    except NftError as error:
        complaints = [Complaint(fault.place.line, fault.message, status=1) for fault in error.faults]
        raise RulesError(complaints) from None
