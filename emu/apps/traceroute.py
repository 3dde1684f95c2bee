# SPDX-License-Identifier: GPL-2.0-only
"""traceroute: UDP datagrams with a growing TTL, and who complains about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import HeaderError
from emu.fabric import program
from emu.kernel.sockets import SocketKind
from emu.sim.time import MILLISECOND, Duration, Instant, later
from emu.wire import icmp
from emu.wire.addresses import ANY_IP4
from emu.wire.icmp import Icmp
from emu.wire.ipv4 import Ipv4
from emu.wire.udp import Udp

if TYPE_CHECKING:
    from emu.fabric.program import Program
    from emu.kernel.sockets import Datagram, Socket
    from emu.wire.addresses import IpAddress

FIRST_PORT: Final = 33434


@attrs.frozen
class Hop:
    """Who complained about a datagram: its address, and the ICMP type and code it sent."""

    address: IpAddress
    type: int
    code: int
    time: Duration

    @property
    def is_end(self) -> bool:
        """Whether the destination, or somebody who knows no way to it, has answered."""
        return self.type == icmp.UNREACHABLE


def traceroute(
    dst: IpAddress,
    *,
    max_ttl: int = 4,
    base_port: int = FIRST_PORT,
    src_port: int = 44000,
    timeout: Duration = 800 * MILLISECOND,
) -> Program[list[Hop | None]]:
    """Return who answered for each TTL from 1 on, None where nobody did in time.

    Args:
        dst: where to.
        max_ttl: the last TTL tried.
        base_port: UDP port of the first datagram; each next one is one more.
        src_port: UDP source port; 0 for any.
        timeout: for each hop, ns.

    Raises:
        OSError: a datagram could not be sent.
    """
    listener = yield from program.socket(SocketKind.ICMP)
    sender = yield from program.socket(SocketKind.UDP)
    hops: list[Hop | None] = []
    failure: OSError | None = None
    try:
        yield from program.bind(sender, ANY_IP4, src_port)
        for ttl in range(1, max_ttl + 1):
            port = base_port + ttl - 1
            yield from program.configure(sender, ttl=ttl)
            start = yield from program.now()
            yield from program.send_to(sender, f"trace {ttl:02d}".encode(), dst, port)
            hop = yield from _complaint(listener, port, start, timeout)
            hops.append(hop)
            if hop is not None and hop.is_end:
                break
    except OSError as error:
        failure = error
    yield from program.close(listener)
    yield from program.close(sender)
    if failure is not None:
        raise failure
    return hops


def _complaint(socket: Socket, port: int, start: Instant, timeout: Duration) -> Program[Hop | None]:
    end = later(start, timeout)
    while True:
        now = yield from program.now()
        if now >= end:
            return None
        try:
            datagram = yield from program.receive_from(socket, timeout=end - now)
        except TimeoutError:
            return None
        found = _match(datagram, port)
        if found is not None:
            now = yield from program.now()
            return attrs.evolve(found, time=now - start)


def _match(datagram: Datagram, port: int) -> Hop | None:
    message = datagram.data[Ipv4.parse(datagram.data).header_length :]
    try:
        header = Icmp.parse(message)
        if header.type in (icmp.UNREACHABLE, icmp.TIME_EXCEEDED):
            quoted = message[icmp.HEADER_LENGTH :]
            if Udp.parse(quoted[Ipv4.parse(quoted).header_length :]).dport == port:
                return Hop(datagram.address, header.type, header.code, 0)
    except HeaderError:
        pass  # a raw socket sees every ICMP message of the host, malformed ones too
    return None
