# SPDX-License-Identifier: GPL-2.0-only
"""`-m udp`. Source: extensions/libxt_udp.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.udp import Udp
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.values import describe_ports, joined, ports, render_ports

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options


def _build(options: Options) -> Udp:
    if not options.is_for(17):
        raise wrong("UDP match requires '-p udp'")
    return Udp(ports(options.get("source-port")), ports(options.get("destination-port")))


def _render(match: Udp) -> str:
    return joined(render_ports("sport", match.source), render_ports("dport", match.destination))


def _describe(match: Udp) -> str:
    return joined("udp", describe_ports("spt", match.source), describe_ports("dpt", match.destination))


EXTENSIONS: Final = (
    Extension(
        name="udp",
        type=Udp,
        build=_build,
        render=_render,
        describe=_describe,
        protocols=frozenset({17}),
        options=(
            Option("source-port", ("sport",), invertible=True),
            Option("destination-port", ("dport",), invertible=True),
        ),
    ),
)
