# SPDX-License-Identifier: GPL-2.0-only
"""`-m pkttype`. Source: extensions/libxt_pkttype.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.pkttype import LinkType
from emu.kernel.skb import PacketType
from emu.tools.iptables.extension import Extension, Option, wrong

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options

_NAMES: Final = {
    "unicast": PacketType.HOST,
    "broadcast": PacketType.BROADCAST,
    "multicast": PacketType.MULTICAST,
    "otherhost": PacketType.OTHERHOST,
}
_ALIASES: Final = {
    "bcast": PacketType.BROADCAST,
    "mcast": PacketType.MULTICAST,
    "host": PacketType.HOST,
}
_WORDS: Final = {kind: name for name, kind in _NAMES.items()}


def _build(options: Options) -> LinkType:
    text = options.text("pkt-type")
    kind = {**_NAMES, **_ALIASES}.get(text.lower())
    if kind is None:
        raise wrong(f"Bad packet type '{text}'")
    return LinkType(kind, inverted=options.is_inverted("pkt-type"))


def _render(match: LinkType) -> str:
    return f"{'! ' if match.inverted else ''}--pkt-type {_WORDS[match.type]}"


def _describe(match: LinkType) -> str:
    return f"PKTTYPE {'!' if match.inverted else ''}= {_WORDS[match.type]}"


EXTENSIONS: Final = (
    Extension(
        name="pkttype",
        type=LinkType,
        build=_build,
        render=_render,
        describe=_describe,
        options=(Option("pkt-type", invertible=True, required=True),),
    ),
)
