# SPDX-License-Identifier: GPL-2.0-only
"""What is in a set, and what one asks to have in it.

Addresses are numbers here: masks are put on them at every look-up.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import attrs

from emu.sim.time import SECOND, Instant


class Element(NamedTuple):
    """One element; what its type does not have is zero or empty.

    Attributes:
        ip: the first address or network.
        cidr: prefix length of the first network.
        protocol: IP protocol number of `port`.
        port: a port; of ICMP `type << 8 | code`; of `bitmap:port` the element itself.
        ip2: the second address or network.
        cidr2: prefix length of the second network.
        physdev: `iface` is the port of a bridge.
        iface: name of a device.
        mac: a MAC address, six octets.
    """

    ip: int = 0
    cidr: int = 0
    protocol: int = 0
    port: int = 0
    ip2: int = 0
    cidr2: int = 0
    physdev: bool = False
    iface: str = ""
    mac: bytes = b""


@attrs.frozen
class SkbInfo:
    """What `map-set` gives to a packet: the bits `mask` of its mark, a priority, a queue."""

    mark: int = 0
    mask: int = 0
    priority: int = 0
    queue: int = 0


NO_SKBINFO: Final = SkbInfo()


@attrs.frozen
class Extensions:
    """What can be said of an element beside itself; None where nothing was said.

    Attributes:
        timeout: seconds; 0 for ever.
        packets: where its packet counter begins.
        octets: where its octet counter begins.
        comment: any text.
        skbinfo: see `SkbInfo`.
    """

    timeout: int | None = None
    packets: int | None = None
    octets: int | None = None
    comment: str | None = None
    skbinfo: SkbInfo | None = None


class Member:
    """An element in a set.

    Attributes:
        element: the element; of a list:set the name of a set is in `iface`.
        nomatch: what it holds is taken out of the set.
        wildcard: `iface` is the beginning of a name.
        expires: the last instant at which it is there, None for no end.
        packets: what matches counted.
        octets: likewise.
        comment: a text, empty for none.
        skbinfo: see `SkbInfo`.
    """

    __slots__ = ("comment", "element", "expires", "nomatch", "octets", "packets", "skbinfo", "wildcard")

    def __init__(self, element: Element, *, wildcard: bool = False) -> None:
        self.element = element
        self.nomatch = False
        self.wildcard = wildcard
        self.expires: Instant | None = None
        self.packets = 0
        self.octets = 0
        self.comment = ""
        self.skbinfo = NO_SKBINFO

    def is_expired(self, now: Instant) -> bool:
        """Return whether it is there no longer. Source: `ip_set_timeout_expired`."""
        return self.expires is not None and self.expires < now

    def seconds_left(self, now: Instant) -> int:
        """Return what a listing shows: 0 for no end, else 1 at least. Source: `ip_set_timeout_get`."""
        return 0 if self.expires is None else max((self.expires - now) // SECOND, 1)


# --- what is asked for ---


@attrs.frozen
class Addresses:
    """`first`, `first/cidr` or `first-last`."""

    first: int
    last: int | None = None
    cidr: int | None = None


@attrs.frozen
class Ports:
    """`first` or `first-last` of an IP protocol."""

    protocol: int
    first: int
    last: int | None = None


@attrs.frozen
class Entry:
    """What is to be added, deleted or tested; parts that the type does not have are None or empty.

    Attributes:
        first: the first dimension of addresses.
        ports: the dimension of ports.
        second: the second dimension of addresses.
        iface: name of a device, or its beginning if `wildcard`.
        physdev: see `Element`.
        wildcard: see `Member`.
        mac: six octets.
        member: name of a set, for list:set.
        before: the set that `member` is to stand before.
        after: the set that `member` is to stand behind.
        nomatch: see `Member`; in a test, ask for that.
        extensions: what is said of each element.
    """

    first: Addresses | None = None
    ports: Ports | None = None
    second: Addresses | None = None
    iface: str = ""
    physdev: bool = False
    wildcard: bool = False
    mac: bytes = b""
    member: str = ""
    before: str = ""
    after: str = ""
    nomatch: bool = False
    extensions: Extensions = Extensions()
