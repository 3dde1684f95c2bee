# SPDX-License-Identifier: GPL-2.0-only
"""Cutting IPv4 packets into fragments and putting them together again.

Source: RFC 791 §3.2, RFC 5722 (overlaps), net/ipv4/ip_output.c
`ip_do_fragment`, net/ipv4/ip_fragment.c, net/ipv4/inet_fragment.c.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.kernel import icmp
from emu.kernel.drops import DropReason
from emu.sim.time import SECOND, Instant, later
from emu.wire import ipv4
from emu.wire.icmp import REASSEMBLY_EXCEEDED, TIME_EXCEEDED
from emu.wire.ipv4 import DF, MAX_PACKET, MF, MIN_HEADER, Ipv4, rechecksum

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from emu.kernel.namespace import Namespace
    from emu.kernel.skb import Skb

_COPIED: Final = 0x80  # RFC 791 §3.1: an option with this bit goes into every fragment
_END, _NOP = 0, 1


def split(packet: bytes, mtu: int, pieces: Sequence[int] = ()) -> Iterator[bytes]:
    """Yield the fragments of `packet`, none longer than `mtu` octets, in order.

    A fragment may be split again. Identification, TTL and TOS are kept; options
    without the copied flag become padding from the second fragment on.

    Args:
        packet: a packet, or a fragment.
        mtu: octets, the IP header's included.
        pieces: the payloads' lengths of the fragments that it was put together
            from. If each fits, it is cut where it was, and no piece has DF.
    """
    header = Ipv4.parse(packet)
    length = header.header_length
    head, payload = packet[:length], packet[length : header.total_length]
    room = mtu - length
    first = header.fragment & (ipv4.OFFSET_MASK | DF)
    # the last one may be longer than those whose successors begin at a multiple of 8
    cuts: Iterable[int] = range(0, max(1, len(payload) - room + (room & ~7)), room & ~7)
    if pieces and not header.is_fragment and _are_in_shape(pieces, len(payload), room):
        first = 0
        cuts = accumulate(pieces[:-1], initial=0)
    for at, end in pairwise((*cuts, len(payload))):
        part = payload[at:end]
        more = MF if end < len(payload) or header.mf else 0
        fields = (length + len(part)).to_bytes(2, "big"), (first + at // 8 | more).to_bytes(2, "big")
        yield rechecksum(head[:2] + fields[0] + head[4:6] + fields[1] + head[8:]) + part
        if at == 0:
            head = head[:MIN_HEADER] + _blank_uncopied(head[MIN_HEADER:])


def _are_in_shape(pieces: Sequence[int], total: int, room: int) -> bool:
    """Return whether a payload can be cut into `pieces` again. Source: `ip_do_fragment`."""
    return sum(pieces) == total and max(pieces) <= room and not any(piece & 7 for piece in pieces[:-1])


def _blank_uncopied(options: bytes) -> bytes:
    blanked = bytearray(options)
    at = 0
    while at < len(options) and options[at] != _END:
        size = 1 if options[at] == _NOP else options[at + 1] if at + 1 < len(options) else 0
        if size < 1 or (options[at] != _NOP and size < 2):
            break
        if not options[at] & _COPIED:
            blanked[at : at + size] = bytes((_NOP,)) * min(size, len(options) - at)
        at += size
    return bytes(blanked)


@attrs.define
class _Datagram:
    """The fragments of one datagram that are here so far: payloads by their offset.

    `runs` are the stretches of payload that came in order, by offset, each
    (start, end); Linux looks for overlaps among these.
    """

    deadline: Instant
    parts: dict[int, bytes] = attrs.field(factory=dict)
    pieces: list[Skb] = attrs.field(factory=list)
    runs: list[tuple[int, int]] = attrs.field(factory=list)
    total: int | None = None  # octets of the whole payload, known from the last fragment
    first: Skb | None = None
    largest: int = 0
    largest_with_df: int = 0

    def place(self, start: int, end: int) -> None:
        """Find room for the octets from `start` to `end` of the payload.

        Raises:
            Refused: they, or some of them, are here.

        Source: net/ipv4/inet_fragment.c `inet_frag_queue_insert`.
        """
        runs = self.runs
        if runs and start == runs[-1][1]:
            runs[-1] = runs[-1][0], end
            return
        for at, (first, last) in enumerate(runs):
            if end <= first:
                runs.insert(at, (start, end))
                return
            if first <= start and end <= last:
                raise Refused(DropReason.DUP_FRAG, "is here already", discards=False)
            if start < last:
                raise Refused(DropReason.DUP_FRAG, "overlaps another: the datagram is discarded")
        runs.append((start, end))


class Refused(Exception):  # noqa: N818 - control flow between two functions of this module
    """The fragment is not accepted, and its datagram is discarded, unless `discards` is False.

    `others` are the fragments that go with it then.
    """

    def __init__(self, reason: DropReason, detail: str, *, discards: bool = True) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.discards = discards
        self.others: list[Skb] = []


class Overdue(NamedTuple):
    """A datagram that is given up: its fragments, and the one that begins it, if that has come."""

    first: Skb | None
    pieces: list[Skb]


@attrs.define
class Reassembly:
    """Datagrams of which some fragments are missing, by source, destination, protocol and id."""

    _waiting: dict[tuple[bytes, bytes, int, int], _Datagram] = attrs.field(factory=dict, init=False)

    @property
    def next_deadline(self) -> Instant | None:
        """When the oldest datagram is given up; None if none waits."""
        return min((entry.deadline for entry in self._waiting.values()), default=None)

    def add(self, skb: Skb, now: Instant, lifetime: int) -> bytes | None:
        """Take a fragment; return the whole packet if it was the last one missing.

        Args:
            skb: the fragment; octets behind the last multiple of 8 are cut off if more are to follow.
            now: virtual time.
            lifetime: ns that the datagram's other fragments may take from now.

        Raises:
            Refused: it is malformed, there already, or overlaps, or what it completes is too long.

        Source: net/ipv4/ip_fragment.c `ip_frag_queue`.
        """
        header = skb.header
        key = (header.src, header.dst, header.protocol, header.identification)
        datagram = self._waiting.get(key)
        if datagram is None:
            datagram = self._waiting[key] = _Datagram(later(now, lifetime))
        try:
            self._insert(datagram, skb)
            if datagram.first is None or datagram.total != sum(map(len, datagram.parts.values())):
                datagram.pieces.append(skb)
                return None
            whole = _join(datagram, datagram.first)
        except Refused as refused:
            if refused.discards:
                refused.others = datagram.pieces
                del self._waiting[key]
            raise
        del self._waiting[key]
        skb.frag_max = datagram.largest
        skb.pieces = tuple(len(datagram.parts[at]) for at in sorted(datagram.parts))
        skb.options = datagram.first.options
        return whole

    @staticmethod
    def _insert(datagram: _Datagram, skb: Skb) -> None:
        header, payload = skb.header, skb.payload
        start = header.offset
        if header.mf and len(payload) & 7:
            payload = payload[: len(payload) & ~7]
            skb.replace(skb.packet[: header.header_length] + payload)
        end = start + len(payload)
        known = max((at + len(part) for at, part in datagram.parts.items()), default=0)
        last = datagram.total
        if not header.mf:
            if end < known or (last is not None and end != last):
                raise Refused(DropReason.IP_INHDR, "two different ends of one datagram")
            datagram.total = end
        elif last is not None and end > last:
            raise Refused(DropReason.IP_INHDR, "fragment behind the end of its datagram")
        if end == start:
            raise Refused(DropReason.IP_INHDR, "a fragment without payload")
        datagram.place(start, end)
        datagram.parts[start] = payload
        length = len(skb.packet)
        datagram.largest = max(datagram.largest, length)
        if header.df:
            datagram.largest_with_df = max(datagram.largest_with_df, length)
        if start == 0:
            datagram.first = skb

    def expire(self, now: Instant) -> list[Overdue]:
        """Give up what is due, and return it."""
        due = [key for key, entry in self._waiting.items() if entry.deadline <= now]
        gone = [self._waiting.pop(key) for key in due]
        return [Overdue(entry.first, entry.pieces) for entry in gone]


def _join(datagram: _Datagram, first: Skb) -> bytes:
    """Return the whole packet. It has DF if the largest fragment had. Source: `ip_frag_reasm`."""
    head = first.packet[: first.header.header_length]
    payload = b"".join(datagram.parts[at] for at in sorted(datagram.parts))
    length = len(head) + len(payload)
    if length > MAX_PACKET:
        raise Refused(DropReason.PKT_TOO_BIG, f"{length} octets are no IP packet any more")
    total = length.to_bytes(2, "big")
    flags = (DF if datagram.largest_with_df == datagram.largest else 0).to_bytes(2, "big")
    return rechecksum(head[:2] + total + head[4:6] + flags + head[8:]) + payload


def gather(net: Namespace, skb: Skb) -> Skb | None:
    """Return the whole packet that the fragment `skb` completes, None while others are missing."""
    lifetime = net.sysctl.number("net.ipv4.ipfrag_time") * SECOND
    try:
        packet = net.reassembly.add(skb, net.now, lifetime)
    except Refused as refused:
        net.drop(skb, refused.reason, refused.detail)
        for other in refused.others:
            net.drop(other, refused.reason, "its datagram is discarded")
        return None
    if packet is None:
        net.note(skb, "reassembly", "waits for the other fragments")
        deadline = net.reassembly.next_deadline
        if deadline is not None:
            net.arm(deadline)
        return None
    skb.replace(packet)
    net.note(skb, "reassembly", f"whole again: {len(packet)} octets")
    return skb


def timeout(net: Namespace) -> None:
    """Give up datagrams whose time is over, telling the sender if the first fragment came."""
    for first, pieces in net.reassembly.expire(net.now):
        if first is not None:
            icmp.send_error(net, first, TIME_EXCEEDED, REASSEMBLY_EXCEEDED)
        for piece in pieces:
            net.drop(piece, DropReason.FRAG_REASM_TIMEOUT)
