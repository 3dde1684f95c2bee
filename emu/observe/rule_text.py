# SPDX-License-Identifier: GPL-2.0-only
"""The text of a rule that a packet met, as its own tool prints it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from emu.kernel.netfilter.ruleset import Rule
from emu.tools.iptables.text import rule_text
from emu.tools.nft import sentences

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.ruleset import Rule as NftRule


@lru_cache(maxsize=4096)
def text_of(place: tuple[str, str], rule: Rule | NftRule) -> str:
    """Return the text of `rule`.

    Args:
        place: its table and chain; a table of nftables has its family before its name.
        rule: a rule of iptables or of nftables.
    """
    if isinstance(rule, Rule):
        return rule_text(place[1], rule)
    return sentences.rule(rule, place[0].partition(" ")[0], stateless=True)
