# SPDX-License-Identifier: GPL-2.0-only
"""Sets as `ipset create` takes them and listings show them: `hash:ip family inet maxelem 65536`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import CommandError
from emu.kernel.netfilter.ipset.spec import DEFAULT_HASHSIZE, DEFAULT_MAXELEM, DEFAULT_SIZE, SetSpec
from emu.kernel.netfilter.ipset.types import TYPES, Method, Part
from emu.tools.ipset.elements import address_text, mask, range_of_addresses, range_of_ports
from emu.tools.ipset.options import Option, family, fill, plain, seconds, u8, u32
from emu.tools.ipset.words import misused, number, wrong

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.kernel.netfilter.ipset.types import SetType

TYPE_ALIASES: Final = {
    "ipmap": "bitmap:ip",
    "portmap": "bitmap:port",
    "iphash": "hash:ip",
    "nethash": "hash:net",
    "ipporthash": "hash:ip,port",
    "ipportiphash": "hash:ip,port,ip",
    "ipportnethash": "hash:ip,port,net",
    "netporthash": "hash:net,port",
    "netifacehash": "hash:net,iface",
    "setlist": "list:set",
}
"""What types were called in earlier times."""

UNMODELLED: Final = frozenset({"hash:ip,mac", "hash:ip,mark", "bitmap:ip,mac"})

_ALL_SETS: Final = {
    "timeout": Option("timeout", seconds),
    "counters": Option("counters"),
    "comment": Option("comment"),
    "skbinfo": Option("skbinfo"),
}
_HASHES: Final = {
    **_ALL_SETS,
    "hashsize": Option("hashsize", u32),
    "maxelem": Option("maxelem", u32),
    "forceadd": Option("forceadd"),
    "bucketsize": Option("bucketsize", u8),
    "initval": Option("initval", u32),
    "probes": Option("probes", plain),  # of earlier times, and without effect
    "resize": Option("resize", plain),
    "gc": Option("gc", plain),
}
_FAMILY: Final = {
    "family": Option("family", family),
    "-4": Option("family", value=4),
    "-6": Option("family", value=6),
}
_NETMASK: Final = {"netmask": Option("netmask", plain)}  # read when the family is known
_MASKS: Final = {**_NETMASK, "bitmask": Option("bitmask", mask)}
_RANGE: Final = {"range": Option("range", plain), **_ALL_SETS}
_LIST: Final = {**_ALL_SETS, "size": Option("size", u32)}


@attrs.define
class _Draft:
    """A set as far as its options have been read."""

    family: int = 4
    hashsize: int = DEFAULT_HASHSIZE
    maxelem: int = DEFAULT_MAXELEM
    netmask: str | None = None
    bitmask: int | None = None
    timeout: int | None = None
    counters: bool = False
    comment: bool = False
    skbinfo: bool = False
    forceadd: bool = False
    bucketsize: int = 12
    initval: int | None = None
    range: str | None = None
    size: int = DEFAULT_SIZE
    probes: str = ""
    resize: str = ""
    gc: str = ""


def find_type(text: str) -> SetType:
    """Return the type that `text` names.

    Raises:
        CommandError: there is none, or it is not modelled.
    """
    called = TYPE_ALIASES.get(text, text)
    if called in UNMODELLED:
        raise wrong(f"settype {called} is not modelled")
    if called not in TYPES:
        raise wrong(f"typename '{text}' is unknown")
    return TYPES[called]


def parse(type_name: str, words: Sequence[str]) -> SetSpec:
    """Return what `ipset create NAME type_name words...` asks for.

    Raises:
        CommandError: it makes no sense.
    """
    kind = find_type(type_name)
    draft = _Draft()
    fill(draft, words, _options_of(kind))
    if draft.netmask is not None and draft.bitmask is not None:
        raise wrong("bitmask and netmask are mutually exclusive, provide only one")
    if draft.bitmask is not None and draft.family == 6:
        raise wrong("bitmask is not modelled for family inet6")
    bits = 128 if draft.family == 6 else 32
    first, last = _range(kind, draft)
    return SetSpec(
        kind,
        family=draft.family if kind.has_family and kind.method is Method.HASH else 0,
        hashsize=draft.hashsize,
        maxelem=draft.maxelem,
        netmask=None if draft.netmask is None else _length(draft.netmask, bits),
        bitmask=draft.bitmask,
        timeout=draft.timeout,
        counters=draft.counters,
        comment=draft.comment,
        skbinfo=draft.skbinfo,
        forceadd=draft.forceadd,
        bucketsize=draft.bucketsize,
        initval=draft.initval,
        first=first,
        last=last,
        size=draft.size,
    )


def _range(kind: SetType, draft: _Draft) -> tuple[int, int]:
    if kind.method is not Method.BITMAP:
        return 0, 0
    if draft.range is None:
        raise misused("Mandatory option `range' is missing")
    return range_of_ports(draft.range) if kind.parts == (Part.PORT,) else range_of_addresses(draft.range)


def _length(text: str, bits: int) -> int:
    try:
        return number(text, 1, bits)
    except CommandError as error:
        more = f"Syntax error: netmask is out of the inclusive range of 1-{bits}"
        raise CommandError(f"{error}\n{more}", error.status) from None


def _options_of(kind: SetType) -> Mapping[str, Option]:
    match kind.method:
        case Method.HASH:
            masks = _MASKS if kind.takes_masks else {}
            return {**_HASHES, **masks, **(_FAMILY if kind.has_family else {})}
        case Method.BITMAP:
            return {**_RANGE, **(_NETMASK if kind.takes_masks else {})}
        case Method.LIST:
            return _LIST


def render(spec: SetSpec) -> str:
    """Return the options of a set as they are listed, which is what makes it anew."""
    match spec.type.method:
        case Method.HASH:
            words = [*_hash_words(spec)]
        case Method.BITMAP:
            words = [f"range {_range_text(spec)}", *_mask_words(spec), *_common_words(spec)]
        case Method.LIST:
            words = [f"size {spec.size}", *_common_words(spec)]
    return " ".join(words)


def _hash_words(spec: SetSpec) -> list[str]:
    """Return the options of a hash. That of `forceadd` is not told by Linux, or not understood by ipset."""
    family = [f"family {'inet6' if spec.family == 6 else 'inet'}"] if spec.type.has_family else []
    key = [f"bucketsize {spec.bucketsize}", f"initval 0x{spec.initval or 0:08x}"]
    sizes = [f"hashsize {spec.hashsize}", f"maxelem {spec.maxelem}"]
    masks, common = _mask_words(spec), _common_words(spec)
    if spec.type.parts == (Part.IP,):
        return [*family, *sizes, *masks, *common, *key]
    return [*family, *sizes, *common, *key, *masks]


def _mask_words(spec: SetSpec) -> list[str]:
    if spec.bitmask is not None:
        return [f"bitmask {address_text(spec.bitmask, spec.bits)}"]
    return [] if spec.netmask is None else [f"netmask {spec.netmask}"]


def _common_words(spec: SetSpec) -> list[str]:
    words = [] if spec.timeout is None else [f"timeout {spec.timeout}"]
    flags = {"counters": spec.counters, "comment": spec.comment, "skbinfo": spec.skbinfo}
    return words + [word for word, is_set in flags.items() if is_set]


def _range_text(spec: SetSpec) -> str:
    if spec.type.parts == (Part.PORT,):
        return f"{spec.first}-{spec.last}"
    return f"{address_text(spec.first, 32)}-{address_text(spec.last, 32)}"
