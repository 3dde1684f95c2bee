# SPDX-License-Identifier: GPL-2.0-only
"""`-m iprange`. Source: extensions/libxt_iprange.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.iprange import AddressRange, IpRange
from emu.tools.iptables.addresses import dotted
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.extensions.hosts import host
from emu.tools.iptables.values import joined

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options


def _range(options: Options, name: str) -> AddressRange | None:
    written = options.get(name)
    if written is None:
        return None
    first, dash, last = written.value.partition("-")
    low, high = host(first), host(last if dash else first)
    if low is None or high is None:
        raise wrong(f'iprange: Bad value for "--{name}" option: "{first if low is None else last}"')
    return AddressRange(bytes(low), bytes(high), inverted=written.inverted)


def _build(options: Options) -> IpRange:
    if not options.given:
        raise wrong("iprange match: You must specify `--src-range' or `--dst-range'")
    return IpRange(_range(options, "src-range"), _range(options, "dst-range"))


def _words(one: AddressRange | None, option: str, title: str = "") -> str:
    if one is None:
        return ""
    addresses = f"{dotted(one.first)}-{dotted(one.last)}"
    if title:
        return f"{title} IP range {'! ' if one.inverted else ''}{addresses}"
    return f"{'! ' if one.inverted else ''}--{option} {addresses}"


def _render(match: IpRange) -> str:
    return joined(_words(match.source, "src-range"), _words(match.destination, "dst-range"))


def _describe(match: IpRange) -> str:
    return joined(
        _words(match.source, "src-range", "source"),
        _words(match.destination, "dst-range", "destination"),
    )


EXTENSIONS: Final = (
    Extension(
        name="iprange",
        type=IpRange,
        build=_build,
        render=_render,
        describe=_describe,
        options=(Option("src-range", invertible=True), Option("dst-range", invertible=True)),
    ),
)
