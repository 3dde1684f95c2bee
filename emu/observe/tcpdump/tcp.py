# SPDX-License-Identifier: GPL-2.0-only
"""TCP, as tcpdump prints it: sequence numbers relative once a conversation is known.

A known difference: options that Linux does not send by default (MD5, fast open,
MPTCP, ...) are printed as unknown ones.

Source: RFC 9293, RFC 7323, RFC 2018.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.observe.tcpdump import dns, http
from emu.wire import tcp

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from emu.observe.tcpdump.part import Part

_MODULUS: Final = 1 << 32
_FLAGS: Final = (
    (tcp.FIN, "F"),
    (tcp.SYN, "S"),
    (tcp.RST, "R"),
    (tcp.PSH, "P"),
    (tcp.ACK, "."),
    (tcp.URG, "U"),
    (tcp.ECE, "E"),
    (tcp.CWR, "W"),
)


class _Origin(NamedTuple):
    """What the numbers of one direction count from: its own, and those it acknowledges."""

    seq: int
    ack: int


class Conversations:
    """The TCP connections seen so far.

    As in tcpdump, nothing but addresses and ports identifies one: capture
    points that see the same ones share it, and it stays until a segment with
    SYN and ACK begins it anew.
    """

    def __init__(self) -> None:
        self._origins: dict[tuple[bytes, bytes, int, int], _Origin] = {}

    def relative(self, src: bytes, dst: bytes, header: tcp.Tcp) -> tuple[int, int, int]:
        """Return sequence and acknowledgement number to print, and what SACK edges count from.

        The segment that begins a conversation keeps its numbers.

        Args:
            src: source address of the segment, 4 or 16 octets.
            dst: destination address.
            header: its TCP header, with ACK among the flags.
        """
        key = (src, dst, header.sport, header.dport)
        origin = self._origins.get(key)
        if origin is None or header.flags & tcp.SYN:
            seq, ack = header.seq, (header.ack - 1) % _MODULUS
            self._origins[key] = _Origin(seq, ack)
            if src != dst or header.sport != header.dport:
                self._origins[dst, src, header.dport, header.sport] = _Origin(ack, seq)
            return header.seq, header.ack, ack
        return (header.seq - origin.seq) % _MODULUS, (header.ack - origin.ack) % _MODULUS, origin.ack


def words(part: Part, src: bytes, dst: bytes, conversations: Conversations) -> Iterator[str]:
    """Yield what a segment says behind its ports, payload included."""
    header = tcp.Tcp.parse(part.take(0, tcp.MIN_HEADER))
    header_length, flags = header.header_length, header.flags
    payload_length = part.length - header_length
    if header_length < tcp.MIN_HEADER:
        yield f" tcp {payload_length} [bad hdr length {header_length} - too short, < {tcp.MIN_HEADER}]"
        return
    yield f"Flags [{''.join(letter for bit, letter in _FLAGS if flags & bit) or 'none'}]"
    seq, ack, sack_origin = header.seq, header.ack, 0
    if flags & tcp.ACK:
        seq, ack, sack_origin = conversations.relative(src, dst, header)
    if payload_length < 0:
        yield f" [bad hdr length {header_length} - too long, > {part.length}]"
        return
    if payload_length:
        yield f", seq {seq}:{(seq + payload_length) % _MODULUS}"
    elif flags & (tcp.SYN | tcp.FIN | tcp.RST):
        yield f", seq {seq}"
    if flags & tcp.ACK:
        yield f", ack {ack}"
    yield f", win {header.window}"
    if flags & tcp.URG:
        yield f", urg {header.urgent}"
    if header_length > tcp.MIN_HEADER:
        yield ", options ["
        if not (yield from _options(part.within(header_length), sack_origin)):
            return
        yield "]"
    yield f", length {payload_length}"
    if payload_length:
        yield from _payload(part.after(header_length, ""), {header.sport, header.dport})


def _payload(part: Part, ports: set[int]) -> Iterator[str]:
    if dns.PORT in ports:
        yield from dns.words_over_tcp(part._replace(protocol="domain"))
    elif not http.PORTS.isdisjoint(ports):
        yield ": "
        yield from http.words(part._replace(protocol="http"))


_END, _NOP, _MSS, _WINDOW_SCALE, _SACK_PERMITTED, _SACK, _TIMESTAMPS = 0, 1, 2, 3, 4, 5, 8
_NAMES: Final = {
    _MSS: "mss",
    _WINDOW_SCALE: "wscale",
    _SACK_PERMITTED: "sackOK",
    _SACK: "sack",
    _TIMESTAMPS: "TS",
}
_SIZES: Final = {_MSS: 2, _WINDOW_SCALE: 1, _SACK_PERMITTED: 0, _TIMESTAMPS: 8}


def _options(part: Part, sack_origin: int) -> Generator[str, None, bool]:
    """Yield the options at the end of a header; return whether they are well formed."""
    at = tcp.MIN_HEADER
    while at < part.length:
        if at > tcp.MIN_HEADER:
            yield ","
        kind = part.number(at, 1)
        if kind in (_END, _NOP):
            yield "nop" if kind == _NOP else "eol"
            if kind == _END:
                return True
            at += 1
            continue
        length = part.number(at + 1, 1)
        left = part.length - at
        size = _SIZES.get(kind, length - 2)
        well_formed = 2 <= length <= left
        if well_formed:
            yield _NAMES.get(kind, f"unknown-{kind}")
            well_formed = 2 + size <= left
        if not well_formed:
            yield "[bad opt]" if at == tcp.MIN_HEADER else "[bad opt]]"
            return False
        yield _option_value(kind, part.take(at + 2, size), sack_origin)
        if 2 + size != length:
            yield f"[len {length}]"
        at += 2 + size
    return True


def _option_value(kind: int, value: bytes, sack_origin: int) -> str:
    if kind in (_MSS, _WINDOW_SCALE):
        return f" {int.from_bytes(value, 'big')}"
    if kind == _TIMESTAMPS:
        return f" val {int.from_bytes(value[:4], 'big')} ecr {int.from_bytes(value[4:], 'big')}"
    if kind == _SACK:
        if len(value) % 8:
            return " invalid sack"
        edges = [(edge - sack_origin) % _MODULUS for (edge,) in struct.iter_unpack("!I", value)]
        blocks = "".join(f"{{{left}:{right}}}" for left, right in zip(edges[::2], edges[1::2], strict=True))
        return f" {len(edges) // 2} {blocks}"
    return f" 0x{value.hex()}" if value else ""
