# SPDX-License-Identifier: GPL-2.0-only
"""Elements with what is said of them: `10.0.0.0/8 timeout 60 nomatch comment "x"`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import CommandError
from emu.kernel.netfilter.ipset.element import Extensions, SkbInfo
from emu.kernel.netfilter.ipset.spec import MAX32
from emu.kernel.netfilter.ipset.types import Method, Part
from emu.tools.ipset import elements
from emu.tools.ipset.options import Option, comment, count, fill, seconds, skbmark, skbprio, skbqueue
from emu.tools.ipset.words import FAILED, name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.kernel.netfilter.ipset.element import Entry, Member
    from emu.kernel.netfilter.ipset.spec import SetSpec
    from emu.kernel.netfilter.ipset.types import SetType
    from emu.sim.time import Instant

_ADD: Final = {
    "timeout": Option("timeout", seconds),
    "packets": Option("packets", count),
    "bytes": Option("octets", count),
    "comment": Option("comment", comment),
    "skbmark": Option("skbmark", skbmark),
    "skbprio": Option("skbprio", skbprio),
    "skbqueue": Option("skbqueue", skbqueue),
}
_PLACE: Final = {
    "before": Option("before", name, group="place"),
    "after": Option("after", name, group="place"),
}


@attrs.define
class _Draft:
    """An entry as far as its options have been read."""

    timeout: int | None = None
    packets: int | None = None
    octets: int | None = None
    comment: str | None = None
    skbmark: tuple[int, int] | None = None
    skbprio: int | None = None
    skbqueue: int | None = None
    nomatch: bool = False
    wildcard: bool = False
    before: str = ""
    after: str = ""


def parse(verb: str, spec: SetSpec, element: str, words: Sequence[str]) -> Entry:
    """Return what `ipset verb NAME element words...` is about.

    Args:
        verb: `add`, `del` or `test`.
        spec: of the set.
        element: the element as written.
        words: what stands behind it.

    Raises:
        CommandError: it makes no sense.
    """
    entry = elements.parse(spec, element)
    if not words and verb != "test":
        return entry
    draft = _Draft(before=entry.before, after=entry.after)
    fill(draft, words, _options_of(verb, spec.type))
    if verb == "test":
        _refuse_ranges(spec, entry)
    return attrs.evolve(
        entry,
        nomatch=draft.nomatch,
        wildcard=draft.wildcard,
        before=draft.before,
        after=draft.after,
        extensions=Extensions(draft.timeout, draft.packets, draft.octets, draft.comment, _skbinfo(draft)),
    )


def _skbinfo(draft: _Draft) -> SkbInfo | None:
    if draft.skbmark is None and draft.skbprio is None and draft.skbqueue is None:
        return None
    mark, mask = draft.skbmark or (0, 0)
    return SkbInfo(mark, mask, draft.skbprio or 0, draft.skbqueue or 0)


def _options_of(verb: str, kind: SetType) -> Mapping[str, Option]:
    options = dict(_ADD) if verb == "add" else {}
    if kind.method is Method.LIST:
        options |= _PLACE
    if kind.nets and verb != "del":
        options["nomatch"] = Option("nomatch")
    if Part.IFACE in kind.parts and verb == "add":
        options["wildcard"] = Option("wildcard")
    return options


def _refuse_ranges(spec: SetSpec, entry: Entry) -> None:
    """Refuse what a test cannot ask for; a few ranges are let pass, and their beginning is tested."""
    if spec.type.parts == (Part.IP,) and spec.type.method is Method.HASH:
        return
    family = "inet6" if spec.family == 6 else "inet" if entry.first is not None else "unspec"
    found = None
    if entry.first is not None and entry.first.last is not None:
        found = "FROM-TO IP"
    elif entry.first is not None and entry.first.cidr is not None and spec.type.parts[0] is Part.IP:
        found = "IP/CIDR"
    elif entry.ports is not None and entry.ports.last is not None:
        found = "FROM-TO port"
    if found is not None:
        where = f"with set type {spec.type.name} and family {family}"
        raise CommandError(f"{found} range is not allowed in command test {where}", FAILED)


# --- what is printed ---


def render(spec: SetSpec, member: Member, now: Instant) -> str:
    """Return a member of a set of `spec` with what is said of it, as it is listed at `now`."""
    words = [elements.render(spec, member.element)]
    if spec.timeout is not None:
        words.append(f"timeout {member.seconds_left(now)}")
    if member.nomatch:
        words.append("nomatch")
    if member.wildcard:
        words.append("wildcard")
    if spec.counters:
        words.append(f"packets {member.packets} bytes {member.octets}")
    if member.comment:
        words.append(f'comment "{member.comment}"')
    return " ".join([*words, *_skbinfo_words(member.skbinfo)])


def _skbinfo_words(info: SkbInfo) -> list[str]:
    words = []
    if info.mark or info.mask:
        mask = "" if info.mask == MAX32 else f"/0x{info.mask:x}"
        words.append(f"skbmark 0x{info.mark:x}{mask}")
    if info.priority:
        words.append(f"skbprio {info.priority >> 16:x}:{info.priority & 0xFFFF:x}")
    if info.queue:
        words.append(f"skbqueue {info.queue}")
    return words
