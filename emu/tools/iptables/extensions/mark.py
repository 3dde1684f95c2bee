# SPDX-License-Identifier: GPL-2.0-only
"""`-m mark` and `-j MARK`. Source: extensions/libxt_mark.c, libxt_MARK.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.mark import Mark
from emu.kernel.netfilter.targets.mark import SetMark
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.extensions import marking
from emu.tools.iptables.values import masked, masked_of

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options


def _build_match(options: Options) -> Mark:
    value, mask = masked_of(options, "mark")
    return Mark(value, mask, inverted=options.is_inverted("mark"))


def _render_match(match: Mark) -> str:
    return f"{'! ' if match.inverted else ''}--mark {masked(match.value, match.mask)}"


def _describe_match(match: Mark) -> str:
    return f"mark match {'! ' if match.inverted else ''}{masked(match.value, match.mask)}"


def _build_target(options: Options) -> SetMark:
    form = next(iter(options.given), "")
    if not form:
        raise wrong(
            "MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required"  # its own braces
        )
    return SetMark(*marking.set_by(options, form))


def _render_target(target: SetMark) -> str:
    return f"--set-xmark 0x{target.value:x}/0x{target.mask:x}"


def _describe_target(target: SetMark) -> str:
    return f"MARK {marking.described(target.value, target.mask)}"


EXTENSIONS: Final = (
    Extension(
        name="mark",
        type=Mark,
        build=_build_match,
        render=_render_match,
        describe=_describe_match,
        options=(Option("mark", invertible=True, required=True),),
    ),
    Extension(
        name="MARK",
        type=SetMark,
        build=_build_target,
        render=_render_target,
        describe=_describe_target,
        options=tuple(
            Option(form, excludes=tuple(other for other in marking.FORMS if other != form))
            for form in marking.FORMS
        ),
    ),
)
