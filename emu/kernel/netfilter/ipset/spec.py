# SPDX-License-Identifier: GPL-2.0-only
"""How a set is made: its type and options, checked and rounded as the kernel does."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.ipset.errors import IpSetError, Refusal
from emu.kernel.netfilter.ipset.types import Method, Part

if TYPE_CHECKING:
    from emu.kernel.netfilter.ipset.types import SetType

MAX32: Final = 0xFFFFFFFF
DEFAULT_HASHSIZE: Final = 1024
DEFAULT_MAXELEM: Final = 65536
DEFAULT_SIZE: Final = 8
_MIN_HASHSIZE: Final = 64
_MAX_HASHSIZE: Final = 1 << 27  # beyond, the table needs more than 2 GiB
_MIN_SIZE: Final = 4
_MIN_BUCKET: Final = 2
_MAX_BUCKET: Final = 12
_MAX_BITMAP: Final = 1 << 16  # elements


@attrs.frozen
class SetSpec:
    """The type of a set and its options. What the type does not have keeps its default.

    Attributes:
        type: the type.
        family: 4 or 6; 0 for types without.
        hashsize: buckets of the hash; only shown. In Linux it grows with the set.
        maxelem: the set has no more elements than this.
        netmask: prefix length that addresses are cut to; None for all bits.
        bitmask: a mask put on addresses, of any form; None for none.
        timeout: seconds that an element stays unless its own says otherwise, 0
            for ever; None for a set whose elements have no time.
        counters: elements count packets and octets.
        comment: elements may have a comment.
        skbinfo: elements may have a mark, priority and queue.
        forceadd: when the set is full a new element takes the place of another.
        bucketsize: most elements of a bucket; only shown.
        initval: the hash's key; only shown. None for one made from the set's name.
        first: the least address or port of a bitmap.
        last: the greatest.
        size: of a list:set; only shown.
    """

    type: SetType
    family: int = 0
    hashsize: int = DEFAULT_HASHSIZE
    maxelem: int = DEFAULT_MAXELEM
    netmask: int | None = None
    bitmask: int | None = None
    timeout: int | None = None
    counters: bool = False
    comment: bool = False
    skbinfo: bool = False
    forceadd: bool = False
    bucketsize: int = _MAX_BUCKET
    initval: int | None = None
    first: int = 0
    last: int = 0
    size: int = DEFAULT_SIZE
    mask: int = attrs.field(init=False, eq=False, repr=False)

    @mask.default
    def _mask(self) -> int:
        """Return the bits of an address that count."""
        if self.bitmask is not None:
            return self.bitmask
        return prefix_mask(self.bits if self.netmask is None else self.netmask, self.bits)

    @property
    def bits(self) -> int:
        """Bits of an address."""
        return 128 if self.family == 6 else 32

    @property
    def hosts(self) -> int:
        """How far apart the addresses of neighbouring elements are."""
        return 1 << (self.bits - (self.bits if self.netmask is None else self.netmask))

    def is_like(self, other: SetSpec) -> bool:
        """Return whether `create -exist` takes a set of `other` for one of this. Source: `same_set`."""
        return _comparable(self) == _comparable(other)


def _comparable(spec: SetSpec) -> tuple[object, ...]:
    return (
        spec.type.name,
        spec.family,
        spec.timeout,
        spec.counters,
        spec.comment,
        spec.skbinfo,
        spec.mask,
        spec.maxelem,
        spec.first,
        spec.last,
        spec.size,
    )


def prefix_mask(length: int, bits: int) -> int:
    """Return the netmask of a prefix of `length` bits in an address of `bits` bits."""
    return ((1 << length) - 1) << (bits - length)


def checked(name: str, spec: SetSpec) -> SetSpec:
    """Return `spec` as the kernel keeps it for a set called `name`: rounded, and complete.

    Raises:
        IpSetError: it cannot be.
    """
    if spec.netmask is not None and not 0 < spec.netmask <= spec.bits:
        raise IpSetError(Refusal.INVALID_NETMASK)
    if spec.bitmask == 0:
        raise IpSetError(Refusal.INVALID_NETMASK)
    if spec.netmask == spec.bits:
        spec = attrs.evolve(spec, netmask=None)
    match spec.type.method:
        case Method.HASH:
            return _checked_hash(name, spec)
        case Method.BITMAP:
            return _checked_bitmap(spec)
        case Method.LIST:
            return attrs.evolve(spec, size=max(spec.size, _MIN_SIZE))


def _checked_hash(name: str, spec: SetSpec) -> SetSpec:
    buckets = max(spec.hashsize, _MIN_HASHSIZE)
    if buckets > _MAX_HASHSIZE:
        raise IpSetError(Refusal.NO_MEMORY)
    room = min(max(spec.bucketsize, _MIN_BUCKET), _MAX_BUCKET)
    return attrs.evolve(
        spec,
        hashsize=1 << (buckets - 1).bit_length(),
        bucketsize=room + room % 2,
        initval=zlib.crc32(name.encode()) if spec.initval is None else spec.initval,
    )


def _checked_bitmap(spec: SetSpec) -> SetSpec:
    first, last = sorted((spec.first, spec.last))
    if spec.netmask is not None and spec.type.parts == (Part.IP,):
        first, last = first & spec.mask, last | (~spec.mask & MAX32)
        if _common_length(first, last) is None or spec.netmask <= (_common_length(first, last) or 0):
            raise IpSetError(Refusal.BITMAP_RANGE)
    spec = attrs.evolve(spec, first=first, last=last)
    if slots(spec) > _MAX_BITMAP:
        raise IpSetError(Refusal.BITMAP_RANGE_SIZE)
    return spec


def slots(spec: SetSpec) -> int:
    """Return how many elements a bitmap has room for. Source: `bitmap_ip_create`."""
    if spec.netmask is None:
        return spec.last - spec.first + 1
    return 1 << (spec.netmask - (_common_length(spec.first, spec.last) or 0))


def _common_length(first: int, last: int) -> int | None:
    """Return the length of the longest prefix that begins at `first` and holds `last`; None if none does.

    Source: `range_to_mask`.
    """
    for length in range(31, 0, -1):
        if last & prefix_mask(length, 32) == first:
            return length
    return 0 if (first, last) == (0, MAX32) else None
