# SPDX-License-Identifier: GPL-2.0-only
"""`-m multiport`. Source: extensions/libxt_multiport.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.multiport import MOST_PORTS, Multiport, Side
from emu.kernel.netfilter.packet import PORT_PROTOCOLS
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.values import port

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options

_OPTIONS: Final = {"source-ports": Side.SOURCE, "destination-ports": Side.DESTINATION, "ports": Side.EITHER}
_WORDS: Final = {Side.SOURCE: "sports", Side.DESTINATION: "dports", Side.EITHER: "ports"}


def _ranges(text: str) -> tuple[tuple[int, int], ...]:
    ranges: list[tuple[int, int]] = []
    room = MOST_PORTS
    for part in text.split(","):
        first, colon, last = part.partition(":")
        room -= 2 if colon else 1
        if room < 0:
            raise wrong("too many ports specified")
        low = port(first)
        high = port(last) if colon else low
        if colon and low >= high:
            raise wrong("invalid portrange specified")
        ranges.append((low, high))
    return tuple(ranges)


def _build(options: Options) -> Multiport:
    for name, side in _OPTIONS.items():
        written = options.get(name)
        if written is None:
            continue
        if not options.is_for(*PORT_PROTOCOLS):
            if not options.protocol and not options.protocol_inverted:
                raise wrong("multiport needs `-p tcp', `-p udp', `-p udplite', `-p sctp' or `-p dccp'")
            raise wrong("multiport only works with TCP, UDP, UDPLITE, SCTP and DCCP")
        return Multiport(side, _ranges(written.value), inverted=written.inverted)
    raise wrong("multiport expection an option")  # its own spelling


def _ports(match: Multiport) -> str:
    return ",".join(f"{low}" if low == high else f"{low}:{high}" for low, high in match.ranges)


def _render(match: Multiport) -> str:
    return f"{'! ' if match.inverted else ''}--{_WORDS[match.side]} {_ports(match)}"


def _describe(match: Multiport) -> str:
    return f"multiport {_WORDS[match.side]} {' !' if match.inverted else ''}{_ports(match)}"


def _option(name: str, *aliases: str) -> Option:
    others = tuple(other for other in _OPTIONS if other != name)
    return Option(name, aliases, invertible=True, excludes=others)


EXTENSIONS: Final = (
    Extension(
        name="multiport",
        type=Multiport,
        build=_build,
        render=_render,
        describe=_describe,
        protocols=PORT_PROTOCOLS,
        options=(
            _option("source-ports", "sports", "sport"),
            _option("destination-ports", "dports", "dport"),
            _option("ports", "port"),
        ),
    ),
)
