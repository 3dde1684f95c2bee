# SPDX-License-Identifier: GPL-2.0-only
"""The subnets that nodes are in, where nobody says them, and who may have which address there."""

from __future__ import annotations

import ipaddress
from itertools import chain
from typing import TYPE_CHECKING, Final

from emu.wire.addresses import IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

NODE_NETWORK: Final = Prefix.parse("172.18.0.0/16")
"""Where nodes are that name no address, as in a network that Docker makes for kind."""


def common_segment(addresses: Iterable[IpAddress]) -> Prefix:
    """Return the subnet of addresses that came without one: Docker's, or the longest usual one that fits."""
    given = list(addresses)
    if all(address in NODE_NETWORK for address in given):
        return NODE_NETWORK
    numbers = [int(address) for address in given]
    for length in (24, 20, 16, 12, 8):
        if len({number >> (32 - length) for number in numbers}) == 1:
            return Prefix.of(given[0], length)
    return Prefix.of(given[0], 1)


def hosts(segment: Prefix) -> Iterable[IpAddress]:
    """Yield the addresses of a subnet that hosts may have, upwards from the second one."""
    network = ipaddress.ip_network(str(segment))
    for number in range(int(segment.address) + 2, int(segment.address) + network.num_addresses - 1):
        yield IpAddress.from_int(number)


def gateway_of(segment: Prefix, taken: Collection[IpAddress]) -> IpAddress:
    """Return a router's address: the first one of the subnet, or the highest that is free."""
    first = int(segment.address) + 1
    last = int(segment.address) + (1 << (32 - segment.length)) - 2
    for number in chain((first,), range(last, first, -1)):
        address = IpAddress.from_int(number)
        if address not in taken:
            return address
    return IpAddress.from_int(first)


def free_in(segment: Prefix, taken: set[IpAddress]) -> IpAddress:
    """Return the highest address of a subnet that nobody has, and add it to those that are taken."""
    last = int(segment.address) + (1 << (32 - segment.length)) - 2
    free = (IpAddress.from_int(number) for number in range(last, int(segment.address), -1))
    found = next(each for each in free if each not in taken)
    taken.add(found)
    return found
