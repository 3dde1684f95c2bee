# SPDX-License-Identifier: GPL-2.0-only
"""`-m owner`. Source: extensions/libxt_owner.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.matches.owner import IdRange, Owner
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.values import joined, number

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options

_MOST: Final = 0xFFFFFFFE
_ROOT: Final = "root"
"""The only user and the only group whose name is known here."""


def _ids(options: Options, name: str) -> IdRange | None:
    written = options.get(name)
    if written is None:
        return None
    if written.value == _ROOT:
        return IdRange(0, 0, inverted=written.inverted)
    first, dash, last = written.value.partition("-")
    low = number(first, 0, _MOST)
    high = number(last, 0, _MOST) if dash else low
    if low is None or high is None:
        raise wrong(f'owner: Bad value for "--{name}" option: "{written.value}"')
    return IdRange(low, high, inverted=written.inverted)


def _build(options: Options) -> Owner:
    if not options.given:
        raise wrong("owner: At least one of --uid-owner, --gid-owner or --socket-exists is required")
    exists = options.get("socket-exists")
    return Owner(
        _ids(options, "uid-owner"),
        _ids(options, "gid-owner"),
        None if exists is None else not exists.inverted,
        "suppl-groups" in options,
    )


def _range(ids: IdRange) -> str:
    return f"{ids.first}" if ids.first == ids.last else f"{ids.first}-{ids.last}"


def _render(match: Owner) -> str:
    user, group, exists = match.user, match.group, match.has_socket
    return joined(
        "" if exists is None else f"{'' if exists else '! '}--socket-exists",
        "" if user is None else f"{'! ' if user.inverted else ''}--uid-owner {_range(user)}",
        "" if group is None else f"{'! ' if group.inverted else ''}--gid-owner {_range(group)}",
        "--suppl-groups" if match.supplementary else "",
    )


def _describe(match: Owner) -> str:
    user, group, exists = match.user, match.group, match.has_socket
    return joined(
        "" if exists is None else f"{'' if exists else '! '}owner socket exists",
        "" if user is None else f"{'! ' if user.inverted else ''}owner UID match {_range(user)}",
        "" if group is None else f"{'! ' if group.inverted else ''}owner GID match {_range(group)}",
        "incl. suppl. groups" if match.supplementary else "",
    )


EXTENSIONS: Final = (
    Extension(
        name="owner",
        type=Owner,
        build=_build,
        render=_render,
        describe=_describe,
        hooks=frozenset({Hook.OUTPUT, Hook.POSTROUTING}),
        options=(
            Option("uid-owner", invertible=True),
            Option("gid-owner", invertible=True),
            Option("socket-exists", arguments=0, invertible=True),
            Option("suppl-groups", arguments=0),
        ),
    ),
)
