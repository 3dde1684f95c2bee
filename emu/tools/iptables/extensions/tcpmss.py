# SPDX-License-Identifier: GPL-2.0-only
"""`-j TCPMSS`. Source: extensions/libxt_TCPMSS.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.targets.tcpmss import SetMss
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.values import number_of
from emu.wire.ipv4 import TCP

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options, Place

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


EXTENSIONS: Final = (
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
