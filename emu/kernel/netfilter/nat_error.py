# SPDX-License-Identifier: GPL-2.0-only
"""ICMP errors about packets that were translated: the packet they quote is translated back.

Source: net/netfilter/nf_nat_proto.c `nf_nat_icmp_reply_translation`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.conntrack.entry import Direction, Status
from emu.kernel.netfilter.conntrack.tuples import ICMP
from emu.kernel.netfilter.verdict import Verdict
from emu.wire import checksum, icmp
from emu.wire.translation import translated

if TYPE_CHECKING:
    from emu.kernel.netfilter.conntrack.entry import Connection
    from emu.kernel.netfilter.packet import Packet

_DONE: Final = Status.SRC_NAT_DONE | Status.DST_NAT_DONE
_CHANGED: Final = Status.SRC_NAT | Status.DST_NAT


def translate(packet: Packet, connection: Connection, is_source: bool) -> Verdict:  # noqa: FBT001 - one of two ends
    """Translate an ICMP error of `connection`, outside and inside.

    Args:
        packet: the error.
        connection: the connection of the packet that it quotes.
        is_source: whether the source of the error is changed at this hook, or its destination.
    """
    skb = packet.skb
    message = skb.payload
    if not checksum.verifies(message):
        packet.because = "NAT: wrong ICMP checksum"
        return Verdict.DROP
    if message[0] == icmp.REDIRECT and (connection.status & _DONE != _DONE or connection.status & _CHANGED):
        packet.because = "NAT: a redirect about a translated connection"
        return Verdict.DROP
    direction = skb.ctinfo.direction
    wanted = Status.SRC_NAT if is_source is (direction is Direction.ORIGINAL) else Status.DST_NAT
    if not connection.status & wanted:
        return Verdict.ACCEPT
    seen = connection.tuples[not direction]
    inner = message[icmp.HEADER_LENGTH :]
    address, port = (seen.dst, seen.dport) if is_source else (seen.src, seen.sport)
    if seen.protocol == ICMP:
        port = seen.sport
    changed = translated(inner, address, port, is_source=not is_source)
    if changed is None:
        packet.because = "NAT: the quoted packet is cut short"
        return Verdict.DROP
    body = message[:2] + b"\0\0" + message[4 : icmp.HEADER_LENGTH] + changed
    total = checksum.checksum(body).to_bytes(2, "big")
    skb.replace(skb.packet[: skb.header.header_length] + body[:2] + total + body[4:])
    target = seen.invert()
    skb.translate(target.src if is_source else target.dst, 0, is_source=is_source)
    if packet.net.recorder is not None:
        packet.net.note(skb, "nat", "the quoted packet is translated back")
    return Verdict.ACCEPT
