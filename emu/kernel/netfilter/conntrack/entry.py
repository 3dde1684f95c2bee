# SPDX-License-Identifier: GPL-2.0-only
"""One entry of the connection table. Source: `struct nf_conn`, nf_conntrack_common.h."""

from __future__ import annotations

import enum
from copy import copy
from typing import TYPE_CHECKING

from emu.sim.time import START, Duration, Instant

if TYPE_CHECKING:
    from emu.kernel.netfilter.conntrack.tuples import Tuple


class Direction(enum.IntEnum):
    """Which way a packet of a connection goes."""

    ORIGINAL = 0
    REPLY = 1


class CtInfo(enum.IntEnum):
    """What a packet is to its connection; the values are the kernel's (`enum ip_conntrack_info`).

    Attributes:
        direction: that of the packet.
    """

    ESTABLISHED = 0
    RELATED = 1
    NEW = 2
    ESTABLISHED_REPLY = 3
    RELATED_REPLY = 4
    UNTRACKED = 7
    INVALID = 8
    """Looked at, and fits no connection: ours; the kernel has no number for that."""

    direction: Direction

    def __init__(self, value: int) -> None:
        self.direction = Direction.REPLY if value in {3, 4} else Direction.ORIGINAL


class Status(enum.IntEnum):
    """The bits of `ctstatus` (`enum ip_conntrack_status`).

    Plain numbers once they are combined: flags of `enum` take ten times as
    long, and every packet asks for them.
    """

    NONE = 0
    EXPECTED = 1 << 0
    SEEN_REPLY = 1 << 1
    ASSURED = 1 << 2
    CONFIRMED = 1 << 3
    SRC_NAT = 1 << 4
    DST_NAT = 1 << 5
    SEQ_ADJUST = 1 << 6
    SRC_NAT_DONE = 1 << 7
    DST_NAT_DONE = 1 << 8
    DYING = 1 << 9
    FIXED_TIMEOUT = 1 << 10
    TEMPLATE = 1 << 11
    UNTRACKED = 1 << 12


class Connection:
    """A connection: two tuples, what was seen of it, and when it is forgotten.

    Attributes:
        number: unique in the namespace (`id` of `conntrack -o id`).
        original: the tuple of the packet that began it, as it came.
        reply: the tuple that an answer has; NAT changes this one.
        zones: the conntrack zone of each direction, 0 for the default one.
        status: see `Status`.
        expires: the instant at which it is forgotten.
        timeout: what `expires` was last counted from, ns.
        mark: the connection mark.
        tracker: the state of its protocol: a `tcp.TcpState`, `sctp.SctpState`, ...; None where there is none.
        packets: packets seen, by direction.
        octets: octets of IP packets seen, by direction.
        masquerade: name of the device whose address it was masqueraded with, empty for none.
    """

    __slots__ = (
        "expires",
        "mark",
        "masquerade",
        "number",
        "octets",
        "original",
        "packets",
        "reply",
        "status",
        "timeout",
        "tracker",
        "zones",
    )

    def __init__(
        self, number: int, original: Tuple, reply: Tuple, *, zones: tuple[int, int] = (0, 0)
    ) -> None:
        self.number = number
        self.original = original
        self.reply = reply
        self.zones = zones
        self.status: int = Status.NONE
        self.expires = START
        self.timeout: Duration = 0
        self.mark = 0
        self.tracker: object | None = None
        self.packets = [0, 0]
        self.octets = [0, 0]
        self.masquerade = ""

    @property
    def protocol(self) -> int:
        """IP protocol number."""
        return self.original.protocol

    @property
    def tuples(self) -> tuple[Tuple, Tuple]:
        """The tuples by direction."""
        return self.original, self.reply

    @property
    def zone(self) -> int:
        """The zone of the original direction."""
        return self.zones[0]

    @property
    def is_confirmed(self) -> bool:
        """Whether it is in the table: its first packet got through."""
        return bool(self.status & Status.CONFIRMED)

    def refresh(self, now: Instant, timeout: Duration) -> None:
        """Have it forgotten `timeout` after `now`."""
        self.timeout = timeout
        self.expires = Instant(now + timeout)

    def count(self, direction: Direction, octets: int) -> None:
        """Count a packet of so many octets."""
        self.packets[direction] += 1
        self.octets[direction] += octets

    def copy(self) -> Connection:
        """Return a picture of it as it is now."""
        picture = Connection(self.number, self.original, self.reply, zones=self.zones)
        for name in ("status", "expires", "timeout", "mark", "masquerade"):
            setattr(picture, name, getattr(self, name))
        picture.tracker = copy(self.tracker)
        picture.packets, picture.octets = list(self.packets), list(self.octets)
        return picture
