# SPDX-License-Identifier: GPL-2.0-only
"""Rules that somebody has put there by hand: without them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from emu.verify.fixes.fix import Proposal
from emu.verify.fixes.remedy import Command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.verify.fixes.case import Case

_APPEND: Final = "-A"
_OF_DAEMONS: Final = ("KUBE-", "NETPOL-", "CNI-", "FLANNEL-", "KINDNET-")
"""How chains begin that are written anew whenever somebody changes them."""


def delete_the_rule(case: Case) -> Iterator[Proposal]:
    """Take the rule away that drops or rejects the packet, if no daemon puts it back."""
    table = _table(case)
    try:
        words = shlex.split(case.cause.rule)
    except ValueError:
        return  # a rule of nftables, which iptables has not written
    if not table or words[:1] != [_APPEND] or words[1].startswith(_OF_DAEMONS):
        return
    chain = words[1]
    why = f"a rule of {table}/{chain} on {case.cause.net} that no daemon has written stops it: delete it"
    for program in ("iptables", "iptables-legacy"):
        argv = (program, "-t", table, "-D", *words[1:])
        yield Proposal(why, (Command(case.host(case.cause.net), argv),))


def _table(case: Case) -> str:
    """Return the table where it was decided, empty if that was in none."""
    packet = case.packet
    for one in reversed(packet.line if packet is not None else ()):
        if one.step.chain is not None and one.step.rule:
            return one.step.chain[0].rpartition(" ")[2]
    return ""
