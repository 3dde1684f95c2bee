# SPDX-License-Identifier: GPL-2.0-only
"""The plugin `forward`: questions go to somebody else.

Each question has a socket of its own; CoreDNS keeps some open for ten seconds
and uses them again.

Source: coredns plugin/forward/forward.go, plugin/pkg/proxy/{connect,health,proxy}.go.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import attrs
import dns.exception
import dns.flags
import dns.message
import dns.rdatatype

from emu.errors import AddressError
from emu.fabric import program
from emu.kernel.sockets import SocketKind
from emu.kube.api.numbers import whole
from emu.kube.dns.settings import is_below
from emu.sim.choice import Uniform
from emu.sim.time import MILLISECOND, SECOND, later
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.fabric.program import Program
    from emu.kernel.namespace import Namespace
    from emu.kernel.sockets import Socket
    from emu.kube.dns.settings import Forward

_READ: Final = 2 * SECOND
_TOTAL: Final = 5 * SECOND
_CHECK: Final = SECOND
_PAUSE: Final = 10 * MILLISECOND  # behind a refusal that came at once, so that tries cannot go on for ever
_PORT: Final = 53


@attrs.define(eq=False)
class Upstream:
    """A server to forward to, and how often in a row it did not answer a check."""

    address: IpAddress
    port: int
    fails: int = 0
    is_checked: bool = False

    def __str__(self) -> str:
        return str(self.address) if self.port == _PORT else f"{self.address}:{self.port}"


def upstreams(settings: Forward, files: Mapping[str, str]) -> list[Upstream]:
    """Return whom to forward to: addresses as they are, files by their nameservers."""
    found: list[Upstream] = []
    for each in settings.to:
        if each.startswith("/"):
            words = [line.split() for line in files.get(each, "").splitlines()]
            servers = [(line[1], _PORT) for line in words if line[:1] == ["nameserver"] and len(line) > 1]
        else:
            host, colon, port = each.rpartition(":")
            is_bare = not colon or (":" in host and not host.endswith("]"))
            servers = [(each, _PORT) if is_bare else (host.strip("[]"), whole(port) or 0)]
        for text, port_number in servers:
            try:
                found.append(Upstream(IpAddress.parse(text), port_number))
            except AddressError:
                continue
    return found


class Forwarder:
    """Forwards what one line of a Corefile says.

    Args:
        settings: the line.
        servers: whom to ask.
        net: where the questions start; it decides what is left to chance.
    """

    def __init__(self, settings: Forward, servers: list[Upstream], net: Namespace) -> None:
        self._settings = settings
        self._servers = servers
        self._net = net
        self._turn = 0

    def takes(self, name: str) -> bool:
        """Whether questions for `name` are forwarded."""
        return is_below(name, self._settings.zone) and not any(
            is_below(name, each) for each in self._settings.except_
        )

    def ask(self, query: dns.message.Message, transport: str) -> Program[dns.message.Message | None]:
        """Return what a server replies, None if none does in time."""
        now = yield from program.now()
        end = later(now, _TOTAL)
        order = self._order()
        by = "tcp" if self._settings.force_tcp else transport
        place = down = 0
        while now < end and order:
            if place >= len(order):
                place = down = 0
            server = order[place]
            place += 1
            if 0 < self._settings.max_fails <= server.fails:
                down += 1
                if down < len(order):
                    continue
                server = self._order()[0]
            began = now
            try:
                return (yield from exchange(server, query, by, self._net))
            except OSError:
                if self._settings.max_fails and not server.is_checked:
                    server.is_checked = True
                    yield from program.spawn(self._check(server))
            if down >= len(order):
                break
            now = yield from program.now()
            if now == began:
                yield from program.sleep(_PAUSE)
                now = yield from program.now()
        return None

    def _order(self) -> list[Upstream]:
        """Return the servers in the order in which they are tried; the first is a choice."""
        servers = self._servers
        if len(servers) < 2 or self._settings.policy == "sequential":
            return list(servers)
        if self._settings.policy == "round_robin":
            self._turn = (self._turn + 1) % len(servers)
            return servers[self._turn :] + servers[: self._turn]
        first = self._net.choice.pick("upstream of forward", Uniform(len(servers)), [str(s) for s in servers])
        rest = servers[:first] + servers[first + 1 :]
        self._net.random.shuffle(rest)
        return [servers[first], *rest]

    def _check(self, server: Upstream) -> Program[None]:
        """Ask a server that failed again and again, until it replies."""
        probe = dns.message.make_query(".", dns.rdatatype.NS)
        while True:
            try:
                yield from exchange(server, probe, "udp", self._net, _CHECK)
            except OSError:
                server.fails += 1
                yield from program.sleep(self._settings.health_check)
            else:
                server.fails, server.is_checked = 0, False
                return


def exchange(
    server: Upstream, query: dns.message.Message, transport: str, net: Namespace, timeout: int = _READ
) -> Program[dns.message.Message]:
    """Ask one server and return its reply, which has the number of `query`.

    Raises:
        OSError: it cannot be reached, or does not reply in `timeout` ns.
    """
    number = net.random.getrandbits(16)
    octets = struct.pack("!H", number) + query.to_wire()[2:]
    is_udp = transport == "udp"
    socket = yield from program.socket(SocketKind.UDP if is_udp else SocketKind.TCP)
    try:
        yield from program.connect(socket, server.address, server.port, timeout=timeout)
        yield from program.send(socket, octets if is_udp else struct.pack("!H", len(octets)) + octets)
        reply = yield from _await(socket, number, is_udp=is_udp, timeout=timeout)
    except OSError:
        yield from program.close(socket)
        raise
    yield from program.close(socket)
    reply.id = query.id
    return reply


def _await(socket: Socket, number: int, *, is_udp: bool, timeout: int) -> Program[dns.message.Message]:
    """Return the reply to a question, passing over what is none."""
    now = yield from program.now()
    end = later(now, timeout)
    while now < end:
        received = yield from _receive(socket, is_udp=is_udp, timeout=end - now)
        reply = _read(received, number)
        if reply is not None:
            return reply
        now = yield from program.now()
    raise TimeoutError


def _receive(socket: Socket, *, is_udp: bool, timeout: int) -> Program[bytes]:
    if is_udp:
        return (yield from program.receive(socket, timeout=timeout))
    received = b""
    while len(received) < 2 or len(received) < 2 + int.from_bytes(received[:2]):
        piece = yield from program.receive(socket, timeout=timeout)
        if not piece:
            raise ConnectionResetError
        received += piece
    return received[2:]


def _read(octets: bytes, number: int) -> dns.message.Message | None:
    if len(octets) < 12 or int.from_bytes(octets[:2]) != number or not octets[2] & 0x80:
        return None
    try:
        return dns.message.from_wire(octets, ignore_trailing=True, raise_on_truncation=False)
    except dns.exception.DNSException:
        return None
