# SPDX-License-Identifier: GPL-2.0-only
"""`-m nfacct`. Source: extensions/libxt_nfacct.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.nfacct import Accounting
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.values import quoted

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options

_LONGEST_NAME: Final = 31


def _build(options: Options) -> Accounting:
    name = options.text("nfacct-name")
    if not 1 <= len(name) <= _LONGEST_NAME:
        raise wrong(f'nfacct: bad value for option "--nfacct-name" near "{name}".\n')
    return Accounting(name)


def _render(match: Accounting) -> str:
    return f"--nfacct-name {quoted(match.name)}"


def _describe(match: Accounting) -> str:
    return f"nfacct-name {match.name}"


EXTENSIONS: Final = (
    Extension(
        name="nfacct",
        type=Accounting,
        build=_build,
        render=_render,
        describe=_describe,
        options=(Option("nfacct-name", required=True),),
    ),
)
