# SPDX-License-Identifier: GPL-2.0-only
"""Fields of headers changed, and checksums mended.

Source: net/netfilter/nft_payload.c `nft_payload_set_eval`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.nftables.evaluation import BREAK, NotModelledError
from emu.kernel.netfilter.nftables.payload import FIELDS, Base
from emu.wire.checksum import update
from emu.wire.ipv4 import OFFSET_MASK

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.evaluation import Evaluation, Load, Outcome, Step
    from emu.kernel.netfilter.nftables.expressions import Payload
    from emu.kernel.netfilter.nftables.payload import Field
    from emu.kernel.skb import Skb

_OF_IP: Final = 10  # where the checksum of an IP header is
_CHECKSUMS: Final = {"tcp": 16, "udp": 6, "udplite": 6, "icmp": 2}
_BY_NUMBER: Final = {6: 16, 17: 6, 136: 6}
_UDP: Final = 17
_ADDRESSES: Final = ("saddr", "daddr")


def compile_write(target: Payload, value: Load) -> Step:
    """Return the statement that puts a value into a field.

    Raises:
        NotModelledError: nothing here has such a field.
    """
    field = FIELDS[target.protocol][target.field]
    if target.protocol not in ("ip", "th", *_CHECKSUMS):
        raise NotModelledError(f"{target.protocol} {target.field} set")
    place = _CHECKSUMS.get(target.protocol)
    is_pseudo = field.base is Base.NETWORK and target.field in _ADDRESSES

    def step(evaluation: Evaluation) -> Outcome:
        number, skb = value(evaluation), evaluation.skb
        if number is None:
            return BREAK
        begin = 0
        if field.base is Base.TRANSPORT:
            begin = skb.header.header_length
            if skb.header.fragment & OFFSET_MASK:
                return BREAK
        needed = [(field.offset + field.bits + 7) // 8, (place or 0) + 2]
        above = _above(skb) if is_pseudo else None
        if len(skb.packet) < max(begin + max(needed), (above or 0) + 2):
            return BREAK
        _write(skb, begin, field, number, (_OF_IP if begin == 0 else place, above))
        return None

    return step


def _above(skb: Skb) -> int | None:
    """Return where the checksum is that counts the addresses in; None if there is none."""
    place = _BY_NUMBER.get(skb.header.protocol)
    if place is None or skb.header.fragment & OFFSET_MASK:
        return None
    return skb.header.header_length + place


def _write(skb: Skb, begin: int, field: Field, value: int, places: tuple[int | None, int | None]) -> None:
    """Put `value` into `field`, and mend the checksums of its header and of the one above."""
    place, above = places
    octets = bytearray(skb.packet)
    first = field.offset // 16 * 2 + begin  # whole words, as checksums count
    end = -(-(field.offset + field.bits) // 16) * 2 + begin
    shift = (end - begin) * 8 - field.offset - field.bits
    before = int.from_bytes(octets[first:end], "big")
    mask = ((1 << field.bits) - 1) << shift
    after = before & ~mask | value << shift & mask
    octets[first:end] = after.to_bytes(end - first, "big")
    if place is not None and not first <= begin + place < end:
        _mend(octets, begin + place, before, after, skb.header.protocol)
    if above is not None:
        _mend(octets, above, before, after, skb.header.protocol)
    skb.replace(bytes(octets))


def _mend(octets: bytearray, at: int, before: int, after: int, protocol: int) -> None:
    known = int.from_bytes(octets[at : at + 2], "big")
    if not known and protocol == _UDP and at != _OF_IP:
        return  # a datagram without a checksum
    octets[at : at + 2] = update(known, before, after).to_bytes(2, "big")
