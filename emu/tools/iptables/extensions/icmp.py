# SPDX-License-Identifier: GPL-2.0-only
"""`-m icmp`. Source: extensions/libipt_icmp.c, libxt_icmp.h."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.icmp import ANY_TYPE, Icmp
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.values import number

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options

_ANY_CODE: Final = (0, 0xFF)
_NAMES: Final[dict[str, tuple[int, int | None]]] = {
    "any": (ANY_TYPE, None),
    "echo-reply": (0, None),
    "pong": (0, None),
    "destination-unreachable": (3, None),
    "network-unreachable": (3, 0),
    "host-unreachable": (3, 1),
    "protocol-unreachable": (3, 2),
    "port-unreachable": (3, 3),
    "fragmentation-needed": (3, 4),
    "source-route-failed": (3, 5),
    "network-unknown": (3, 6),
    "host-unknown": (3, 7),
    "network-prohibited": (3, 9),
    "host-prohibited": (3, 10),
    "TOS-network-unreachable": (3, 11),
    "TOS-host-unreachable": (3, 12),
    "communication-prohibited": (3, 13),
    "host-precedence-violation": (3, 14),
    "precedence-cutoff": (3, 15),
    "source-quench": (4, None),
    "redirect": (5, None),
    "network-redirect": (5, 0),
    "host-redirect": (5, 1),
    "TOS-network-redirect": (5, 2),
    "TOS-host-redirect": (5, 3),
    "echo-request": (8, None),
    "ping": (8, None),
    "router-advertisement": (9, None),
    "router-solicitation": (10, None),
    "time-exceeded": (11, None),
    "ttl-exceeded": (11, None),
    "ttl-zero-during-transit": (11, 0),
    "ttl-zero-during-reassembly": (11, 1),
    "parameter-problem": (12, None),
    "ip-header-bad": (12, 0),
    "required-option-missing": (12, 1),
    "timestamp-request": (13, None),
    "timestamp-reply": (14, None),
    "address-mask-request": (17, None),
    "address-mask-reply": (18, None),
}
"""Type and code by name; a beginning that is no other name's will do."""


def _type_and_code(text: str) -> tuple[int, int | None]:
    found = [name for name in _NAMES if name.lower().startswith(text.lower())]
    if len(found) > 1:
        raise wrong(f"Ambiguous ICMP type `{text}': `{found[0]}' or `{found[1]}'?")
    if found:
        return _NAMES[found[0]]
    kind_text, slash, code_text = text.partition("/")
    kind = number(kind_text, 0, 0xFF)
    if kind is None:
        raise wrong(f"Unknown ICMP type `{kind_text}'")
    if not slash:
        return kind, None
    code = number(code_text, 0, 0xFF)
    if code is None:
        raise wrong(f"Unknown ICMP code `{text}'")
    return kind, code


def _build(options: Options) -> Icmp:
    kind, code = _type_and_code(options.text("icmp-type"))
    codes = _ANY_CODE if code is None or kind == ANY_TYPE else (code, code)
    return Icmp(kind, *codes, inverted=options.is_inverted("icmp-type"))


def _render(match: Icmp) -> str:
    words = "! --icmp-type " if match.inverted else "--icmp-type "
    if match.type == ANY_TYPE:
        return f"{words}any"
    if (match.first_code, match.last_code) == _ANY_CODE:
        return f"{words}{match.type}"
    return f"{words}{match.type}/{match.first_code}"


def _describe(match: Icmp) -> str:
    words = "icmp !type " if match.inverted else "icmptype "
    if (match.first_code, match.last_code) == _ANY_CODE:
        return f"{words}{match.type}"
    return f"{words}{match.type} code {match.first_code}"


EXTENSIONS: Final = (
    Extension(
        name="icmp",
        type=Icmp,
        build=_build,
        render=_render,
        describe=_describe,
        protocols=frozenset({1}),
        options=(Option("icmp-type", invertible=True, required=True),),
    ),
)
