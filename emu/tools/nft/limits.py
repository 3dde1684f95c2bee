# SPDX-License-Identifier: GPL-2.0-only
"""`limit rate`: read and written. Source: nftables, src/parser_bison.y, src/statement.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.nftables.statements import Limit
from emu.tools.nft.faults import SyntaxFaultError

if TYPE_CHECKING:
    from emu.tools.nft.tokens import Tokens

_SIZES: Final = {"bytes": 1, "kbytes": 1024, "mbytes": 1024 * 1024}
_UNITS: Final = ("second", "minute", "hour", "day", "week")
DEFAULT_BURST: Final = 5
"""Packets; of octets there is none."""


def take_limit(tokens: Tokens) -> Limit:
    """Take what stands behind `limit`.

    Raises:
        SyntaxFaultError: it makes no sense.
    """
    tokens.expect("rate")
    over = tokens.accept("over")
    place = tokens.next.place
    rate = tokens.take_number()
    octets = tokens.next.kind == "word"
    if octets:  # one word: `kbytes/second`
        size, _, unit = tokens.next.text.partition("/")
        if size not in _SIZES or unit not in _UNITS:
            raise tokens.unexpected()
        tokens.take()
        rate *= _SIZES[size]
    else:
        tokens.expect("/")
        unit = tokens.expect(*_UNITS).text
    if rate == 0:
        raise SyntaxFaultError(place.to(tokens.last.place), "Could not process rule: Invalid argument")
    return Limit(rate, unit, _take_burst(tokens, octets=octets), over, octets)


def _take_burst(tokens: Tokens, *, octets: bool) -> int:
    place = tokens.next.place
    if not tokens.accept("burst"):
        return 0 if octets else DEFAULT_BURST
    burst = tokens.take_number()
    unit = tokens.expect("packets", *_SIZES).text
    if (unit != "packets") is not octets:
        raise SyntaxFaultError(place.to(tokens.last.place), f"syntax error, unexpected {unit}")
    if not burst and not octets:
        raise SyntaxFaultError(place.to(tokens.last.place), "packet limit burst must be > 0")
    return burst * _SIZES.get(unit, 1)


def render_limit(limit: Limit) -> str:
    """Return a limit as nft lists it."""
    over = "over " if limit.over else ""
    if not limit.octets:
        burst = f" burst {limit.burst} packets" if limit.burst != DEFAULT_BURST else ""
        return f"limit rate {over}{limit.rate}/{limit.unit}{burst}"
    burst = f" burst {_size(limit.burst)}" if limit.burst else ""
    return f"limit rate {over}{_size(limit.rate)}/{limit.unit}{burst}"


def _size(octets: int) -> str:
    name = next(name for name, size in reversed(_SIZES.items()) if octets % size == 0)
    return f"{octets // _SIZES[name]} {name}"
