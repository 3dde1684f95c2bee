# SPDX-License-Identifier: GPL-2.0-only
"""`-m ecn`. Source: extensions/libxt_ecn.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.ecn import Ecn
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.values import joined, number_of
from emu.wire.ipv4 import TCP

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options, Place


def _flag(options: Options, name: str) -> bool | None:
    written = options.get(name)
    return None if written is None else not written.inverted


def _build(options: Options) -> Ecn:
    if not options.given:
        raise wrong("ECN match: some option required")
    return Ecn(
        number_of(options, "ecn-ip-ect", high=3) if "ecn-ip-ect" in options else None,
        options.is_inverted("ecn-ip-ect"),
        _flag(options, "ecn-tcp-ece"),
        _flag(options, "ecn-tcp-cwr"),
    )


def _render(match: Ecn) -> str:
    return joined(
        "" if match.ece is None else f"{'' if match.ece else '! '}--ecn-tcp-ece",
        "" if match.cwr is None else f"{'' if match.cwr else '! '}--ecn-tcp-cwr",
        "" if match.ect is None else f"{'! ' if match.ect_inverted else ''}--ecn-ip-ect {match.ect}",
    )


def _describe(match: Ecn) -> str:
    return joined(
        "ECN match",
        "" if match.ece is None else f"{'' if match.ece else '!'}ECE",
        "" if match.cwr is None else f"{'' if match.cwr else '!'}CWR",
        "" if match.ect is None else f"{'!' if match.ect_inverted else ''}ECT={match.ect}",
    )


def _refuses(match: Ecn, place: Place) -> bool:
    """Return whether TCP's bits are asked for in a rule that is not for TCP."""
    asks_tcp = match.ece is not None or match.cwr is not None
    return asks_tcp and (place.protocol != TCP or place.protocol_inverted)


EXTENSIONS: Final = (
    Extension(
        name="ecn",
        type=Ecn,
        build=_build,
        render=_render,
        describe=_describe,
        refuses=_refuses,
        options=(
            Option("ecn-tcp-cwr", arguments=0, invertible=True),
            Option("ecn-tcp-ece", arguments=0, invertible=True),
            Option("ecn-ip-ect", invertible=True),
        ),
    ),
)
