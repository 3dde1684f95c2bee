# SPDX-License-Identifier: GPL-2.0-only
"""The ranges that host-local gives addresses from.

A network has *range sets*; a container gets one address from each. A set has
ranges, which are gone through one after the other.

Source: containernetworking/plugins plugins/ipam/host-local/backend/allocator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.cni.fields import Fields
from emu.wire.addresses import Interface, IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterator

_OLD_KEYS: Final = ("subnet", "rangeStart", "rangeEnd", "gateway")


@attrs.frozen
class Range:
    """Addresses `start` to `end`, both of them included, of `subnet`; `gateway` is never given."""

    subnet: Prefix
    start: IpAddress
    end: IpAddress
    gateway: IpAddress

    def __contains__(self, address: IpAddress) -> bool:
        return len(address) == len(self.start) and self.start <= address <= self.end

    def __str__(self) -> str:
        return f"{self.start}-{self.end}"


RangeSet = tuple[Range, ...]


def set_text(ranges: RangeSet) -> str:
    """Return a set as messages tell it."""
    return ",".join(map(str, ranges))


def range_of(ranges: RangeSet, address: IpAddress) -> Range | None:
    """Return the range of a set that `address` is in, None if it is in none."""
    return next((each for each in ranges if address in each), None)


def candidates(ranges: RangeSet, last: IpAddress | None) -> Iterator[tuple[IpAddress, Range]]:
    """Yield the addresses of a set in the order in which they are tried, each once.

    Args:
        ranges: the set.
        last: the address that was given last; the round begins behind it. If
            it is not in the set, or there is none, it begins at the start.
    """
    place = next((at for at, each in enumerate(ranges) if last is not None and last in each), None)
    count = len(ranges)
    if place is None or last is None:
        for each in ranges:
            yield from _between(each, each.start, each.end)
        return
    first = ranges[place]
    if last != first.end:
        yield from _between(first, IpAddress.from_int(int(last) + 1, last.bits), first.end)
    for step in range(1, count):
        each = ranges[(place + step) % count]
        yield from _between(each, each.start, each.end)
    yield from _between(first, first.start, last)


def _between(found: Range, start: IpAddress, end: IpAddress) -> Iterator[tuple[IpAddress, Range]]:
    gateway, bits = found.gateway, start.bits
    for number in range(int(start), int(end) + 1):
        address = IpAddress.from_int(number, bits)
        if address != gateway:
            yield address, found


# --- reading ---


def read_ranges(ipam: Fields) -> tuple[RangeSet, ...]:
    """Return the range sets of the object `ipam`; the old keys beside `ranges` come first."""
    sets: list[tuple[Range | None, ...]] = []
    if "subnet" in ipam.values:
        sets.append((_range(ipam),))
    for index, value in enumerate(ipam.items("ranges")):
        # a list of lists: look at each inner list by a key of its own
        inner = Fields({"set": value}, f"{ipam.path}.ranges[{index}]", ipam.faults)
        sets.append(tuple(_range(each) for each in inner.objects("set")))
    known = [tuple(each for each in found if each is not None) for found in sets]
    if not any(known) and not ipam.faults:
        ipam.wrong("ranges", "no IP ranges specified")
    for index, found in enumerate(known):
        _check_set(ipam, index, found)
    return tuple(known)


def _check_set(ipam: Fields, index: int, ranges: RangeSet) -> None:
    if len({each.start.family for each in ranges}) > 1:
        ipam.wrong(f"ranges[{index}]", "mixed address families")
    for at, one in enumerate(ranges):
        for other in ranges[:at]:
            if one.start in other or other.start in one:
                ipam.wrong(f"ranges[{index}]", f"subnets overlap: {other} and {one}")


def _range(fields: Fields) -> Range | None:
    subnet = fields.interface("subnet")
    if subnet is None:
        fields.wrong("subnet", "is missing")
        return None
    bits, prefix = subnet.address.bits, subnet.prefix
    if subnet.length > bits - 2:
        fields.wrong("subnet", f"Network {subnet} too small to allocate from")
        return None
    if prefix.address != subnet.address:
        fields.wrong(
            "subnet",
            "Network has host bits set. For a subnet mask of length "
            f"{subnet.length} the network address is {prefix.address}",
        )
        return None
    first = IpAddress.from_int(int(prefix.address) + 1, bits)
    highest = int(Interface(prefix.address, prefix.length).broadcast)
    last = IpAddress.from_int(highest - (bits == 32), bits)
    start = fields.address("rangeStart") or first
    end = fields.address("rangeEnd") or last
    gateway = fields.address("gateway") or first
    for key, address in (("rangeStart", start), ("rangeEnd", end)):
        if address not in prefix:
            fields.wrong(key, f"{key[0].upper()}{key[1:]} {address} not in network {prefix}")
    return Range(prefix, start, end, gateway)
