# SPDX-License-Identifier: GPL-2.0-only
"""`-m hashlimit`: so many packets, or octets, in a time, for each address or port apart.

Source: net/netfilter/xt_hashlimit.c, revision 3.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.jiffies import HZ, jiffies
from emu.kernel.netfilter.matches.transport import first_octets
from emu.kernel.netfilter.packet import PORT_PROTOCOLS

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet

    Key = tuple[int, int, int, int]

SCALE: Final = 1_000_000
"""Units of `period` in a second."""

BYTE_SHIFT: Final = 4
_CREDITS: Final = 1 << 39  # a tick: the power of 2 below (2**64 - 1) / (HZ * 86400)
_BYTE_CREDITS: Final = (1 << 24) * HZ  # a second: the power of 2 below (2**32 - 1) / HZ, for all its ticks
_UNIT: Final = HZ * _CREDITS // SCALE
_MILLISECONDS: Final = 1000
_DEFAULT_SIZE: Final = 8192  # of a machine with more than 1 GB


class Keys(enum.IntFlag):
    """What has a bucket of its own; the values are `XT_HASHLIMIT_HASH_DIP` and so on."""

    NONE = 0
    DESTINATION = 1
    DESTINATION_PORT = 2
    SOURCE = 4
    SOURCE_PORT = 8


@attrs.frozen
class TableOptions:
    """What a table is made with.

    Attributes:
        size: buckets of the hash, 0 for what the machine's memory suggests.
        most: entries at most, 0 for eight times `size`.
        expire: ms after which an entry that is not used is forgotten.
        interval: ms between two looks for such entries.
    """

    size: int = 0
    most: int = 0
    expire: int = 1000
    interval: int = 1000


class Entry:
    """The credit of one key. Times are in ticks."""

    __slots__ = ("burst", "credit", "expires", "seen")

    def __init__(self, credit: int, burst: int, seen: int) -> None:
        self.credit = credit
        self.burst = burst
        self.seen = seen
        self.expires = seen


class Buckets:
    """A table of credits by key; rules that give it the same name share it.

    `config` is the first of them: rates and keys are its, whatever the others say.
    """

    __slots__ = ("cleaned", "config", "entries")

    def __init__(self, config: HashLimit, now: int) -> None:
        self.config = config
        self.entries: dict[Key, Entry] = {}
        self.cleaned = now

    def entry(self, key: Key, now: int) -> Entry | None:
        """Return the entry of `key`, as full as it is by now; None if the table is full."""
        config, options = self.config, self.config.options
        self._clean(now, max(1, options.interval * HZ // _MILLISECONDS))
        entry = self.entries.get(key)
        if entry is None:
            size = options.size or _DEFAULT_SIZE
            if len(self.entries) >= (max(options.most, size) if options.most else 8 * size):
                return None
            entry = self.entries[key] = Entry(config.full, config.burst, now)
        gained = (now - entry.seen) * (_BYTE_CREDITS // HZ if config.counts_octets else _CREDITS)
        entry.credit = min(entry.credit + gained, config.full)
        entry.seen = now
        entry.expires = now + options.expire * HZ // _MILLISECONDS
        return entry

    def _clean(self, now: int, interval: int) -> None:
        """Forget the entries whose time was over when it was last looked for them. Source: `htable_gc`."""
        if now - self.cleaned < interval:
            return
        self.cleaned += (now - self.cleaned) // interval * interval
        gone = [key for key, entry in self.entries.items() if entry.expires <= self.cleaned]
        for key in gone:
            del self.entries[key]


@attrs.frozen
class HashLimit:
    """A bucket of credit for each key, full at first.

    Attributes:
        name: of the table.
        period: the time from one packet to the next in units of 1/1000000 s; or,
            counting octets, 2**32 - 1 by the number of 16 octets a second and one more.
        burst: how many packets a full bucket is worth; or, counting octets,
            how often an empty one is filled up at once.
        above: it holds once the credit is spent, instead of before.
        counts_octets: octets are counted instead of packets.
        keys: what has a bucket of its own.
        source_length: the length of the prefix that sources are cut down to.
        destination_length: likewise for destinations.
        options: what the table is made with.
    """

    name: str
    period: int
    burst: int = 5
    above: bool = False
    counts_octets: bool = False
    keys: Keys = Keys.NONE
    source_length: int = 32
    destination_length: int = 32
    options: TableOptions = attrs.field(factory=TableOptions)

    def holds(self, packet: Packet) -> bool:
        """Take from the credit of the packet's key, and return whether it was enough, or was not.

        A packet that is cut short, or finds the table full, is dropped.
        """
        now = jiffies(packet.net.now)
        table = packet.net.netfilter.hashlimits.get(self.name)
        if table is None:
            table = packet.net.netfilter.hashlimits[self.name] = Buckets(self, now)
        config = table.config
        key = config.key(packet)
        entry = None if key is None else table.entry(key, now)
        if entry is None:
            packet.hotdrop = True
            return False
        cost = config.period * _UNIT
        if self.counts_octets:
            cost = _octets_cost(packet, entry, config.period)
        enough = entry.credit >= cost
        if enough:
            entry.credit -= cost
        return enough is not self.above

    @property
    def full(self) -> int:
        """The credit of a full bucket."""
        return _BYTE_CREDITS if self.counts_octets else self.period * self.burst * _UNIT

    def key(self, packet: Packet) -> Key | None:
        """Return what the bucket is found by. Source: `hashlimit_init_dst`."""
        header, keys = packet.skb.header, self.keys
        src = _cut(header.src, self.source_length) if keys & Keys.SOURCE else 0
        dst = _cut(header.dst, self.destination_length) if keys & Keys.DESTINATION else 0
        if not keys & (Keys.SOURCE_PORT | Keys.DESTINATION_PORT) or header.protocol not in PORT_PROTOCOLS:
            return src, dst, 0, 0
        ports = first_octets(packet, 4)
        if ports is None:
            return None
        sport = int.from_bytes(ports[:2], "big") if keys & Keys.SOURCE_PORT else 0
        dport = int.from_bytes(ports[2:], "big") if keys & Keys.DESTINATION_PORT else 0
        return src, dst, sport, dport


def _cut(address: bytes, length: int) -> int:
    rest = len(address) * 8 - length
    return int.from_bytes(address, "big") >> rest << rest


def _octets_cost(packet: Packet, entry: Entry, period: int) -> int:
    """Return the cost of the packet's octets; a burst fills the bucket. Source: `hashlimit_byte_cost`."""
    chunk = period * _BYTE_CREDITS >> 32
    cost = min(((len(packet.skb.packet) >> BYTE_SHIFT) + 1) * chunk, _BYTE_CREDITS)
    if entry.credit < cost and entry.burst:
        entry.burst -= 1
        entry.credit = _BYTE_CREDITS
    return cost
