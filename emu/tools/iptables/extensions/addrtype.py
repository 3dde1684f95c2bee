# SPDX-License-Identifier: GPL-2.0-only
"""`-m addrtype`. Source: extensions/libxt_addrtype.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.matches.addrtype import AddressType, AddressTypes, Limit
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.values import joined

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options, Place

_NO_DEVICE: Final = {
    Limit.IN: frozenset({Hook.OUTPUT, Hook.POSTROUTING}),
    Limit.OUT: frozenset({Hook.PREROUTING, Hook.INPUT}),
}


def _types(text: str) -> AddressTypes:
    total = AddressTypes.NONE
    for name in text.split(","):
        found = [kind for kind in AddressTypes if name and str(kind.name).startswith(name.upper())]
        if not found:
            raise wrong(f'addrtype: bad type "{name}"')
        total |= found[0]
    return total


def _build(options: Options) -> AddressType:
    source, destination = options.get("src-type"), options.get("dst-type")
    if source is None and destination is None:
        raise wrong("addrtype: you must specify --src-type or --dst-type")
    limits = [limit for limit in Limit if limit.value[2:] in options]
    return AddressType(
        AddressTypes.NONE if source is None else _types(source.value),
        AddressTypes.NONE if destination is None else _types(destination.value),
        options.is_inverted("src-type"),
        options.is_inverted("dst-type"),
        limits[0] if limits else None,
    )


def _names(types: AddressTypes) -> str:
    return ",".join(str(kind.name) for kind in AddressTypes if types & kind)


def _render(match: AddressType) -> str:
    source, destination = match.source, match.destination
    return joined(
        f"{'! ' if match.source_inverted else ''}--src-type {_names(source)}" if source else "",
        f"{'! ' if match.destination_inverted else ''}--dst-type {_names(destination)}"
        if destination
        else "",
        match.limit.value if match.limit is not None else "",
    )


def _describe(match: AddressType) -> str:
    source, destination = match.source, match.destination
    return joined(
        "ADDRTYPE match",
        f"src-type {'!' if match.source_inverted else ''}{_names(source)}" if source else "",
        f"dst-type {'!' if match.destination_inverted else ''}{_names(destination)}" if destination else "",
        f"limit-{match.limit.name.lower()}" if match.limit is not None else "",
    )


def _refuses(match: AddressType, place: Place) -> bool:
    return match.limit is not None and bool(place.hooks & _NO_DEVICE[match.limit])


EXTENSIONS: Final = (
    Extension(
        name="addrtype",
        type=AddressType,
        build=_build,
        render=_render,
        describe=_describe,
        refuses=_refuses,
        options=(
            Option("src-type", invertible=True),
            Option("dst-type", invertible=True),
            Option("limit-iface-in", arguments=0, excludes=("limit-iface-out",)),
            Option("limit-iface-out", arguments=0, excludes=("limit-iface-in",)),
        ),
    ),
)
