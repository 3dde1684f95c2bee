# SPDX-License-Identifier: GPL-2.0-only
"""`-j TCPMSS`: the largest segment that a SYN announces. Source: net/netfilter/xt_TCPMSS.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel import routing
from emu.kernel.netfilter.verdict import Verdict
from emu.wire import tcp
from emu.wire.checksum import update
from emu.wire.ipv4 import MIN_HEADER, OFFSET_MASK

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet
    from emu.kernel.routing import RouteDecision

_NOP: Final = 1
_MSS: Final = 2
_MSS_LENGTH: Final = 4
_DEFAULT_MSS: Final = 536  # RFC 1122 §4.2.2.6: what no option means
_LONGEST_HEADER: Final = 60
_HEADERS: Final = MIN_HEADER + tcp.MIN_HEADER
_ANY_MTU: Final = 0xFFFFFFFF


@attrs.frozen
class SetMss:
    """`--set-mss`, or with `mss` None `--clamp-mss-to-pmtu`: announce no more than that."""

    mss: int | None = None

    def apply(self, packet: Packet) -> Verdict | None:
        """Lower the option, or add it to a segment without data; a malformed segment is dropped."""
        skb = packet.skb
        if skb.header.fragment & OFFSET_MASK:
            return None
        skb.pieces = ()  # its fragments are copied into one
        at = skb.header.header_length
        length = len(skb.packet) - at
        header_length = (skb.packet[at + 12] >> 4) * 4 if length >= tcp.MIN_HEADER else 0
        if not tcp.MIN_HEADER <= header_length <= length:
            packet.because = "TCPMSS: malformed TCP header"
            return Verdict.DROP
        mss = self.mss
        if mss is None:
            mtu = min(_mtu_onward(packet), _mtu_back(packet))
            if mtu <= _HEADERS:
                packet.because = f"TCPMSS: path MTU {mtu}"
                return Verdict.DROP
            mss = (mtu - _HEADERS) & 0xFFFF
        option = _find(skb.packet, at, header_length)
        if option is not None:
            _lower(packet, option, at, mss)
        elif length == header_length < _LONGEST_HEADER:
            _add(packet, at, min(mss, _DEFAULT_MSS))
        return None


def _mtu_onward(packet: Packet) -> int:
    """Return the MTU of the way to the destination."""
    route = packet.skb.route
    if route is None:
        return packet.out_device.mtu if packet.out_device is not None else _ANY_MTU
    return _path_mtu(packet, route, packet.skb.header.dst)


def _mtu_back(packet: Packet) -> int:
    """Return the MTU of the way to the source, the largest if there is none. Source: `tcpmss_reverse_mtu`."""
    src = packet.skb.header.src
    try:
        decision = routing.route_output(packet.net, src)
    except OSError:
        return _ANY_MTU
    return _path_mtu(packet, decision, src)


def _path_mtu(packet: Packet, route: RouteDecision, dst: bytes) -> int:
    from emu.kernel import path  # noqa: PLC0415 - ipv4, which asks for rules, is where its imports lead

    return path.path_mtu(packet.net, route, dst)


def _find(octets: bytes, at: int, header_length: int) -> int | None:
    """Return where the option's value is, None if there is no such option."""
    place, last = at + tcp.MIN_HEADER, at + header_length - _MSS_LENGTH
    while place <= last:
        if octets[place] == _MSS and octets[place + 1] == _MSS_LENGTH:
            return place + 2
        place += octets[place + 1] if octets[place] > _NOP and octets[place + 1] else 1
    return None


def _lower(packet: Packet, place: int, at: int, mss: int) -> None:
    octets = packet.skb.packet
    old = int.from_bytes(octets[place : place + 2], "big")
    if old <= mss:
        return
    is_odd = (place - at) & 1
    changed = bytearray(octets)
    changed[place : place + 2] = mss.to_bytes(2, "big")
    first, end = place - is_odd, place + 2 + is_odd  # whole words of the checksum
    _mend(changed, at, octets[first:end], bytes(changed[first:end]))
    packet.skb.replace(bytes(changed))
    packet.net.note(packet.skb, "tcpmss", f"MSS {old} becomes {mss}")


def _add(packet: Packet, at: int, mss: int) -> None:
    """Put the option in front of the others, and mend lengths and checksums."""
    skb = packet.skb
    octets = bytearray(skb.packet)
    option = bytes((_MSS, _MSS_LENGTH)) + mss.to_bytes(2, "big")
    old_word = bytes(octets[at + 12 : at + 14])
    octets[at + 12] += 1 << 4
    length = len(octets) - at
    _mend(octets, at, length.to_bytes(2, "big"), (length + _MSS_LENGTH).to_bytes(2, "big"))  # pseudo header
    _mend(octets, at, bytes(4), option)
    _mend(octets, at, old_word, bytes(octets[at + 12 : at + 14]))
    octets[at + tcp.MIN_HEADER : at + tcp.MIN_HEADER] = option
    skb.replace(bytes(octets))
    skb.rewrite_network(2, (skb.header.total_length + _MSS_LENGTH).to_bytes(2, "big"))
    packet.net.note(skb, "tcpmss", f"MSS {mss} is announced")


def _mend(octets: bytearray, at: int, old: bytes, new: bytes) -> None:
    field = slice(at + 16, at + 18)
    total = update(
        int.from_bytes(octets[field], "big"), int.from_bytes(old, "big"), int.from_bytes(new, "big")
    )
    octets[field] = total.to_bytes(2, "big")
