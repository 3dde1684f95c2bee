# SPDX-License-Identifier: GPL-2.0-only
"""`-j CLASSIFY`, `CHECKSUM`, `TRACE`.

Source: extensions/libxt_CLASSIFY.c, libxt_CHECKSUM.c, libxt_TRACE.c.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.targets.without_effect import Classify, FillChecksum, Trace
from emu.tools.iptables.extension import Extension, Option, wrong

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options

_MANGLE: Final = frozenset({"mangle"})
_CLASS: Final = re.compile(r"(?:0[xX])?([0-9a-fA-F]{1,8}):(?:0[xX])?([0-9a-fA-F]{1,8})")


def _build_class(options: Options) -> Classify:
    text = options.text("set-class")
    found = _CLASS.fullmatch(text)
    if found is None:
        raise wrong(f'Bad class value "{text}"')
    major, minor = (int(part, 16) for part in found.groups())
    return Classify(major & 0xFFFF, minor & 0xFFFF)


def _render_class(target: Classify) -> str:
    return f"--set-class {target.major:04x}:{target.minor:04x}"


def _describe_class(target: Classify) -> str:
    return f"CLASSIFY set {target.major:x}:{target.minor:x}"


def _build_fill(options: Options) -> FillChecksum:
    del options
    return FillChecksum()


def _render_fill(target: FillChecksum) -> str:
    del target
    return "--checksum-fill"


def _describe_fill(target: FillChecksum) -> str:
    del target
    return "CHECKSUM fill"


def _build_trace(options: Options) -> Trace:
    del options
    return Trace()


def _render_trace(target: Trace) -> str:
    del target
    return ""


EXTENSIONS: Final = (
    Extension(
        name="CLASSIFY",
        type=Classify,
        build=_build_class,
        render=_render_class,
        describe=_describe_class,
        hooks=frozenset({Hook.OUTPUT, Hook.FORWARD, Hook.POSTROUTING}),
        options=(Option("set-class", required=True),),
    ),
    Extension(
        name="CHECKSUM",
        type=FillChecksum,
        build=_build_fill,
        render=_render_fill,
        describe=_describe_fill,
        tables=_MANGLE,
        options=(Option("checksum-fill", arguments=0, required=True),),
    ),
    Extension(
        name="TRACE",
        type=Trace,
        build=_build_trace,
        render=_render_trace,
        describe=_render_trace,
    ),
)
