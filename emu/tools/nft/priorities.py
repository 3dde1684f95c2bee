# SPDX-License-Identifier: GPL-2.0-only
"""Priorities of base chains by name: `dstnat - 10`. Source: nftables, src/rule.c (`std_prio_lookup`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.tools.nft.faults import SyntaxFaultError

if TYPE_CHECKING:
    from emu.tools.nft.tokens import Tokens

_OF_IP: Final = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
_OF_BRIDGE: Final = {"filter": -200, "dstnat": -300, "out": 100, "srcnat": 300}
_OF_OTHERS: Final = {"filter": 0}
_HOOKS: Final = {
    "ip": {"dstnat": ("prerouting",), "srcnat": ("postrouting",)},
    "bridge": {"dstnat": ("prerouting",), "out": ("output",), "srcnat": ("postrouting",)},
}
_FARTHEST: Final = 10
"""From its neighbour, where a number is listed by name."""


def _known(family: str, hook: str) -> dict[str, int]:
    named = {"ip": _OF_IP, "ip6": _OF_IP, "inet": _OF_IP, "bridge": _OF_BRIDGE}.get(family, _OF_OTHERS)
    allowed = _HOOKS["bridge" if family == "bridge" else "ip"]
    return {name: value for name, value in named.items() if hook in allowed.get(name, (hook,))}


def take(tokens: Tokens, family: str, hook: str) -> int:
    """Take a number, a name, or a name with a number added.

    Raises:
        SyntaxFaultError: there is no such priority at `hook`.
    """
    place = tokens.last.place
    if tokens.next.kind != "word":
        sign = -1 if tokens.accept("-") else 1
        return sign * tokens.take_number()
    token = tokens.take()
    value = _known(family, hook).get(token.text)
    if value is None:
        raise SyntaxFaultError(place.to(token.place), "invalid priority expression value in this context.")
    if tokens.accept("+"):
        return value + tokens.take_number()
    return value - tokens.take_number() if tokens.accept("-") else value


def render(priority: int, family: str, hook: str) -> str:
    """Return a priority as it is listed: by the name of its nearest neighbour, if that is near."""
    known = _known(family, hook)
    name = min(known, key=lambda known_name: abs(known[known_name] - priority))
    distance = priority - known[name]
    if abs(distance) > _FARTHEST:
        return str(priority)
    if not distance:
        return name
    return f"{name} {'+' if distance > 0 else '-'} {abs(distance)}"
