# SPDX-License-Identifier: GPL-2.0-only
"""`-m tcp`. Source: extensions/libxt_tcp.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.tcp import Tcp, TcpFlags, TcpOption
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.values import describe_ports, joined, number, ports, render_ports

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options

FLAGS: Final = {"FIN": 0x01, "SYN": 0x02, "RST": 0x04, "PSH": 0x08, "ACK": 0x10, "URG": 0x20}
"""In the order in which they are printed."""

_NAMED: Final = {**FLAGS, "ALL": 0x3F, "NONE": 0}
_SYN: Final = (0x17, 0x02)


def _flags(text: str) -> int:
    total = 0
    for name in filter(None, text.split(",")):
        if name.upper() not in _NAMED:
            raise wrong(f"Unknown TCP flag `{name}'")
        total |= _NAMED[name.upper()]
    return total


def _flags_text(flags: int) -> str:
    return ",".join(name for name, bit in FLAGS.items() if flags & bit) or "NONE"


def _flags_words(flags: TcpFlags) -> str:
    words = f"--tcp-flags {_flags_text(flags.mask)} {_flags_text(flags.value)}"
    return f"! {words}" if flags.inverted else words


def _asked_flags(options: Options) -> TcpFlags | None:
    if syn := options.get("syn"):
        return TcpFlags(*_SYN, inverted=syn.inverted)
    written = options.get("tcp-flags")
    if written is None:
        return None
    mask, value = map(_flags, written.values)
    return TcpFlags(mask, value, inverted=written.inverted) if mask or written.inverted else None


def _asked_option(options: Options) -> TcpOption | None:
    written = options.get("tcp-option")
    if written is None:
        return None
    kind = number(written.value, 1, 255)
    if kind is None:
        raise wrong(f'Bad TCP option "{written.value}"')
    return TcpOption(kind, inverted=written.inverted)


def _build(options: Options) -> Tcp:
    if not options.is_for(6):
        raise wrong("TCP match requires '-p tcp'")
    return Tcp(
        ports(options.get("source-port")),
        ports(options.get("destination-port")),
        _asked_flags(options),
        _asked_option(options),
    )


def _render(match: Tcp) -> str:
    flags, option = match.flags, match.option
    return joined(
        render_ports("sport", match.source),
        render_ports("dport", match.destination),
        "" if option is None else f"{'! ' if option.inverted else ''}--tcp-option {option.kind}",
        "" if flags is None else _flags_words(flags),
    )


def _describe(match: Tcp) -> str:
    flags, option = match.flags, match.option
    return joined(
        "tcp",
        describe_ports("spt", match.source),
        describe_ports("dpt", match.destination),
        "" if option is None else f"option={'!' if option.inverted else ''}{option.kind}",
        ""
        if flags is None
        else f"flags:{'!' if flags.inverted else ''}0x{flags.mask:02X}/0x{flags.value:02X}",
    )


_ONE_KIND: Final = "Only one of `--syn' or `--tcp-flags'  allowed"

EXTENSIONS: Final = (
    Extension(
        name="tcp",
        type=Tcp,
        build=_build,
        render=_render,
        describe=_describe,
        protocols=frozenset({6}),
        options=(
            Option("source-port", ("sport",), invertible=True, repeated="Only one `--source-port' allowed"),
            Option(
                "destination-port",
                ("dport",),
                invertible=True,
                repeated="Only one `--destination-port' allowed",
            ),
            Option("syn", arguments=0, invertible=True, repeated=_ONE_KIND),
            Option(
                "tcp-flags",
                arguments=2,
                invertible=True,
                repeated=_ONE_KIND,
                too_few="--tcp-flags requires two args.",
            ),
            Option("tcp-option", invertible=True, repeated="Only one `--tcp-option' allowed"),
        ),
    ),
)
