# SPDX-License-Identifier: GPL-2.0-only
"""What is done to a router in a case: frames from the ends, answers, packets of its own.

Answers and errors are made of what came out before, so they carry the ports and
addresses that NAT chose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import attrs

from emu.wire import icmp, ipv4, tcp, udp
from emu.wire.ipv4 import Ipv4
from tests.kernel.verdicts.topology import MACS, gateway_mac

if TYPE_CHECKING:
    from collections.abc import Sequence

_IPV4: Final = b"\x08\x00"
_ISN: Final = 7000
_FRESH_TTL: Final = 60


class Seen(NamedTuple):
    """A frame that came out at an end."""

    end: str
    octets: bytes


@attrs.frozen
class Send:
    """A frame is sent from an end."""

    end: str
    octets: bytes


@attrs.frozen
class Answer:
    """The first frame that came out in step `to` is answered, from where it came out.

    `flags` are those of TCP, where they shall not be what one would expect.
    """

    to: int
    identification: int
    flags: int | None = None


@attrs.frozen
class Complaint:
    """An ICMP error about the first frame that came out in step `to`.

    `src` is who complains, empty for the one whom the packet was for; `length`
    is how many octets behind the IP header are quoted.
    """

    to: int
    identification: int
    type: int
    code: int
    src: bytes = b""
    length: int = 8


@attrs.frozen
class Local:
    """A packet that a program of the router makes itself (IP_HDRINCL)."""

    packet: bytes


@attrs.frozen
class Pause:
    """Time passes."""

    seconds: float


Step: TypeAlias = Send | Answer | Complaint | Local | Pause


def frame_of(step: Answer | Complaint, seen: Sequence[Seen]) -> Send | None:
    """Return what is sent in a step, given what came out in the one it is about; None if there is nothing."""
    if not seen:
        return None
    end, octets = seen[0]
    if len(octets) < 34 or octets[12:14] != _IPV4:
        return None
    packet = octets[14:]
    reply = _answer(packet, step) if isinstance(step, Answer) else _complaint(packet, step)
    if reply is None:
        return None
    # back to whoever sent the frame: a bridged one has the other host's address
    return Send(end, octets[6:12] + octets[:6] + _IPV4 + reply)


def from_end(end: str, packet: bytes, *, to: bytes = b"") -> Send:
    """Return the step that sends a packet from `end`, to the router if not to another MAC address."""
    return Send(end, (to or bytes(gateway_mac(end))) + bytes(MACS[end]) + _IPV4 + packet)


def _answer(packet: bytes, step: Answer) -> bytes | None:
    header = Ipv4.parse(packet)
    payload = packet[header.header_length :]
    src, dst = header.dst, header.src
    match header.protocol:
        case ipv4.ICMP:
            body = _icmp_answer(payload)
        case ipv4.UDP if len(payload) >= 8:
            sport, dport = _ports(payload)
            body = udp.build(src, dst, dport, sport, b"answer")
        case ipv4.TCP if len(payload) >= 20:
            body = _tcp_answer(payload, src, dst, step.flags)
        case _ if len(payload) >= 4:
            body = payload[2:4] + payload[:2] + payload[4:]
        case _:
            body = payload
    if body is None:
        return None
    return ipv4.build(header.protocol, src, dst, body, ttl=_FRESH_TTL, identification=step.identification)


def _ports(payload: bytes) -> tuple[int, int]:
    return int.from_bytes(payload[:2], "big"), int.from_bytes(payload[2:4], "big")


def _icmp_answer(payload: bytes) -> bytes | None:
    replies = {icmp.ECHO: icmp.ECHO_REPLY, icmp.TIMESTAMP: icmp.TIMESTAMP_REPLY}
    if len(payload) < 8 or payload[0] not in replies:
        return None
    words = int.from_bytes(payload[4:6], "big"), int.from_bytes(payload[6:8], "big")
    return icmp.build(replies[payload[0]], 0, payload[8:], word1=words[0], word2=words[1])


def _tcp_answer(payload: bytes, src: bytes, dst: bytes, flags: int | None) -> bytes:
    header = tcp.Tcp.parse(payload)
    has = header.flags
    length = max(0, len(payload) - header.header_length) + bool(has & tcp.SYN) + bool(has & tcp.FIN)
    usual = tcp.ACK
    if has & tcp.SYN and not has & tcp.ACK:
        usual |= tcp.SYN
    elif has & tcp.FIN:
        usual |= tcp.FIN
    seq = header.ack if has & tcp.ACK else _ISN
    ack = (header.seq + length) & 0xFFFFFFFF
    return tcp.build(
        src,
        dst,
        header.dport,
        header.sport,
        seq=seq,
        ack=ack,
        flags=usual if flags is None else flags,
        window=8192,
    )


def _complaint(packet: bytes, step: Complaint) -> bytes | None:
    header = Ipv4.parse(packet)
    quote = packet[: header.header_length + step.length]
    message = icmp.build(step.type, step.code, quote)
    src = step.src or header.dst
    return ipv4.build(ipv4.ICMP, src, header.src, message, ttl=_FRESH_TTL, identification=step.identification)
