# SPDX-License-Identifier: GPL-2.0-only
"""`-m recent`. Source: extensions/libxt_recent.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.recent import Deed, Recent
from emu.tools.iptables.addresses import dotted
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.extensions.hosts import HOST_MASK, host
from emu.tools.iptables.values import joined, number_of

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options, Place

_DEEDS: Final = {deed.value[2:]: deed for deed in Deed}
_WORDS: Final = {Deed.SET: "SET", Deed.CHECK: "CHECK", Deed.UPDATE: "UPDATE", Deed.REMOVE: "REMOVE"}
_MOST_HITS: Final = 65535
_ENTERING: Final = frozenset((Deed.SET, Deed.REMOVE))


def _build(options: Options) -> Recent:
    deed = next((name for name in _DEEDS if name in options), "")
    if not deed:
        raise wrong("recent: you must specify one of `--set', `--rcheck' `--update' or `--remove'")
    if "reap" in options and "seconds" not in options:
        raise wrong('recent: option "--reap" also requires "--seconds".\n')
    mask = host(options.text("mask", dotted(HOST_MASK)))
    if mask is None:
        raise wrong(f'recent: Bad value for "--mask" option: "{options.text("mask")}"')
    return Recent(
        _DEEDS[deed],
        options.text("name", "DEFAULT"),
        number_of(options, "seconds", low=1) if "seconds" in options else 0,
        number_of(options, "hitcount"),
        "reap" in options,
        "rttl" in options,
        "rdest" in options,
        bytes(mask),
        inverted=options.is_inverted(deed),
    )


def _render(match: Recent) -> str:
    return joined(
        f"{'! ' if match.inverted else ''}{match.deed.value}",
        f"--seconds {match.seconds}" if match.seconds else "",
        "--reap" if match.reap else "",
        f"--hitcount {match.hits}" if match.hits else "",
        "--rttl" if match.same_ttl else "",
        f"--name {match.name} --mask {dotted(match.mask)}",
        "--rdest" if match.is_destination else "--rsource",
    )


def _describe(match: Recent) -> str:
    return joined(
        f"{'! ' if match.inverted else ''}recent: {_WORDS[match.deed]}",
        f"seconds: {match.seconds}" if match.seconds else "",
        "reap" if match.reap else "",
        f"hit_count: {match.hits}" if match.hits else "",
        "TTL-Match" if match.same_ttl else "",
        f"name: {match.name} side: {'dest' if match.is_destination else 'source'} mask: {dotted(match.mask)}",
    )


def _refuses(match: Recent, place: Place) -> bool:
    del place
    is_picky = bool(match.seconds or match.hits or match.same_ttl or match.reap)
    return match.hits > _MOST_HITS or (match.deed in _ENTERING and is_picky)


EXTENSIONS: Final = (
    Extension(
        name="recent",
        type=Recent,
        build=_build,
        render=_render,
        describe=_describe,
        refuses=_refuses,
        options=(
            *(
                Option(
                    name,
                    arguments=0,
                    invertible=True,
                    excludes=tuple(other for other in _DEEDS if other != name),
                )
                for name in _DEEDS
            ),
            Option("seconds"),
            Option("reap", arguments=0),
            Option("hitcount"),
            Option("rttl", arguments=0),
            Option("name"),
            Option("rsource", arguments=0),
            Option("rdest", arguments=0),
            Option("mask"),
        ),
    ),
)
