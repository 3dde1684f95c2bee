# SPDX-License-Identifier: GPL-2.0-only
"""Cases by seed and number."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from tests.kernel.verdicts import nft
from tests.kernel.verdicts.case import Backend, Case
from tests.kernel.verdicts.flows import IDENTIFIERS, NAT_PORTS, PORTS, Dice, draw_flows
from tests.kernel.verdicts.ipsets import draw_sets
from tests.kernel.verdicts.packets import Script
from tests.kernel.verdicts.tables import ruleset

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

STEPS: Final = 8
_SYSCTLS: Final = (
    ("net.netfilter.nf_conntrack_tcp_loose", (0, 1)),
    ("net.netfilter.nf_conntrack_tcp_be_liberal", (0, 1)),
    ("net.netfilter.nf_conntrack_checksum", (0, 1)),
    ("net.bridge.bridge-nf-call-iptables", (0, 1)),
)


def iptables_case(seed: int, number: int) -> Case:
    """Return case `number` of `seed`: rules of iptables and packets."""
    name = f"iptables/{seed}/{number}"
    chance = random.Random(name)
    dice = Dice(chance, draw_flows(chance))
    legacy = number % 3 != 0
    script = Script(dice)
    rules = ruleset(dice, all_tables=legacy)
    script.draw(STEPS)
    return _case(name, rules, script, dice, backend="legacy" if legacy else "nft")


def _case(
    name: str,
    rules: str,
    script: Script,
    dice: Dice,
    *,
    backend: Backend,
    ipsets: str = "",
    is_nft: bool = False,
) -> Case:
    return Case(
        name,
        rules,
        tuple(script.steps),
        backend=backend,
        ipsets=ipsets,
        nft=is_nft,
        sysctls={key: dice.one(values) for key, values in _SYSCTLS if dice.maybe(0.15)},
        identifications=frozenset(script.identifications),
        ports=frozenset((*PORTS, *IDENTIFIERS, *NAT_PORTS, 1)),
    )


def ipset_case(seed: int, number: int) -> Case:
    """Return case `number` of `seed` whose rules ask and change ipsets."""
    name = f"ipset/{seed}/{number}"
    chance = random.Random(name)
    dice = Dice(chance, draw_flows(chance))
    legacy = number % 3 != 0
    script = Script(dice)
    known, text = draw_sets(dice)
    rules = ruleset(dice, all_tables=legacy, sets=known)
    script.draw(STEPS)
    return _case(name, rules, script, dice, backend="legacy" if legacy else "nft", ipsets=text)


def nft_case(seed: int, number: int) -> Case:
    """Return case `number` of `seed`: rules of nftables and packets."""
    name = f"nft/{seed}/{number}"
    chance = random.Random(name)
    dice = Dice(chance, draw_flows(chance))
    script = Script(dice)
    rules = nft.ruleset(dice)
    script.draw(STEPS)
    return _case(name, rules, script, dice, backend="nft", is_nft=True)


KINDS: Final[Mapping[str, Callable[[int, int], Case]]] = {
    "iptables": iptables_case,
    "ipset": ipset_case,
    "nft": nft_case,
}
"""What makes the cases of each kind."""
