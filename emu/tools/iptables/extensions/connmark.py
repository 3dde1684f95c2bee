# SPDX-License-Identifier: GPL-2.0-only
"""`-m connmark` and `-j CONNMARK`. Source: extensions/libxt_connmark.c, libxt_CONNMARK.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from emu.kernel.netfilter.matches.connmark import Connmark
from emu.kernel.netfilter.ruleset import UnknownTarget
from emu.kernel.netfilter.targets.connmark import RestoreMark, SaveMark, SetConnmark
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.extensions import marking
from emu.tools.iptables.values import masked, masked_of, number_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.tools.iptables.extension import Options

_Target: TypeAlias = SetConnmark | SaveMark | RestoreMark
_FORMS: Final = (*marking.FORMS, "save-mark", "restore-mark")
_SHIFTS: Final = ("left-shift-mark", "right-shift-mark")
"""They move the mark's bits: that is not modelled."""

_ARGUMENTS: Final = {"save-mark": 0, "restore-mark": 0}


def _build_match(options: Options) -> Connmark:
    value, mask = masked_of(options, "mark")
    return Connmark(value, mask, inverted=options.is_inverted("mark"))


def _render_match(match: Connmark) -> str:
    return f"{'! ' if match.inverted else ''}--mark {masked(match.value, match.mask)}"


def _describe_match(match: Connmark) -> str:
    return f"connmark match {'!' if match.inverted else ''} {masked(match.value, match.mask)}"


def _build_target(options: Options) -> _Target | UnknownTarget:
    if any(name in options for name in _SHIFTS):
        return UnknownTarget("CONNMARK", tuple(_as_written(options)))
    form = next((name for name in options.given if name in _FORMS), "")
    match form:
        case "save-mark":
            return SaveMark(*_masks(options))
        case "restore-mark":
            return RestoreMark(*_masks(options))
        case "":
            raise wrong("CONNMARK target: No operation specified")
        case _:
            return SetConnmark(*marking.set_by(options, form))


def _as_written(options: Options) -> Iterator[str]:
    for name, written in options.given.items():
        yield from (f"--{name}", *written.values)


def _masks(options: Options) -> tuple[int, int]:
    both = number_of(options, "mask", marking.ALL)
    return number_of(options, "nfmask", both), number_of(options, "ctmask", both)


def _render_target(target: _Target) -> str:
    if isinstance(target, SetConnmark):
        return f"--set-xmark 0x{target.value:x}/0x{target.mask:x}"
    form = "--save-mark" if isinstance(target, SaveMark) else "--restore-mark"
    return f"{form} --nfmask 0x{target.nfmask:x} --ctmask 0x{target.ctmask:x}"


def _describe_target(target: _Target) -> str:
    if isinstance(target, SetConnmark):
        return f"CONNMARK {marking.described(target.value, target.mask)}"
    is_save = isinstance(target, SaveMark)
    words = "CONNMARK save" if is_save else "CONNMARK restore"
    if target.nfmask == target.ctmask:
        return words if target.nfmask == marking.ALL else f"{words} mask 0x{target.nfmask:x}"
    if is_save:
        return f"{words} nfmask 0x{target.nfmask:x} ctmask ~0x{target.ctmask:x}"
    return f"{words} ctmask 0x{target.ctmask:x} nfmask ~0x{target.nfmask:x}"


_MASKS: Final = tuple(
    Option(name, excludes=tuple(form for form in _FORMS if form not in _ARGUMENTS) + other)
    for name, other in (("nfmask", ("mask",)), ("ctmask", ("mask",)), ("mask", ("nfmask", "ctmask")))
)
_TARGET_OPTIONS: Final = (
    *(
        Option(
            form,
            arguments=_ARGUMENTS.get(form, 1),
            excludes=tuple(other for other in _FORMS if other != form),
        )
        for form in _FORMS
    ),
    *_MASKS,
    *(Option(name) for name in _SHIFTS),
)

_KINDS: Final[tuple[type[_Target], ...]] = (SetConnmark, SaveMark, RestoreMark)

EXTENSIONS: Final = (
    Extension(
        name="connmark",
        type=Connmark,
        build=_build_match,
        render=_render_match,
        describe=_describe_match,
        options=(Option("mark", invertible=True, required=True),),
    ),
    *(
        Extension[_Target](
            name="CONNMARK",
            type=kind,
            build=_build_target,
            render=_render_target,
            describe=_describe_target,
            options=_TARGET_OPTIONS,
        )
        for kind in _KINDS
    ),
)
