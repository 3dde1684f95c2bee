# SPDX-License-Identifier: GPL-2.0-only
"""`-j CT` and `-j NOTRACK`. Source: extensions/libxt_CT.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.targets.ct import Notrack, Track, Zone, ZoneScope
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.values import joined, number

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options, Place

_RAW: Final = frozenset({"raw"})
_EVENTS: Final = (
    "new",
    "related",
    "destroy",
    "reply",
    "assured",
    "protoinfo",
    "helper",
    "mark",
    "natseqinfo",
    "secmark",
)
_EXPECTATION_EVENTS: Final = ("new",)


def _zone(options: Options) -> Zone | None:
    last: Zone | None = None
    for name, written in options.given.items():
        if not name.startswith("zone"):
            continue
        value = number(written.value, 0, 0xFFFF)
        if value is None and written.value != "mark":
            raise wrong(f"Cannot parse {written.value} as a zone ID\n")
        last = Zone(value, ZoneScope(f"--{name}")) if value != 0 else None  # 0 is what there is without
    return last


def _events(options: Options, name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    written = options.get(name)
    if written is None:
        return ()
    given = written.value.split(",")
    for event in given:
        if event not in known:
            raise wrong(f'Unknown event type "{event}"')
    return tuple(event for event in known if event in given)


def _build(options: Options) -> Track:
    return Track(
        _zone(options),
        options.text("helper"),
        options.text("timeout"),
        _events(options, "ctevents", _EVENTS),
        _events(options, "expevents", _EXPECTATION_EVENTS),
        untracked="notrack" in options,
    )


def _words(target: Track, dashes: str) -> str:
    zone = ""
    if target.zone is not None:
        number_text = "mark" if target.zone.number is None else f"{target.zone.number}"
        zone = f"{dashes}{target.zone.scope.value[2:]} {number_text}"
    return joined(
        f"{dashes}notrack" if target.untracked else "",
        f"{dashes}helper {target.helper}" if target.helper else "",
        f"{dashes}timeout {target.timeout}" if target.timeout else "",
        f"{dashes}ctevents {','.join(target.events)}" if target.events else "",
        f"{dashes}expevents {','.join(target.expectation_events)}" if target.expectation_events else "",
        zone,
    )


def _render(target: Track) -> str:
    return _words(target, "--")


def _describe(target: Track) -> str:
    return joined("CT", _words(target, ""))


def _refuses(target: Track, place: Place) -> bool:
    """Return whether a helper or a timeout is asked for without a protocol."""
    return bool(target.helper or target.timeout) and (place.protocol_inverted or not place.protocol)


def _build_notrack(options: Options) -> Notrack:
    del options
    return Notrack()


def _render_notrack(target: Notrack) -> str:
    del target
    return ""


def _describe_notrack(target: Notrack) -> str:
    del target
    return "NOTRACK"


EXTENSIONS: Final = (
    Extension(
        name="CT",
        type=Track,
        build=_build,
        render=_render,
        describe=_describe,
        tables=_RAW,
        refuses=_refuses,
        options=(
            Option("notrack", arguments=0),
            Option("helper"),
            Option("timeout"),
            Option("ctevents"),
            Option("expevents"),
            Option("zone"),
            Option("zone-orig"),
            Option("zone-reply"),
        ),
    ),
    Extension(
        name="NOTRACK",
        type=Notrack,
        build=_build_notrack,
        render=_render_notrack,
        describe=_describe_notrack,
        tables=_RAW,
    ),
)
