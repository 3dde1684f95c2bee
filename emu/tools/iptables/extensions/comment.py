# SPDX-License-Identifier: GPL-2.0-only
"""`-m comment`. Source: extensions/libxt_comment.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.comment import Comment
from emu.tools.iptables.extension import Extension, Option
from emu.tools.iptables.values import quoted

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options

_LONGEST: Final = 255  # octets; the rest is cut off


def _build(options: Options) -> Comment:
    text = options.text("comment")
    octets = text.encode(errors="surrogateescape")
    return Comment(text if len(octets) <= _LONGEST else octets[:_LONGEST].decode(errors="surrogateescape"))


def _render(match: Comment) -> str:
    return f"--comment {quoted(match.text)}"


def _describe(match: Comment) -> str:
    return f"/* {match.text} */"


EXTENSIONS: Final = (
    Extension(
        name="comment",
        type=Comment,
        build=_build,
        render=_render,
        describe=_describe,
        options=(Option("comment", required=True),),
    ),
)
