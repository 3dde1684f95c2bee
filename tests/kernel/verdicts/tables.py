# SPDX-License-Identifier: GPL-2.0-only
"""Small rulesets of iptables, as texts for iptables-restore."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.ruleset import BUILTIN
from tests.kernel.verdicts import ipsets
from tests.kernel.verdicts.matches import Place, conditions
from tests.kernel.verdicts.targets import target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.kernel.verdicts.flows import Dice
    from tests.kernel.verdicts.ipsets import Known

_WEIGHTS: Final = {"raw": 0.35, "mangle": 0.5, "nat": 0.6, "filter": 0.75, "security": 0.12}


def ruleset(dice: Dice, *, all_tables: bool, sets: Sequence[Known] = ()) -> str:
    """Return the text of some rules.

    Args:
        dice: chance.
        all_tables: even a table that has no rules is named.
        sets: are asked and changed now and then.
    """
    numbers = itertools.count(1)
    used = [name for name in BUILTIN if dice.maybe(_WEIGHTS[name])] or ["filter"]
    lines: list[str] = []
    for name in BUILTIN:
        if name in used or all_tables:
            lines += _table(dice, name, numbers, sets) if name in used else _blank(name)
    return "\n".join((*lines, ""))


def _blank(name: str) -> Iterator[str]:
    yield f"*{name}"
    for hook in BUILTIN[name]:
        yield f":{hook.name} ACCEPT [0:0]"
    yield "COMMIT"


BLANK: Final = "\n".join((*(line for name in BUILTIN for line in _blank(name)), ""))
"""All tables without rules."""


def _table(dice: Dice, name: str, numbers: Iterator[int], sets: Sequence[Known]) -> Iterator[str]:
    hooks = [hook.name for hook in BUILTIN[name]]
    users = {hook: [f"{hook}-{number}" for number in range(dice.one((0, 0, 1, 2)))] for hook in hooks}
    yield f"*{name}"
    for hook in hooks:
        drops = name != "nat" and dice.maybe(0.06)
        yield f":{hook} {'DROP' if drops else 'ACCEPT'} [0:0]"
    for chains in users.values():
        yield from (f":{chain} - [0:0]" for chain in chains)
    for hook, chains in users.items():
        for position, chain in enumerate((hook, *chains)):
            for _ in range(dice.one((0, 1, 1, 2, 3)) + (position > 0)):
                place = Place(name, hook, next(numbers))
                yield _rule(dice, chain, place, chains[position:], sets)
    yield "COMMIT"


def _rule(dice: Dice, chain: str, place: Place, chains: list[str], sets: Sequence[Known]) -> str:
    needed, action = target(dice, place, chains)
    meant = conditions(dice, place)
    if needed:
        kept = [word for word in (meant,) if " -p " not in f" {word}" and " -f" not in f" {word}"]
        meant = " ".join((needed, *kept))
    more = ""
    if sets and dice.maybe(0.6):
        more = ipsets.conditions(dice, place, list(sets))
    if sets and not needed and dice.maybe(0.2):
        action = ipsets.action(dice, place, list(sets))
    return " ".join(filter(None, ("-A", chain, meant, more, action)))
