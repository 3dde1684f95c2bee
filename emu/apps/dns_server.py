# SPDX-License-Identifier: GPL-2.0-only
"""A DNS server on UDP and TCP: what to answer is somebody else's affair.

Source: RFC 1035 §4.2 (messages on UDP and TCP), RFC 7766 §6 (connections), RFC 6891 §6.2 (sizes).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs
import dns.exception
import dns.flags
import dns.message
import dns.rcode

from emu.fabric import program
from emu.kernel.sockets import SocketKind
from emu.sim.time import SECOND
from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    from emu.fabric.program import Program
    from emu.kernel.sockets import Datagram, Socket
    from emu.wire.addresses import IpAddress

Transport: TypeAlias = Literal["udp", "tcp"]

Answer: TypeAlias = "Callable[[dns.message.Message, IpAddress, Transport], Reply | Program[Reply]]"
"""Takes a query, who sent it, and by what; gives the reply at once, or by a program."""

Reply: TypeAlias = "dns.message.Message | None"
"""None: say nothing."""

PORT: Final = 53
PLAIN_SIZE: Final = 512
"""Octets that a client without EDNS takes by UDP."""
HEADER_LENGTH: Final = 12
_MOST_SIZE: Final = 65535
_MOST_WAITING: Final = 1000  # replies that programs are making; what comes beyond is not heard
_IDLE: Final = 10 * SECOND  # how long a TCP connection may say nothing


def serve(answer: Answer, *, address: IpAddress = ANY_IP4, port: int = PORT) -> Program[None]:
    """Answer queries for ever, by UDP and by TCP.

    A reply comes from the address that was asked, whatever others the machine has.
    A reply that is too long for the client's UDP is cut and marked (TC);
    what is no query gets FORMERR, what is not even a header nothing.

    Args:
        answer: makes the replies.
        address: to bind to.
        port: to listen on.

    Raises:
        OSError: EADDRINUSE, EADDRNOTAVAIL.
    """
    datagrams = yield from program.socket(SocketKind.UDP)
    try:
        yield from program.bind(datagrams, address, port)
        listener = yield from program.listening(port, address)
    except OSError:
        yield from program.close(datagrams)
        raise
    yield from program.spawn(_accept(listener, answer))
    waiting = _Waiting()
    while True:
        try:
            datagram = yield from program.receive_from(datagrams, repeats=True)
            yield from _hear(datagrams, datagram, answer, waiting)
        except OSError:
            continue  # what ICMP complains of concerns one client


@attrs.define
class _Waiting:
    """How many replies are being made."""

    count: int = 0


def _hear(socket: Socket, datagram: Datagram, answer: Answer, waiting: _Waiting) -> Program[None]:
    """Answer one datagram, beside the others if that takes time."""
    query = read(datagram.data)
    if isinstance(query, bytes):
        yield from _send_to(socket, query, datagram)
        return
    reply = answer(query, datagram.address, "udp")
    if not isinstance(reply, Generator):
        yield from _send_to(socket, encode(reply, udp_size(query)), datagram)
    elif waiting.count < _MOST_WAITING:
        waiting.count += 1
        yield from program.spawn(_send_later(socket, query, reply, datagram, waiting))


def _send_later(
    socket: Socket, query: dns.message.Message, reply: Program[Reply], to: Datagram, waiting: _Waiting
) -> Program[None]:
    try:
        made = yield from reply
        yield from _send_to(socket, encode(made, udp_size(query)), to)
    except OSError:
        pass  # nobody can be told
    waiting.count -= 1


def _send_to(socket: Socket, octets: bytes, to: Datagram) -> Program[None]:
    if octets:
        yield from program.send_to(socket, octets, to.address, to.port, src=to.local)


def _accept(listener: Socket, answer: Answer) -> Program[None]:
    while True:
        connection = yield from program.accept(listener, repeats=True)
        yield from program.spawn(_converse(connection, answer))


def _converse(socket: Socket, answer: Answer) -> Program[None]:
    """Answer the queries of one TCP connection, in their order."""
    received = b""
    try:
        while piece := (yield from program.receive(socket, timeout=_IDLE)):
            received += piece
            while len(received) >= 2 and len(received) >= (end := 2 + int.from_bytes(received[:2])):
                octets, received = received[2:end], received[end:]
                yield from _send_framed(socket, (yield from _answer_framed(octets, socket.remote, answer)))
    except OSError:
        pass  # the client is gone
    yield from program.close(socket)


def _answer_framed(octets: bytes, client: IpAddress, answer: Answer) -> Program[bytes]:
    query = read(octets)
    if isinstance(query, bytes):
        return query
    reply = answer(query, client, "tcp")
    if isinstance(reply, Generator):
        reply = yield from reply
    return encode(reply, _MOST_SIZE)


def _send_framed(socket: Socket, octets: bytes) -> Program[None]:
    if octets:
        yield from program.send(socket, struct.pack("!H", len(octets)) + octets, timeout=_IDLE)


def read(octets: bytes) -> dns.message.Message | bytes:
    """Return the query that `octets` are, or what to send to who sent something else."""
    if len(octets) < HEADER_LENGTH or octets[2] & 0x80:
        return b""  # answering an answer could go on for ever
    try:
        query = dns.message.from_wire(octets)
    except dns.exception.DNSException:
        flags = 0x8000 | (octets[2] << 8 & 0x7900) | dns.rcode.FORMERR
        return octets[:2] + struct.pack("!HHHHH", flags, 0, 0, 0, 0)
    if query.question:
        return query
    refusal = dns.message.make_response(query)
    refusal.set_rcode(dns.rcode.FORMERR)
    return encode(refusal, PLAIN_SIZE)


def udp_size(query: dns.message.Message) -> int:
    """Return how long a reply by UDP the asker of `query` takes, octets."""
    return PLAIN_SIZE if query.edns < 0 else max(PLAIN_SIZE, query.payload)


def encode(reply: Reply, size: int) -> bytes:
    """Return a reply's octets, cut and marked if there are more than `size`; nothing for None.

    Records stand in the order they have in `reply`: which comes first is for whoever made it to say.
    """
    if reply is None:
        return b""
    return reply.to_wire(max_size=min(size, _MOST_SIZE), prefer_truncation=True, want_shuffle=False)
