# SPDX-License-Identifier: GPL-2.0-only
"""`-m length`. Source: extensions/libxt_length.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.length import Length
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.values import number

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options

_MAX: Final = 0xFFFF


def _build(options: Options) -> Length:
    text = options.text("length")
    first, colon, last = text.partition(":")
    low = number(first, 0, _MAX) if first or not colon else 0
    high = low if not colon else number(last, 0, _MAX) if last else _MAX
    if low is None or high is None:
        raise wrong(f'length: bad value for option "--length" near "{text}", or out of range (0-{_MAX}).\n')
    return Length(low, high, inverted=options.is_inverted("length"))


def _range(match: Length) -> str:
    return f"{match.least}" if match.least == match.most else f"{match.least}:{match.most}"


def _render(match: Length) -> str:
    return f"{'! ' if match.inverted else ''}--length {_range(match)}"


def _describe(match: Length) -> str:
    return f"length {'!' if match.inverted else ''}{_range(match)}"


EXTENSIONS: Final = (
    Extension(
        name="length",
        type=Length,
        build=_build,
        render=_render,
        describe=_describe,
        options=(Option("length", invertible=True, required=True),),
    ),
)
