# SPDX-License-Identifier: GPL-2.0-only
"""`-m mac`. Source: extensions/libxt_mac.c."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.matches.mac import SourceMac
from emu.tools.iptables.extension import Extension, Option, wrong

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options

_MAC: Final = re.compile(r"[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}")


def _build(options: Options) -> SourceMac:
    text = options.text("mac-source")
    if _MAC.fullmatch(text) is None:
        raise wrong("Invalid MAC address specified.")
    return SourceMac(bytes.fromhex(text.replace(":", "")), inverted=options.is_inverted("mac-source"))


def _render(match: SourceMac) -> str:
    return f"{'! ' if match.inverted else ''}--mac-source {match.address.hex(':')}"


def _describe(match: SourceMac) -> str:
    return f"MAC {'! ' if match.inverted else ''}{match.address.hex(':')}"


EXTENSIONS: Final = (
    Extension(
        name="mac",
        type=SourceMac,
        build=_build,
        render=_render,
        describe=_describe,
        hooks=frozenset({Hook.PREROUTING, Hook.INPUT, Hook.FORWARD}),
        options=(Option("mac-source", invertible=True, required=True),),
    ),
)
