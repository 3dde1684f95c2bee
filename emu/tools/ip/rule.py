# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of `ip rule`, and what it prints.

Source: iproute2 6.1, ip/iprule.c.
"""

from __future__ import annotations

from typing import Final

import attrs

from emu.errors import CommandError
from emu.kernel.rules import RuleAction, RulePattern
from emu.tools.ip.names import TABLES
from emu.tools.ip.words import Words, is_short_for, named, not_modelled, number, prefix, wrong

_ACTIONS: Final = {action.value: action for action in RuleAction}
_UNMODELLED: Final = (
    "realms",
    "protocol",
    "tun_id",
    "suppress_ifgroup",
    "l3mdev",
    "uidrange",
    "nat",
    "map-to",
    "ipproto",
    "sport",
    "dport",
    "goto",
)
_ALL_BITS: Final = 0xFFFFFFFF


@attrs.frozen
class RuleSpec:
    """A routing rule as it is written down: a pattern to delete one, or what to add."""

    pattern: RulePattern
    inverted: bool = False


def parse_spec(words: Words, *, deleting: bool) -> RuleSpec:
    """Return the rule that `words` describe.

    Raises:
        CommandError: they describe none.
    """
    if deleting and not words:
        raise CommandError('"ip rule del" requires arguments.', 1)
    found = RuleSpec(RulePattern())
    while words:
        found = _option(words.take(), words, found)
    return found


def _option(word: str, words: Words, found: RuleSpec) -> RuleSpec:  # noqa: PLR0912 - a line for each word
    def given(**values: object) -> RuleSpec:
        return attrs.evolve(found, pattern=attrs.evolve(found.pattern, **values))

    if word == "not":
        return attrs.evolve(found, inverted=True)
    if word == "from":
        return given(src=prefix(words.take()))
    if word == "to":
        return given(dst=prefix(words.take()))
    if is_short_for(word, "preference", "order", "priority"):
        return given(priority=_value(words.take(), "preference value is invalid\n"))
    if word == "tos" or is_short_for(word, "dsfield"):
        return given(tos=_value(words.take(), "TOS value is invalid\n", 255))
    if word == "fwmark":
        mark, _, mask = words.take().partition("/")
        value = _value(mark, "fwmark value is invalid\n")
        bits = _value(mask, "fwmask value is invalid\n") if mask else _ALL_BITS
        return given(mark=value, mask=bits)
    if is_short_for(word, "table", "lookup"):
        return given(table=_table(words.take()))
    if word in {"suppress_prefixlength", "sup_pl"}:
        return given(suppress_length=_value(words.take(), "suppress_prefixlength value is invalid\n"))
    if word in {"dev", "iif"}:
        return given(iif=words.take())
    if word == "oif":
        return given(oif=words.take())
    if word in _UNMODELLED:
        raise not_modelled(f"{word} of a routing rule")
    if word == "type":
        word = words.take()
    if word in _ACTIONS:
        return given(action=_ACTIONS[word])
    raise wrong(word, "Failed to parse rule type")


def _value(text: str, message: str, most: int = 2**32 - 1) -> int:
    value = number(text, most)
    if value is None:
        raise wrong(text, message)
    return value


def _table(text: str) -> int:
    value = named(text, TABLES)
    if value is None:
        raise wrong(text, "invalid table ID\n")
    return value
