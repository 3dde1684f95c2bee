# SPDX-License-Identifier: GPL-2.0-only
"""`-m hashlimit`. Source: extensions/libxt_hashlimit.c."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.hashlimit import BYTE_SHIFT, SCALE, HashLimit, Keys, TableOptions
from emu.kernel.netfilter.ruleset import UnknownMatch
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.extensions.rates import parse_rate, rate_text
from emu.tools.iptables.values import joined, number_of

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options

_MAX: Final = 0xFFFFFFFF
_BYTE_RATE: Final = re.compile(r"([0-9]{1,12})([km]?)b/s", re.IGNORECASE)
_BURST: Final = re.compile(r"([0-9]{1,12})([km]?)b?", re.IGNORECASE)
_FACTORS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20}
_MODES: Final = {
    "srcip": Keys.SOURCE,
    "srcport": Keys.SOURCE_PORT,
    "dstip": Keys.DESTINATION,
    "dstport": Keys.DESTINATION_PORT,
}
_RATES: Final = ("hashlimit-upto", "hashlimit-above")
_DEFAULT_BURST: Final = 5
_MOST_BURST: Final = 1_000_000
_INTERVAL: Final = 1000
_OCTETS_EXPIRE: Final = 15_000
_OCTETS_EXPIRE_WITH_BURST: Final = 60_000
_HOST: Final = 32


def _bytes_to_cost(octets: int) -> int:
    return _MAX // ((octets >> BYTE_SHIFT) + 1)


def _cost_to_bytes(cost: int) -> int:
    return ((_MAX // cost if cost else _MAX) - 1) << BYTE_SHIFT


def _burst(options: Options) -> int | None:
    written = options.get("hashlimit-burst")
    if written is None:
        return None
    found = _BURST.fullmatch(written.value)
    if found is None or not int(found[1]):
        raise wrong(f'bad value for option "--hashlimit-burst", or out of range (1-{_MOST_BURST}).\n')
    return int(found[1]) * _FACTORS[found[2].lower()]


def _mode(options: Options) -> Keys:
    keys = Keys.NONE
    for name in filter(None, options.text("hashlimit-mode").split(",")):
        if name not in _MODES:
            raise wrong(
                f'hashlimit: Bad value for "--hashlimit-mode" option: "{options.text("hashlimit-mode")}"'
            )
        keys |= _MODES[name]
    return keys


def _octets(options: Options, octets: int) -> tuple[int, int, int]:
    """Return the cost, the burst and the lifetime of a rate of octets."""
    cost = _bytes_to_cost(octets)
    burst = _burst(options)
    if burst is None:
        return cost, 0, _OCTETS_EXPIRE
    second = _cost_to_bytes(cost)
    if burst < second:
        raise wrong(f"burst cannot be smaller than {second}b")
    return cost, -(-burst // second), _OCTETS_EXPIRE_WITH_BURST


def _build(options: Options) -> HashLimit | UnknownMatch:
    if "hashlimit-rate-match" in options:
        return UnknownMatch("hashlimit", tuple(_as_written(options)))
    option = next((name for name in _RATES if name in options), "")
    if not option:
        raise wrong("You have to specify --hashlimit")
    written = options.given[option]
    octets = _BYTE_RATE.fullmatch(written.value)
    if octets is not None:
        period, burst, expire = _octets(options, int(octets[1]) * _FACTORS[octets[2].lower()])
    else:
        period, unit = parse_rate(written.value, SCALE)
        burst, expire = _burst(options) or _DEFAULT_BURST, unit * 1000
    return HashLimit(
        options.text("hashlimit-name"),
        period,
        burst,
        (option == "hashlimit-above") is not written.inverted,
        octets is not None,
        _mode(options),
        number_of(options, "hashlimit-srcmask", _HOST, high=_HOST),
        number_of(options, "hashlimit-dstmask", _HOST, high=_HOST),
        TableOptions(
            number_of(options, "hashlimit-htable-size"),
            number_of(options, "hashlimit-htable-max"),
            number_of(options, "hashlimit-htable-expire", expire),
            number_of(options, "hashlimit-htable-gcinterval", _INTERVAL),
        ),
    )


def _as_written(options: Options) -> list[str]:
    words: list[str] = []
    for name, written in options.given.items():
        words += [*(["!"] if written.inverted else []), f"--{name}", *written.values]
    return words


def _size(octets: int, *, cost: int | None = None) -> str:
    """Return a number of octets, in the largest unit that is no larger and, for a rate, exact."""
    for letter, factor in (("m", 1 << 20), ("k", 1 << 10)):
        if octets >= factor and (cost is None or _bytes_to_cost(octets & ~(factor - 1)) == cost):
            return f"{octets // factor}{letter}b"
    return f"{octets}b"


def _rate(match: HashLimit, burst_word: str) -> tuple[str, int]:
    """Return the words for rate and burst, and the lifetime that goes with them."""
    if not match.counts_octets:
        text, unit = rate_text(match.period, SCALE)
        return f"{text} {burst_word} {match.burst}", unit * 1000
    second = _cost_to_bytes(match.period)
    words = f"{_size(second, cost=match.period)}/s"
    if not match.burst:
        return words, _OCTETS_EXPIRE
    return f"{words} {burst_word} {_size(second * match.burst)}", _OCTETS_EXPIRE_WITH_BURST


def _table(match: HashLimit, expire: int, dashes: str) -> str:
    options = match.options
    return joined(
        f"{dashes}htable-size {options.size}" if options.size else "",
        f"{dashes}htable-max {options.most}" if options.most else "",
        f"{dashes}htable-gcinterval {options.interval}" if options.interval != _INTERVAL else "",
        f"{dashes}htable-expire {options.expire}" if options.expire != expire else "",
        f"{dashes}srcmask {match.source_length}" if match.source_length != _HOST else "",
        f"{dashes}dstmask {match.destination_length}" if match.destination_length != _HOST else "",
    )


def _keys(match: HashLimit, separator: str) -> str:
    return separator.join(name for name, key in _MODES.items() if match.keys & key)


def _render(match: HashLimit) -> str:
    rate, expire = _rate(match, "--hashlimit-burst")
    return joined(
        f"--hashlimit-{'above' if match.above else 'upto'} {rate}",
        f"--hashlimit-mode {_keys(match, ',')}" if match.keys else "",
        f"--hashlimit-name {match.name}",
        _table(match, expire, "--hashlimit-"),
    )


def _describe(match: HashLimit) -> str:
    rate, expire = _rate(match, "burst")
    return joined(
        f"limit: {'above' if match.above else 'up to'} {rate}",
        f"mode {_keys(match, '-')}" if match.keys else "",
        _table(match, expire, ""),
    )


EXTENSIONS: Final = (
    Extension(
        name="hashlimit",
        type=HashLimit,
        build=_build,
        render=_render,
        describe=_describe,
        options=(
            Option("hashlimit-upto", ("hashlimit",), invertible=True, excludes=("hashlimit-above",)),
            Option("hashlimit-above", invertible=True, excludes=("hashlimit-upto",)),
            Option("hashlimit-srcmask"),
            Option("hashlimit-dstmask"),
            Option("hashlimit-burst"),
            Option("hashlimit-htable-size"),
            Option("hashlimit-htable-max"),
            Option("hashlimit-htable-expire"),
            Option("hashlimit-htable-gcinterval"),
            Option("hashlimit-mode"),
            Option("hashlimit-name", required=True),
            Option("hashlimit-rate-match", arguments=0),
            Option("hashlimit-rate-interval"),
        ),
    ),
)
