# SPDX-License-Identifier: GPL-2.0-only
"""The elements that an entry stands for: ranges and prefixes taken apart as each type does it.

    hash:ip          10.0.0.1-10.0.0.3   three addresses (or networks, by `netmask`)
    hash:net         10.0.0.1-10.0.0.3   10.0.0.1, 10.0.0.2/31
    hash:ip,port     10.0.0.0/30,80-81   eight pairs

Elements come one by one, as the kernel adds them: a set that becomes full keeps
those before. Source: the functions `..._uadt` in net/netfilter/ipset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.ipset.element import Element
from emu.kernel.netfilter.ipset.errors import IpSetError, Refusal
from emu.kernel.netfilter.ipset.spec import prefix_mask
from emu.kernel.netfilter.ipset.types import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emu.kernel.netfilter.ipset.element import Addresses, Entry, Ports
    from emu.kernel.netfilter.ipset.spec import SetSpec

ICMP: Final = 1
ICMPV6: Final = 58
WITH_PORTS: Final = frozenset((6, 17, 132, 136))
"""TCP, UDP, SCTP, UDP-Lite: the protocols whose ports are looked at."""

_Net = tuple[int, int]


def expand(spec: SetSpec, entry: Entry) -> Iterator[Element]:
    """Yield the elements of a hash that `entry` stands for, the last dimension quickest.

    Raises:
        IpSetError: the kernel refuses `entry`, or comes to an element that cannot be stored.
    """
    parts = spec.type.parts
    if parts == (Part.MAC,):
        yield _mac(entry)
        return
    if parts == (Part.IP,):
        yield from _plain(spec, _known(entry.first))
        return
    protocol, ports = _ports(entry.ports) if Part.PORT in parts else (0, range(1))
    seconds = _second(spec, entry)
    for ip, cidr in _first(spec, entry):
        for port in ports:
            for ip2, cidr2 in seconds:
                yield Element(ip, cidr, protocol, port, ip2, cidr2, entry.physdev, entry.iface)


def tested(spec: SetSpec, entry: Entry) -> Element:
    """Return the one element of a hash that a test of `entry` asks for.

    Raises:
        IpSetError: the kernel refuses `entry`.
    """
    parts = spec.type.parts
    if parts == (Part.MAC,):
        return _mac(entry)
    protocol, ports = _ports(entry.ports) if Part.PORT in parts else (0, range(1))
    ip, cidr = _single(spec, _known(entry.first), parts[0])
    ip2, cidr2 = (0, 0)
    if entry.second is not None:
        ip2, cidr2 = _single(spec, entry.second, parts[-1])
    return Element(ip, cidr, protocol, ports[0], ip2, cidr2, entry.physdev, entry.iface)


def _known(addresses: Addresses | None) -> Addresses:
    if addresses is None:
        raise IpSetError(Refusal.INVALID)
    return addresses


def _mac(entry: Entry) -> Element:
    if not any(entry.mac):
        raise IpSetError(Refusal.HASH_ELEM)
    return Element(mac=entry.mac)


def _single(spec: SetSpec, asked: Addresses, part: Part) -> _Net:
    if part is Part.IP:
        return asked.first & spec.mask, 0
    cidr = _length(spec, asked)
    return asked.first & prefix_mask(cidr, spec.bits), cidr


def _length(spec: SetSpec, asked: Addresses) -> int:
    cidr = spec.bits if asked.cidr is None else asked.cidr
    if not 0 <= cidr <= spec.bits or (cidr == 0 and not spec.type.takes_zero):
        raise IpSetError(Refusal.INVALID_CIDR)
    return cidr


# --- addresses ---


def _plain(spec: SetSpec, asked: Addresses) -> Iterator[Element]:
    """Yield the elements of hash:ip; of a range only the first address is cut by the mask, as in Linux."""
    first = asked.first & spec.mask
    if first == 0:
        raise IpSetError(Refusal.HASH_ELEM)
    low, high = _range(spec, asked, first)
    for ip in range(low, high + 1, spec.hosts):
        yield Element(ip)


def _range(spec: SetSpec, asked: Addresses, first: int) -> tuple[int, int]:
    """Return the first and the last address of `asked`, whose own first one is taken to be `first`."""
    if asked.last is not None:
        if spec.family == 6:
            raise IpSetError(Refusal.HASH_RANGE_UNSUPPORTED)
        return min(first, asked.last), max(first, asked.last)
    if asked.cidr is None:
        return first, first
    if not 0 < asked.cidr <= spec.bits or (spec.family == 6 and asked.cidr != spec.bits):
        raise IpSetError(Refusal.INVALID_CIDR)
    mask = prefix_mask(asked.cidr, spec.bits)
    return first & mask, first | (~mask & prefix_mask(spec.bits, spec.bits))


def _first(spec: SetSpec, entry: Entry) -> Iterable[_Net]:
    asked = _known(entry.first)
    if spec.type.parts[0] is Part.NET:
        return _networks(spec, asked)
    masked = asked.first & spec.mask
    if spec.type.parts == (Part.IP, Part.PORT) and masked == 0:
        raise IpSetError(Refusal.INVALID)
    low, high = _range(spec, asked, masked)
    return ((ip, 0) for ip in range(low, high + 1))


def _second(spec: SetSpec, entry: Entry) -> list[_Net]:
    if entry.second is None:
        return [(0, 0)]
    if spec.type.parts[-1] is Part.NET:
        return list(_networks(spec, entry.second))
    return [(entry.second.first, 0)]


def _networks(spec: SetSpec, asked: Addresses) -> Iterator[_Net]:
    """Yield the networks that make up `asked`, as few as can be."""
    if asked.last is None:
        yield _single(spec, asked, Part.NET)
        return
    if spec.family == 6:
        raise IpSetError(Refusal.HASH_RANGE_UNSUPPORTED)
    low, high = min(asked.first, asked.last), max(asked.first, asked.last)
    if (low, high) == (0, prefix_mask(32, 32)):
        raise IpSetError(Refusal.HASH_RANGE)
    yield from networks_of(low, high)


def networks_of(low: int, high: int) -> Iterator[_Net]:
    """Yield the networks of IPv4 that make up `low` to `high`. Source: `ip_set_range_to_cidr`."""
    while low <= high:
        aligned = (low & -low).bit_length() - 1 if low else 32
        host_bits = min(aligned, (high - low + 1).bit_length() - 1)
        yield low, 32 - host_bits
        low += 1 << host_bits


# --- ports ---


def _ports(asked: Ports | None) -> tuple[int, range]:
    """Return the protocol and its ports."""
    if asked is None or not 0 < asked.protocol <= 255:
        raise IpSetError(Refusal.INVALID_PROTO)
    if asked.protocol in WITH_PORTS:
        last = asked.first if asked.last is None else asked.last
        return asked.protocol, range(min(asked.first, last), max(asked.first, last) + 1)
    port = asked.first if asked.protocol in {ICMP, ICMPV6} else 0
    return asked.protocol, range(port, port + 1)
