# SPDX-License-Identifier: GPL-2.0-only
"""ping: ICMP echo from a raw socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.apps.options import KERNELS, IpOptions
from emu.apps.outcome import TIMEOUT, word
from emu.errors import HeaderError
from emu.fabric import program
from emu.kernel.sockets import SocketKind
from emu.sim.time import MILLISECOND, SECOND, Duration, Instant, later
from emu.wire import icmp
from emu.wire.icmp import Icmp
from emu.wire.ipv4 import ICMP, Ipv4

if TYPE_CHECKING:
    from emu.fabric.program import Program
    from emu.kernel.sockets import Datagram, Socket
    from emu.wire.addresses import IpAddress

_COMPLAINTS: Final = frozenset((icmp.UNREACHABLE, icmp.TIME_EXCEEDED, icmp.PARAMETER_PROBLEM))


@attrs.frozen
class Echo:
    """What one echo request led to.

    `outcome` is `reply`, `timeout`, `icmp TYPE/CODE` of an error that quotes
    the request, or the errno of a sending that failed; `sender` who answered,
    `ttl` that of a reply as it arrived, `time` how long it took in ns.
    """

    outcome: str
    sender: IpAddress | None = None
    ttl: int | None = None
    time: Duration = 0


def counting(size: int) -> bytes:
    """Return the usual payload: `size` octets counting up from 0x10."""
    return bytes((0x10 + at) & 0xFF for at in range(size))


def ping(
    dst: IpAddress,
    *,
    src: IpAddress | None = None,
    identifier: int = 0x1234,
    first: int = 1,
    size: int = 56,
    count: int = 1,
    interval: Duration = 200 * MILLISECOND,
    timeout: Duration = SECOND,
    options: IpOptions = KERNELS,
) -> Program[list[Echo]]:
    """Send `count` echo requests, each when the one before has its outcome and `interval` has passed.

    Args:
        dst: whom to ask.
        src: the address to bind to; None for the kernel's choice.
        identifier: of all requests.
        first: sequence number of the first.
        size: octets of payload.
        count: how many.
        interval: pause between an outcome and the next request, ns.
        timeout: for each answer, ns.
        options: TTL, TOS and DF.
    """
    socket = yield from program.socket(SocketKind.ICMP)
    outcomes: list[Echo] = []
    try:
        yield from options.apply(socket)
        if src is not None:
            yield from program.bind(socket, src)
        for sequence in range(first, first + count):
            if outcomes:
                yield from program.sleep(interval)
            message = icmp.build(icmp.ECHO, 0, counting(size), word1=identifier, word2=sequence & 0xFFFF)
            start = yield from program.now()
            try:
                yield from program.send_to(socket, message, dst)
                outcomes.append((yield from _answer(socket, identifier, sequence & 0xFFFF, start, timeout)))
            except OSError as error:
                outcomes.append(Echo(word(error)))
    except OSError as error:
        outcomes.append(Echo(word(error)))
    yield from program.close(socket)
    return outcomes


def ping_regularly(
    dst: IpAddress,
    *,
    src: IpAddress | None = None,
    identifier: int = 0x1234,
    size: int = 56,
    count: int = 1,
    interval: Duration = SECOND,
    timeout: Duration = 10 * SECOND,
    options: IpOptions = KERNELS,
) -> Program[list[Echo]]:
    """Send `count` echo requests, `interval` after each other whatever is answered, as iputils does.

    Replies count however late they come, until `timeout` after the last request.

    Args:
        dst: whom to ask.
        src: the address to bind to; None for the kernel's choice.
        identifier: of all requests; sequence numbers begin with 1.
        size: octets of payload.
        count: how many.
        interval: from one request to the next, ns.
        timeout: how long answers are waited for after the last request, ns.
        options: TTL, TOS and DF.
    """
    socket = yield from program.socket(SocketKind.ICMP)
    outcomes: dict[int, Echo] = {}
    sent: dict[int, Instant] = {}
    try:
        yield from options.apply(socket)
        if src is not None:
            yield from program.bind(socket, src)
    except OSError as error:
        yield from program.close(socket)
        return [Echo(word(error))]
    start = yield from program.now()
    for number in range(count):
        message = icmp.build(icmp.ECHO, 0, counting(size), word1=identifier, word2=(number + 1) & 0xFFFF)
        sent[number] = yield from program.now()
        try:
            yield from program.send_to(socket, message, dst)
        except OSError as error:
            outcomes[number] = Echo(word(error))
        is_last = number == count - 1
        end = later(sent[number], timeout) if is_last else later(start, (number + 1) * interval)
        yield from _collect(socket, identifier, sent, outcomes, end, is_last=is_last)
    yield from program.close(socket)
    return [outcomes.get(number, Echo(TIMEOUT)) for number in range(count)]


def _collect(
    socket: Socket,
    identifier: int,
    sent: dict[int, Instant],
    outcomes: dict[int, Echo],
    end: Instant,
    *,
    is_last: bool,
) -> Program[None]:
    """Take answers until `end`; after the last request no longer than any is missing."""
    while True:
        now = yield from program.now()
        if now >= end or (is_last and len(outcomes) == len(sent)):
            return
        try:
            datagram = yield from program.receive_from(socket, timeout=end - now)
        except TimeoutError:
            return
        except OSError:
            continue  # an error that the kernel has kept for the socket
        now = yield from program.now()
        for number in reversed(sent):
            found = _match(datagram, identifier, (number + 1) & 0xFFFF)
            if found is not None:
                if number not in outcomes:
                    outcomes[number] = attrs.evolve(found, time=now - sent[number])
                break


def _answer(
    socket: Socket, identifier: int, sequence: int, start: Instant, timeout: Duration
) -> Program[Echo]:
    """Wait for the reply to, or an error about, one request."""
    end = later(start, timeout)
    while True:
        now = yield from program.now()
        if now >= end:
            return Echo(TIMEOUT)
        datagram = yield from program.receive_from(socket, timeout=end - now)
        found = _match(datagram, identifier, sequence)
        if found is not None:
            now = yield from program.now()
            return attrs.evolve(found, time=now - start)


def _match(datagram: Datagram, identifier: int, sequence: int) -> Echo | None:
    packet = Ipv4.parse(datagram.data)
    message = datagram.data[packet.header_length :]
    try:
        header = Icmp.parse(message)
        if header.type == icmp.ECHO_REPLY and (header.word1, header.word2) == (identifier, sequence):
            return Echo("reply", datagram.address, packet.ttl)
        if header.type in _COMPLAINTS:
            quoted = Ipv4.parse(message[icmp.HEADER_LENGTH :])
            inner = Icmp.parse(message[icmp.HEADER_LENGTH + quoted.header_length :])
            if quoted.protocol == ICMP and (inner.word1, inner.word2) == (identifier, sequence):
                return Echo(f"icmp {header.type}/{header.code}", datagram.address)
    except HeaderError:
        pass  # a raw socket sees every ICMP message of the host, malformed ones too
    return None
