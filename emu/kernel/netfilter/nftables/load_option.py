# SPDX-License-Identifier: GPL-2.0-only
"""TCP options read and changed. Source: net/netfilter/nft_exthdr.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.nftables.evaluation import BREAK
from emu.wire import ipv4, tcp
from emu.wire.checksum import update
from emu.wire.ipv4 import OFFSET_MASK

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.evaluation import Evaluation, Load, Outcome, Step
    from emu.kernel.netfilter.nftables.expressions import TcpOption
    from emu.kernel.skb import Skb

_KINDS: Final = {
    "eol": 0,
    "nop": 1,
    "maxseg": 2,
    "window": 3,
    "sack-perm": 4,
    "sack": 5,
    "timestamp": 8,
    "fastopen": 34,
}
_LAST_SINGLE: Final = 1  # end of the list and no operation have no length
_CHECKSUM: Final = 16


def load_option(option: TcpOption) -> Load:
    """Return the function that reads the size in an option, or whether it is there."""
    kind = _KINDS[option.name]
    if not option.field:
        return lambda evaluation: _presence(evaluation.skb, kind)

    def size(evaluation: Evaluation) -> int | None:
        at = _find(evaluation.skb, kind)
        if not at:
            return None
        return int.from_bytes(evaluation.skb.packet[at + 2 : at + 4], "big")

    return size


def _presence(skb: Skb, kind: int) -> int:
    """Return 1 if there is such an option; what is not TCP has none."""
    return int(bool(_find(skb, kind)))


def _find(skb: Skb, kind: int) -> int | None:
    """Return where an option begins, 0 if there is none; None if that is no whole TCP header."""
    header, octets = skb.header, skb.packet
    begin = header.header_length
    if header.protocol != ipv4.TCP or header.fragment & OFFSET_MASK or len(octets) < begin + tcp.MIN_HEADER:
        return None
    end = begin + (octets[begin + 12] >> 4) * 4
    if end < begin + tcp.MIN_HEADER or end > len(octets):
        return None
    at = begin + tcp.MIN_HEADER
    while at < end - 1:
        length = 1 if octets[at] <= _LAST_SINGLE else octets[at + 1] or 1
        if octets[at] == kind:
            return at if at + length <= end else 0
        at += length
    return 0


def lower_maxseg(load: Load) -> Step:
    """Return the statement that lowers the largest segment announced; it is never raised."""

    def step(evaluation: Evaluation) -> Outcome:
        skb = evaluation.skb
        value, at = load(evaluation), _find(skb, _KINDS["maxseg"])
        if value is None or at is None:
            return BREAK
        old = int.from_bytes(skb.packet[at + 2 : at + 4], "big")
        if at and old > value:
            _write(skb, at + 2, value)
        return None

    return step


def _write(skb: Skb, at: int, value: int) -> None:
    """Put two octets at `at` and mend the checksum of TCP."""
    begin = skb.header.header_length
    octets = bytearray(skb.packet)
    is_odd = (at - begin) & 1
    first, end = at - is_odd, at + 2 + is_odd  # whole words of the checksum
    before = int.from_bytes(octets[first:end], "big")
    octets[at : at + 2] = value.to_bytes(2, "big")
    after = int.from_bytes(octets[first:end], "big")
    field = slice(begin + _CHECKSUM, begin + _CHECKSUM + 2)
    octets[field] = update(int.from_bytes(octets[field], "big"), before, after).to_bytes(2, "big")
    skb.replace(bytes(octets))
