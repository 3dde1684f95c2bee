# SPDX-License-Identifier: GPL-2.0-only
"""`-m statistic`. Source: extensions/libxt_statistic.c."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.statistic import CERTAIN, Nth, Random
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.values import number_of

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options

_DECIMAL: Final = re.compile(r"\+?(?:[0-9]{1,40}\.?[0-9]{0,60}|\.[0-9]{1,60})(?:[eE][-+]?[0-9]{1,3})?")


def _random(options: Options) -> Random:
    written = options.get("probability")
    if written is None:
        raise wrong("--probability must be specified when using random mode")
    probability = Decimal(written.value) if _DECIMAL.fullmatch(written.value) else Decimal(-1)
    if not 0 <= probability <= 1:
        raise wrong('statistic: bad value for option "--probability", or out of range (0-1).\n')
    units = (probability * CERTAIN).to_integral_value(ROUND_HALF_UP)
    return Random(int(units), inverted=written.inverted)


def _nth(options: Options) -> Nth:
    if "every" not in options and "packet" not in options:
        raise wrong("--every and --packet must be specified when using nth mode")
    every = number_of(options, "every", 1, low=1)
    packet = number_of(options, "packet")
    if "every" in options and "packet" not in options:
        raise wrong('statistic: option "--every" also requires "--packet".\n')
    if packet >= every:
        raise wrong("the --packet p must be 0 <= p <= n-1")
    return Nth(every, packet, inverted=options.is_inverted("every"))


def _build(options: Options) -> Random | Nth:
    mode = options.text("mode", "random")
    if mode not in {"random", "nth"}:
        raise wrong(f'Bad mode "{mode}"')
    match = _random(options) if mode == "random" else _nth(options)
    if "mode" not in options:  # noticed last by iptables, too
        raise wrong('statistic: option "--mode" must be specified\n')
    return match


def _probability(match: Random) -> str:
    return f"{Decimal(match.number) / CERTAIN:.11f}"


def _render(match: Random | Nth) -> str:
    mark = "! " if match.inverted else ""
    if isinstance(match, Random):
        return f"--mode random {mark}--probability {_probability(match)}"
    return f"--mode nth {mark}--every {match.every} --packet {match.packet}"


def _describe(match: Random | Nth) -> str:
    mark = "! " if match.inverted else ""
    if isinstance(match, Random):
        return f"statistic mode random {mark}probability {_probability(match)}"
    words = f"statistic mode nth {mark}every {match.every}"
    return f"{words} packet {match.packet}" if match.packet else words


_OPTIONS: Final = (
    Option("mode"),
    Option("probability", invertible=True),
    Option("every", invertible=True),
    Option("packet"),
)

_KINDS: Final[tuple[type[Random | Nth], ...]] = (Random, Nth)

EXTENSIONS: Final = tuple(
    Extension[Random | Nth](
        name="statistic",
        type=kind,
        build=_build,
        render=_render,
        describe=_describe,
        options=_OPTIONS,
    )
    for kind in _KINDS
)
