# SPDX-License-Identifier: GPL-2.0-only
"""Cases by seed and number."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from tests.kernel.verdicts.case import Case
from tests.kernel.verdicts.flows import IDENTIFIERS, NAT_PORTS, PORTS, Dice, draw_flows
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
    backend = "legacy" if number % 3 else "nft"
    script = Script(dice)
    rules = ruleset(dice, all_tables=backend == "legacy")
    script.draw(STEPS)
    return Case(
        name,
        rules,
        tuple(script.steps),
        backend="legacy" if backend == "legacy" else "nft",
        sysctls={key: dice.one(values) for key, values in _SYSCTLS if dice.maybe(0.15)},
        identifications=frozenset(script.identifications),
        ports=frozenset((*PORTS, *IDENTIFIERS, *NAT_PORTS, 1)),
    )


KINDS: Final[Mapping[str, Callable[[int, int], Case]]] = {"iptables": iptables_case}
"""What makes the cases of each kind."""
