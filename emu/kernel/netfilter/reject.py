# SPDX-License-Identifier: GPL-2.0-only
"""Answers to packets that a rule refuses: a RST, or *destination unreachable*.

A packet that came in by a port of a bridge is answered by that very port, from
the MAC address it was sent to: the RST meets no rules on its way.

Source: net/ipv4/netfilter/nf_reject_ipv4.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel import icmp, ipv4, netdev
from emu.kernel.fib import RouteType
from emu.kernel.netfilter import nat
from emu.kernel.netfilter.conntrack.tcp import close
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.packet import Packet
from emu.kernel.skb import Skb
from emu.wire import checksum, ethernet, tcp
from emu.wire.frame import Frame
from emu.wire.icmp import UNREACHABLE
from emu.wire.ipv4 import DF, ICMP, OFFSET_MASK, TCP, UDP
from emu.wire.ipv4 import build as build_packet

if TYPE_CHECKING:
    from emu.wire.tcp import Tcp

_UNVERIFIED: Final = frozenset((33, 47, 50, 51, 132, 136))
"""DCCP, GRE, ESP, AH, SCTP, UDP-Lite: no sum over the whole payload, or none that is asked."""
_TRACKED_SUMS: Final = frozenset((ICMP, TCP, UDP))
"""Protocols whose checksum connection tracking verifies."""
_UNANSWERED: Final = (RouteType.BROADCAST, RouteType.MULTICAST)


def send_unreachable(packet: Packet, code: int) -> None:
    """Tell the sender by ICMP, unless this is a later fragment or its checksum is wrong.

    Source: `nf_send_unreach`.
    """
    header = packet.skb.header
    if header.fragment & OFFSET_MASK or not (_was_verified(packet) or _is_sound(packet)):
        packet.net.note(packet.skb, "reject", "no answer: a fragment, or its checksum is wrong")
        return
    icmp.send_error(packet.net, packet.skb, UNREACHABLE, code)


def send_reset(packet: Packet) -> None:
    """Answer a TCP segment with a RST; a RST itself never is. Source: `nf_send_reset`."""
    net, skb = packet.net, packet.skb
    segment = _refusable(packet)
    if segment is None or (skb.route is not None and skb.route.kind in _UNANSWERED):
        net.note(skb, "reject", "no RST: none is due for such a packet")
        return
    mark = skb.mark if net.sysctl.number("net.ipv4.fwmark_reflect") else 0
    header = skb.header
    octets = build_packet(
        TCP,
        header.dst,
        header.src,
        _reset(packet, segment),
        ttl=net.sysctl.number("net.ipv4.ip_default_ttl"),
        fragment=DF,
    )
    answer = Skb(octets, net.new_packet_id())
    answer.mark = mark
    if not nat.reroute(Packet(net, answer, Hook.OUTPUT)):
        net.note(skb, "reject", "no RST: there is no way to the sender")
        return
    _attach(packet, answer)
    net.note(skb, "reject", "answered with a RST")
    if not packet.physin or not _send_by_port(packet, answer):
        ipv4.walk(net, answer, ipv4.local_out)


def _refusable(packet: Packet) -> Tcp | None:
    """Return the header of a segment that a RST may answer. Source: `nf_reject_ip_tcphdr_get`."""
    header, payload = packet.skb.header, packet.skb.payload
    if header.fragment & OFFSET_MASK or header.protocol != TCP or len(payload) < tcp.MIN_HEADER:
        return None
    segment = tcp.Tcp.parse(payload)
    is_sound = (packet.hook is Hook.INPUT and _was_verified(packet)) or _is_sound(packet)
    return None if segment.flags & tcp.RST or not is_sound else segment


def _was_verified(packet: Packet) -> bool:
    """Return whether connection tracking has seen the packet come in, and found its checksum right."""
    return (
        packet.connection is not None
        and packet.skb.device is not None
        and packet.skb.header.protocol in _TRACKED_SUMS
        and bool(packet.net.sysctl.number("net.netfilter.nf_conntrack_checksum"))
    )


def _is_sound(packet: Packet) -> bool:
    """Return whether the packet sums up as it should, where its protocol has a checksum.

    A protocol that the kernel does not know must sum up all the same, and
    hardly ever does. The IP header is summed up too: in a packet whose options
    were filled in on its way that is wrong until it leaves.

    Source: `nf_reject_verify_csum`, net/netfilter/utils.c `nf_ip_checksum`.
    """
    header, payload = packet.skb.header, packet.skb.payload
    protocol = header.protocol
    if protocol in _UNVERIFIED:
        return True
    if protocol == UDP and payload[6:8] == b"\0\0":
        return True
    pseudo = 0
    if protocol in {TCP, UDP}:
        pseudo = checksum.pseudo_header(header.src, header.dst, protocol, len(payload))
    return checksum.verifies(packet.skb.packet, pseudo)


def _reset(packet: Packet, segment: Tcp) -> bytes:
    """Return the RST: it has the number that was acknowledged, or acknowledges all of the segment.

    Source: RFC 9293 §3.5.2, `nf_reject_ip_tcphdr_put`.
    """
    header = packet.skb.header
    seq, ack, flags = segment.ack, 0, tcp.RST
    if not segment.flags & tcp.ACK:
        data = len(packet.skb.payload) - segment.header_length
        length = bool(segment.flags & tcp.SYN) + bool(segment.flags & tcp.FIN) + data
        seq, ack, flags = 0, (segment.seq + length) & 0xFFFFFFFF, tcp.RST | tcp.ACK
    return tcp.build(
        header.dst, header.src, segment.dport, segment.sport, seq=seq, ack=ack, flags=flags, window=0
    )


def _attach(packet: Packet, answer: Skb) -> None:
    """Have the answer belong to the connection, as RELATED, and end that. Source: `nf_ct_set_closing`."""
    connection = packet.connection
    if connection is not None:
        answer.relate_to(packet.skb)
        close(packet.net, connection)


def _send_by_port(packet: Packet, answer: Skb) -> bool:
    """Send the answer back by the port that the packet came in by; return whether it is known how."""
    net, skb = packet.net, packet.skb
    port = net.devices.get(packet.physin)
    if port is None or skb.bridged is None or not skb.bridged.dst_mac:
        return False
    header = ethernet.header(skb.src_mac, skb.bridged.dst_mac, ethernet.IPV4)
    netdev.transmit(net, port, Frame(header + answer.packet, answer.packet_id, answer.trail))
    return True
