# SPDX-License-Identifier: GPL-2.0-only
"""`-m limit`. Source: extensions/libxt_limit.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.limit import SCALE, Limit
from emu.tools.iptables.extension import Extension, Option
from emu.tools.iptables.extensions.rates import parse_rate, rate_text
from emu.tools.iptables.values import number_of

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options

_RATE: Final = "3/hour"
_BURST: Final = 5
_MOST_BURST: Final = 10_000


def _build(options: Options) -> Limit:
    period, _ = parse_rate(options.text("limit", _RATE), SCALE)
    return Limit(period, number_of(options, "limit-burst", _BURST, high=_MOST_BURST))


def _render(match: Limit) -> str:
    words = f"--limit {rate_text(match.period, SCALE)[0]}"
    return words if match.burst == _BURST else f"{words} --limit-burst {match.burst}"


def _describe(match: Limit) -> str:
    return f"limit: avg {rate_text(match.period, SCALE)[0]} burst {match.burst}"


EXTENSIONS: Final = (
    Extension(
        name="limit",
        type=Limit,
        build=_build,
        render=_render,
        describe=_describe,
        options=(Option("limit"), Option("limit-burst")),
    ),
)
