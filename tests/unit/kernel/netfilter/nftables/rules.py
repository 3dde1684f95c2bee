# SPDX-License-Identifier: GPL-2.0-only
"""Rulesets by their texts, walked by packets made by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel.netfilter.nftables.tables import NfTables
from emu.kernel.netfilter.verdict import Verdict
from emu.sim.time import START
from emu.tools.nft.listing import render
from emu.tools.nft.loading import load
from emu.tools.nft.shown import sorted_sets

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet


def tables(text: str) -> NfTables:
    """Return what `text` makes of nothing."""
    nft = NfTables()
    load(nft, text, START)
    return nft


def chain(
    *rules: str, beside: str = "", policy: str = "drop", kind: str = "filter", hook: str = "forward"
) -> NfTables:
    """Return a table with one base chain, and what stands `beside` it."""
    head = f"type {kind} hook {hook} priority 0; policy {policy};"
    return tables("\n".join(["table ip t {", beside, "chain base {", head, *rules, "}", "}", ""]))


def verdict(nft: NfTables, packet: Packet) -> Verdict:
    """Walk all chains at the packet's hook, until one does not accept."""
    functions = nft.nat_functions(packet.hook) + nft.hook_functions(packet.hook)
    for _, function in functions:
        found = function(packet)
        if found is not Verdict.ACCEPT:
            return found
    return Verdict.ACCEPT


def listing(nft: NfTables, packet: Packet) -> str:
    """Return the ruleset as it is at the packet's time."""
    return render(sorted_sets(nft.snapshot(packet.net.now)))
