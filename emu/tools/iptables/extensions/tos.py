# SPDX-License-Identifier: GPL-2.0-only
"""`-m tos`, `-m dscp`, `-j TOS`, `-j DSCP`.

Source: extensions/libxt_tos.c, libxt_TOS.c, libxt_dscp.c, libxt_DSCP.c, tos_values.c, dscp_helper.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.tos import Dscp, Tos
from emu.kernel.netfilter.targets.tos import SetDscp, SetTos
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.values import number, number_of

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options

_MANGLE: Final = frozenset({"mangle"})
_NAMES: Final = {
    "minimize-delay": 0x10,
    "maximize-throughput": 0x08,
    "maximize-reliability": 0x04,
    "minimize-cost": 0x02,
    "normal-service": 0x00,
}
"""RFC 1349's words; they stand for the lower six bits."""

_NAMED_MASK: Final = 0x3F
_CLASSES: Final = {
    **{f"cs{number_}": number_ << 3 for number_ in range(8)},
    "be": 0,
    **{f"af{kind}{drop}": kind << 3 | drop << 1 for kind in range(1, 5) for drop in range(1, 4)},
    "ef": 0x2E,
}
"""RFC 2474, RFC 2597, RFC 3246."""

_FORMS: Final = ("set-tos", "and-tos", "or-tos", "xor-tos")


def _value_and_mask(text: str) -> tuple[int, int]:
    """Return what `V`, `V/M` or a name stands for. Source: `tos_parse_numeric`, `tos_parse_symbolic`."""
    first, slash, second = text.partition("/")
    value = number(first, 0, 0xFF)
    mask = number(second, 0, 0xFF) if slash else 0xFF
    if value is not None and mask is not None:
        return value, mask
    found = [bits for name, bits in _NAMES.items() if name.startswith(text.lower())]
    if len(found) != 1:
        problem = "is unknown" if not found else "is ambiguous"
        raise wrong(f'Symbolic name "{text}" {problem}')
    return found[0], _NAMED_MASK


def _build_tos(options: Options) -> Tos:
    return Tos(*_value_and_mask(options.text("tos")), inverted=options.is_inverted("tos"))


def _render_tos(match: Tos) -> str:
    return f"{'! ' if match.inverted else ''}--tos 0x{match.value:02x}/0x{match.mask:02x}"


def _describe_tos(match: Tos) -> str:
    return f"tos match{'!' if match.inverted else ''}0x{match.value:02x}/0x{match.mask:02x}"


def _build_set_tos(options: Options) -> SetTos:
    form = next(iter(options.given), "")
    if form == "set-tos":
        return SetTos(*_value_and_mask(options.text(form)))
    if not form:
        raise wrong("TOS: An action is required")
    bits = number_of(options, form, high=0xFF)
    match form:
        case "and-tos":
            return SetTos(0, ~bits & 0xFF)
        case "or-tos":
            return SetTos(bits, bits)
        case _:
            return SetTos(bits, 0)


def _render_set_tos(target: SetTos) -> str:
    return f"--set-tos 0x{target.value:02x}/0x{target.mask:02x}"


def _describe_set_tos(target: SetTos) -> str:
    return f"TOS set 0x{target.value:02x}/0x{target.mask:02x}"


def _class(text: str) -> int:
    if text.lower() not in _CLASSES:
        raise wrong(f"Invalid DSCP value `{text}'")
    return _CLASSES[text.lower()]


def _build_dscp(options: Options) -> Dscp:
    for name in ("dscp", "dscp-class"):
        written = options.get(name)
        if written is not None:
            value = number_of(options, name, high=0x3F) if name == "dscp" else _class(written.value)
            return Dscp(value, inverted=written.inverted)
    raise wrong("DSCP match: Parameter --dscp is required")


def _render_dscp(match: Dscp) -> str:
    return f"{'! ' if match.inverted else ''}--dscp 0x{match.value:02x}"


def _describe_dscp(match: Dscp) -> str:
    return f"DSCP match {'!' if match.inverted else ''}0x{match.value:02x}"


def _build_set_dscp(options: Options) -> SetDscp:
    if "set-dscp" in options:
        return SetDscp(number_of(options, "set-dscp", high=0x3F))
    if "set-dscp-class" in options:
        return SetDscp(_class(options.text("set-dscp-class")))
    raise wrong("DSCP target: Parameter --set-dscp is required")


def _render_set_dscp(target: SetDscp) -> str:
    return f"--set-dscp 0x{target.value:02x}"


def _describe_set_dscp(target: SetDscp) -> str:
    return f"DSCP set 0x{target.value:02x}"


EXTENSIONS: Final = (
    Extension(
        name="tos",
        type=Tos,
        build=_build_tos,
        render=_render_tos,
        describe=_describe_tos,
        options=(Option("tos", invertible=True, required=True),),
    ),
    Extension(
        name="TOS",
        type=SetTos,
        build=_build_set_tos,
        render=_render_set_tos,
        describe=_describe_set_tos,
        tables=_MANGLE,
        options=tuple(
            Option(form, excludes=tuple(other for other in _FORMS if other != form)) for form in _FORMS
        ),
    ),
    Extension(
        name="dscp",
        type=Dscp,
        build=_build_dscp,
        render=_render_dscp,
        describe=_describe_dscp,
        options=(
            Option("dscp", invertible=True, excludes=("dscp-class",)),
            Option("dscp-class", invertible=True, excludes=("dscp",)),
        ),
    ),
    Extension(
        name="DSCP",
        type=SetDscp,
        build=_build_set_dscp,
        render=_render_set_dscp,
        describe=_describe_set_dscp,
        tables=_MANGLE,
        options=(
            Option("set-dscp", excludes=("set-dscp-class",)),
            Option("set-dscp-class", excludes=("set-dscp",)),
        ),
    ),
)
