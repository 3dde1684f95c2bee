# SPDX-License-Identifier: GPL-2.0-only
"""`-m physdev`. Source: extensions/libxt_physdev.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.matches.physdev import Physdev, Port
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.values import joined

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options, Place

_LONGEST_NAME: Final = 15


def _port(options: Options, name: str) -> Port | None:
    written = options.get(name)
    if written is None:
        return None
    if len(written.value) > _LONGEST_NAME:
        raise wrong(f"interface name `{written.value}' must be shorter than IFNAMSIZ ({_LONGEST_NAME})")
    return Port(written.value, inverted=written.inverted)


def _flag(options: Options, name: str) -> bool | None:
    written = options.get(name)
    return None if written is None else not written.inverted


def _build(options: Options) -> Physdev:
    if not options.given:
        raise wrong("PHYSDEV: no physdev option specified")
    return Physdev(
        _port(options, "physdev-in"),
        _port(options, "physdev-out"),
        _flag(options, "physdev-is-in"),
        _flag(options, "physdev-is-out"),
        _flag(options, "physdev-is-bridged"),
    )


def _name(port: Port | None, option: str) -> str:
    return "" if port is None else f"{'! ' if port.inverted else ''}--{option} {port.name}"


def _switch(flag: bool | None, option: str) -> str:  # noqa: FBT001 - beside its option
    return "" if flag is None else f"{'' if flag else '! '}--{option}"


def _render(match: Physdev) -> str:
    return joined(
        _switch(match.is_in, "physdev-is-in"),
        _name(match.came_by, "physdev-in"),
        _switch(match.is_out, "physdev-is-out"),
        _name(match.leaves_by, "physdev-out"),
        _switch(match.is_bridged, "physdev-is-bridged"),
    )


def _describe(match: Physdev) -> str:
    return f"PHYSDEV match {_render(match)}"


def _refuses(match: Physdev, place: Place) -> bool:
    """Return whether the rule asks in OUTPUT for what is only known behind it. Source: `physdev_mt_check`."""
    asks_out = match.leaves_by is not None or match.is_out is not None
    return asks_out and match.is_bridged is not True and Hook.OUTPUT in place.hooks


EXTENSIONS: Final = (
    Extension(
        name="physdev",
        type=Physdev,
        build=_build,
        render=_render,
        describe=_describe,
        refuses=_refuses,
        options=(
            Option("physdev-in", invertible=True),
            Option("physdev-out", invertible=True),
            Option("physdev-is-in", arguments=0, invertible=True),
            Option("physdev-is-out", arguments=0, invertible=True),
            Option("physdev-is-bridged", arguments=0, invertible=True),
        ),
    ),
)
