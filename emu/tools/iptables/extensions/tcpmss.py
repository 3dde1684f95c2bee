# SPDX-License-Identifier: GPL-2.0-only
"""`-j TCPMSS` and `-m tcpmss`. Source: extensions/libxt_TCPMSS.c, libxt_tcpmss.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.matches.tcpmss import SegmentSize
from emu.kernel.netfilter.targets.tcpmss import SetMss
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.values import number, number_of
from emu.wire.ipv4 import TCP

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options, Place

_MAX: Final = 0xFFFF
_MOST: Final = 65515
_ROUTED: Final = frozenset({Hook.FORWARD, Hook.OUTPUT, Hook.POSTROUTING})


def _build(options: Options) -> SetMss:
    if "set-mss" in options:
        return SetMss(number_of(options, "set-mss", high=_MOST))
    if "clamp-mss-to-pmtu" in options:
        return SetMss()
    raise wrong("TCPMSS target: At least one parameter is required")


def _render(target: SetMss) -> str:
    return "--clamp-mss-to-pmtu" if target.mss is None else f"--set-mss {target.mss}"


def _describe(target: SetMss) -> str:
    return "TCPMSS clamp to PMTU" if target.mss is None else f"TCPMSS set {target.mss}"


def _refuses(target: SetMss, place: Place) -> bool:
    return target.mss is None and not place.hooks <= _ROUTED


def _build_size(options: Options) -> SegmentSize:
    text = options.text("mss")
    first, colon, last = text.partition(":")
    low = number(first, 0, _MAX) if first or not colon else 0
    high = low if not colon else number(last, 0, _MAX) if last else _MAX
    if low is None or high is None:
        raise wrong(f'tcpmss: bad value for option "--mss" near "{text}", or out of range (0-{_MAX}).\n')
    if high < low:
        raise wrong("tcpmss: invalid range given")
    return SegmentSize(low, high, inverted=options.is_inverted("mss"))


def _range(match: SegmentSize) -> str:
    return f"{match.least}" if match.least == match.most else f"{match.least}:{match.most}"


def _render_size(match: SegmentSize) -> str:
    return f"{'! ' if match.inverted else ''}--mss {_range(match)}"


def _describe_size(match: SegmentSize) -> str:
    return f"tcpmss match {'!' if match.inverted else ''}{_range(match)}"


EXTENSIONS: Final = (
    Extension(
        name="tcpmss",
        type=SegmentSize,
        build=_build_size,
        render=_render_size,
        describe=_describe_size,
        protocols=frozenset({TCP}),
        options=(Option("mss", invertible=True, required=True),),
    ),
    Extension(
        name="TCPMSS",
        type=SetMss,
        build=_build,
        render=_render,
        describe=_describe,
        protocols=frozenset({TCP}),
        refuses=_refuses,
        options=(
            Option("set-mss", excludes=("clamp-mss-to-pmtu",)),
            Option("clamp-mss-to-pmtu", arguments=0, excludes=("set-mss",)),
        ),
    ),
)
