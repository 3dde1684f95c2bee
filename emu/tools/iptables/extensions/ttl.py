# SPDX-License-Identifier: GPL-2.0-only
"""`-m ttl` and `-j TTL`. Source: extensions/libipt_ttl.c, libipt_TTL.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.ttl import Comparison, Ttl
from emu.kernel.netfilter.targets.ttl import Change, ChangeTtl
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.values import number_of

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options

_COMPARISONS: Final = {"ttl-eq": Comparison.EQUAL, "ttl-lt": Comparison.LESS, "ttl-gt": Comparison.GREATER}
_WORDS: Final = {
    Comparison.EQUAL: ("--ttl-eq", "=="),
    Comparison.NOT_EQUAL: ("! --ttl-eq", "!="),
    Comparison.LESS: ("--ttl-lt", "<"),
    Comparison.GREATER: ("--ttl-gt", ">"),
}
_CHANGES: Final = {"ttl-set": Change.SET, "ttl-dec": Change.DECREASE, "ttl-inc": Change.INCREASE}
_CHANGE_WORDS: Final = {
    Change.SET: ("--ttl-set", "set to"),
    Change.DECREASE: ("--ttl-dec", "decrement by"),
    Change.INCREASE: ("--ttl-inc", "increment by"),
}


def _build_match(options: Options) -> Ttl:
    for name, comparison in _COMPARISONS.items():
        if name in options:
            asked = Comparison.NOT_EQUAL if options.is_inverted(name) else comparison
            return Ttl(asked, number_of(options, name, high=0xFF))
    raise wrong("TTL match: You must specify one of `--ttl-eq', `--ttl-lt', `--ttl-gt")


def _render_match(match: Ttl) -> str:
    return f"{_WORDS[match.comparison][0]} {match.value}"


def _describe_match(match: Ttl) -> str:
    return f"TTL match TTL {_WORDS[match.comparison][1]} {match.value}"


def _build_target(options: Options) -> ChangeTtl:
    for name, change in _CHANGES.items():
        if name in options:
            return ChangeTtl(change, number_of(options, name, low=int(change is not Change.SET), high=0xFF))
    raise wrong("TTL: You must specify an action")


def _render_target(target: ChangeTtl) -> str:
    return f"{_CHANGE_WORDS[target.change][0]} {target.value}"


def _describe_target(target: ChangeTtl) -> str:
    return f"TTL {_CHANGE_WORDS[target.change][1]} {target.value}"


def _others(name: str, names: dict[str, Comparison] | dict[str, Change]) -> tuple[str, ...]:
    return tuple(other for other in names if other != name)


EXTENSIONS: Final = (
    Extension(
        name="ttl",
        type=Ttl,
        build=_build_match,
        render=_render_match,
        describe=_describe_match,
        options=(
            Option("ttl-lt", excludes=_others("ttl-lt", _COMPARISONS)),
            Option("ttl-gt", excludes=_others("ttl-gt", _COMPARISONS)),
            Option("ttl-eq", ("ttl",), invertible=True, excludes=_others("ttl-eq", _COMPARISONS)),
        ),
    ),
    Extension(
        name="TTL",
        type=ChangeTtl,
        build=_build_target,
        render=_render_target,
        describe=_describe_target,
        tables=frozenset({"mangle"}),
        options=tuple(Option(name, excludes=_others(name, _CHANGES)) for name in _CHANGES),
    ),
)
