# SPDX-License-Identifier: GPL-2.0-only
"""`-m rpfilter`. Source: extensions/libxt_rpfilter.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.matches.rpfilter import ReversePath
from emu.tools.iptables.extension import Extension, Option
from emu.tools.iptables.values import joined

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options


def _build(options: Options) -> ReversePath:
    return ReversePath(
        "loose" in options, "validmark" in options, "accept-local" in options, "invert" in options
    )


def _words(match: ReversePath, dashes: str) -> str:
    given = (
        (match.loose, "loose"),
        (match.valid_mark, "validmark"),
        (match.accept_local, "accept-local"),
        (match.inverted, "invert"),
    )
    return " ".join(f"{dashes}{name}" for on, name in given if on)


def _render(match: ReversePath) -> str:
    return _words(match, "--")


def _describe(match: ReversePath) -> str:
    return joined("rpfilter", _words(match, ""))


EXTENSIONS: Final = (
    Extension(
        name="rpfilter",
        type=ReversePath,
        build=_build,
        render=_render,
        describe=_describe,
        tables=frozenset({"raw", "mangle"}),
        hooks=frozenset({Hook.PREROUTING}),
        options=tuple(Option(name, arguments=0) for name in ("loose", "validmark", "accept-local", "invert")),
    ),
)
