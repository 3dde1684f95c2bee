# SPDX-License-Identifier: GPL-2.0-only
"""`-m connbytes` and `-m connlimit`. Source: extensions/libxt_connbytes.c, libxt_connlimit.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.connbytes import ConnBytes, Measure, Way
from emu.kernel.netfilter.matches.connlimit import ConnLimit
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.values import number, number_of

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options

_MAX: Final = (1 << 64) - 1
_MEASURES: Final = {measure.value: measure for measure in Measure}
_WAYS: Final = {way.name.lower(): way for way in Way}


def _build_bytes(options: Options) -> ConnBytes:
    written = options.given["connbytes"]
    first, colon, last = written.value.partition(":")
    low = number(first, 0, _MAX) if first or not colon else 0
    high = number(last, 0, _MAX) if last else _MAX
    if low is None or high is None:
        raise wrong(
            f'connbytes: bad value for option "--connbytes" near "{written.value}", '
            f"or out of range (0-{_MAX}).\n"
        )
    if low > high:
        raise wrong(f"{low} should be less than {high}")
    measure, way = _MEASURES.get(options.text("connbytes-mode")), _WAYS.get(options.text("connbytes-dir"))
    if way is None:
        raise wrong(f"Unknown --connbytes-dir `{options.text('connbytes-dir')}")
    if measure is None:
        raise wrong(f"Unknown --connbytes-mode `{options.text('connbytes-mode')}")
    return ConnBytes(measure, way, low, high, inverted=written.inverted)


def _range(match: ConnBytes) -> str:
    return f"{match.first}" if match.last == _MAX else f"{match.first}:{match.last}"


def _render_bytes(match: ConnBytes) -> str:
    return (
        f"{'! ' if match.inverted else ''}--connbytes {_range(match)} "
        f"--connbytes-mode {match.measure.value} --connbytes-dir {match.way.name.lower()}"
    )


def _describe_bytes(match: ConnBytes) -> str:
    return (
        f"{'! ' if match.inverted else ''}connbytes {_range(match)} "
        f"connbytes mode {match.measure.value} connbytes direction {match.way.name.lower()}"
    )


def _build_limit(options: Options) -> ConnLimit:
    form = next((name for name in ("connlimit-above", "connlimit-upto") if name in options), "")
    if not form:
        raise wrong('You must specify "--connlimit-above" or "--connlimit-upto".')
    return ConnLimit(
        number_of(options, form),
        number_of(options, "connlimit-mask", 32, high=32),
        "connlimit-daddr" in options,
        inverted=(form == "connlimit-upto") is not options.is_inverted(form),
    )


def _render_limit(match: ConnLimit) -> str:
    return (
        f"--connlimit-{'upto' if match.inverted else 'above'} {match.most} --connlimit-mask {match.length} "
        f"--connlimit-{'daddr' if match.is_destination else 'saddr'}"
    )


def _describe_limit(match: ConnLimit) -> str:
    side = "dst" if match.is_destination else "src"
    return f"#conn {side}/{match.length} {'<=' if match.inverted else '>'} {match.most}"


EXTENSIONS: Final = (
    Extension(
        name="connbytes",
        type=ConnBytes,
        build=_build_bytes,
        render=_render_bytes,
        describe=_describe_bytes,
        options=(
            Option("connbytes", invertible=True, required=True),
            Option("connbytes-dir", required=True),
            Option("connbytes-mode", required=True),
        ),
    ),
    Extension(
        name="connlimit",
        type=ConnLimit,
        build=_build_limit,
        render=_render_limit,
        describe=_describe_limit,
        options=(
            Option("connlimit-upto", invertible=True, excludes=("connlimit-above",)),
            Option("connlimit-above", invertible=True, excludes=("connlimit-upto",)),
            Option("connlimit-mask"),
            Option("connlimit-saddr", arguments=0, excludes=("connlimit-daddr",)),
            Option("connlimit-daddr", arguments=0, excludes=("connlimit-saddr",)),
        ),
    ),
)
