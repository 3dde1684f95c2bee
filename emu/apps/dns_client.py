# SPDX-License-Identifier: GPL-2.0-only
"""Asking name servers as BIND's tools do: one question at a time, several tries."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

import attrs
import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from emu.apps.resolver.exchange import Conversation, deadline, left
from emu.apps.resolver.lookup import Unresolved, look_up
from emu.errors import CommandError
from emu.fabric import program
from emu.kernel.sockets import SocketKind
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.apps.resolver.configuration import Configuration
    from emu.fabric.program import Program
    from emu.fabric.userland import Userland
    from emu.kernel.sockets import Socket
    from emu.sim.time import Duration, Instant
    from emu.wire.addresses import IpAddress

PAYLOAD: Final = 1232
_WORDS: Final = {errno.ECONNREFUSED: "connection refused", errno.ETIMEDOUT: "timed out"}


@attrs.frozen
class Manner:
    """How to ask.

    Attributes:
        port: of the servers.
        tcp: not by UDP.
        timeout: for each try, ns.
        tries: for each server.
        recurse: set RD.
        authentic: set AD.
        edns: send EDNS.
        cookie: and a cookie in it.
        ignore: take a truncated answer as it is.
    """

    port: int = 53
    tcp: bool = False
    timeout: Duration = 5 * SECOND
    tries: int = 3
    recurse: bool = True
    authentic: bool = True
    edns: bool = True
    cookie: bool = True
    ignore: bool = False


DIGS: Final = Manner()
"""As dig asks."""
PLAIN: Final = Manner(authentic=False, edns=False, cookie=False)
"""As host and nslookup ask."""


@attrs.frozen
class Answered:
    """What asking came to.

    Attributes:
        query: the question.
        message: the reply, None if nobody answered.
        server: who did.
        transport: `UDP` or `TCP`.
        octets: length of the reply.
        time: from the question to the reply, ns.
        complaints: about the tries before.
    """

    query: dns.message.Message
    message: dns.message.Message | None = None
    server: IpAddress | None = None
    transport: str = "UDP"
    octets: int = 0
    time: Duration = 0
    complaints: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """What the server said: `NOERROR`, `NXDOMAIN`, ...; nothing if no one did."""
        return "" if self.message is None else dns.rcode.to_text(self.message.rcode())


def absolute(tool: str, text: str) -> dns.name.Name:
    """Return the name that a text is, as seen from the root.

    Raises:
        CommandError: it is none; status 10.
    """
    try:
        return dns.name.from_text(text)
    except (dns.exception.DNSException, UnicodeError):
        raise CommandError(f"{tool}: '{text}' is not a legal name", 10) from None


def record_type(text: str) -> dns.rdatatype.RdataType | None:
    """Return the type of record that a text names, None if it names none."""
    try:
        return dns.rdatatype.from_text(text)
    except (dns.exception.DNSException, ValueError):
        return None


def servers_of(
    tool: str, server: str, settings: Configuration, userland: Userland, status: int
) -> Program[tuple[IpAddress, ...]]:
    """Return whom to ask: the server that was named, or those of resolv.conf where none was.

    Raises:
        CommandError: nobody knows the name; with `status`.
    """
    if not server:
        return settings.servers
    found = yield from look_up(server, userland)
    if isinstance(found, Unresolved):
        raise CommandError(f"{tool}: couldn't get address for '{server}': not found", status)
    return found.ipv4 or found.addresses


def candidates(text: str, settings: Configuration) -> list[str]:
    """Return what the search list makes of a name, in the order to ask in."""
    if text.endswith("."):
        return [text]
    below = [f"{text}.{domain}." for domain in settings.search if domain]
    if text.count(".") >= settings.ndots:
        return [f"{text}.", *below]
    return [*below, f"{text}."]


def search(
    names: Sequence[dns.name.Name],
    kind: dns.rdatatype.RdataType,
    servers: Sequence[IpAddress],
    manner: Manner,
) -> Program[Answered]:
    """Ask for one name after the other, until one exists or nobody answers."""
    complaints: tuple[str, ...] = ()
    last: Answered | None = None
    for name in names:
        last = yield from ask(name, kind, servers, manner)
        complaints += last.complaints
        if last.message is None or last.code == "NOERROR":
            break
    assert last is not None, "there is a name to ask for"
    return attrs.evolve(last, complaints=complaints)


def ask(
    name: dns.name.Name, kind: dns.rdatatype.RdataType, servers: Sequence[IpAddress], manner: Manner
) -> Program[Answered]:
    """Ask the servers in turn, several times, until one answers; after truncation by TCP."""
    number = yield from program.call(lambda net: net.random.getrandbits(16))
    options: list[dns.edns.Option] = []
    if manner.cookie and manner.edns:
        secret = yield from program.call(lambda net: net.random.randbytes(8))
        options.append(dns.edns.GenericOption(dns.edns.OptionType.COOKIE, secret))
    flags = (dns.flags.AD if manner.authentic else 0) | (dns.flags.RD if manner.recurse else 0)
    query = dns.message.make_query(
        name,
        kind,
        id=number,
        flags=flags,
        use_edns=0 if manner.edns else -1,
        payload=PAYLOAD,
        options=options or None,
    )
    complaints: list[str] = []
    for _ in range(manner.tries):
        for server in servers:
            begun = yield from program.now()
            try:
                octets, transport = yield from _exchange(query.to_wire(), server, manner)
                message = dns.message.from_wire(octets)
            except OSError as error:
                why = _WORDS.get(error.errno or 0, str(error.strerror).lower())
                complaints.append(f";; communications error to {server}#{manner.port}: {why}")
            except dns.exception.DNSException:
                complaints.append(f";; Got bad packet: FORMERR from {server}#{manner.port}")
            else:
                now = yield from program.now()
                return Answered(
                    query, message, server, transport, len(octets), now - begun, tuple(complaints)
                )
    return Answered(query, complaints=tuple(complaints))


def _exchange(octets: bytes, server: IpAddress, manner: Manner) -> Program[tuple[bytes, str]]:
    """Return the reply of one server, and by what it came.

    Raises:
        OSError: there is none.
    """
    if not manner.tcp:
        reply = yield from _once(octets, server, manner, SocketKind.UDP)
        if manner.ignore or not int.from_bytes(reply[2:4]) & dns.flags.TC:
            return reply, "UDP"
    reply = yield from _once(octets, server, manner, SocketKind.TCP)
    return reply, "TCP"


def _once(octets: bytes, server: IpAddress, manner: Manner, kind: SocketKind) -> Program[bytes]:
    end = yield from deadline(manner.timeout)
    socket = yield from program.socket(kind)
    try:
        yield from program.connect(socket, server, manner.port, timeout=manner.timeout)
        if kind is SocketKind.TCP:
            conversation = Conversation(socket, (yield from left(end)))
            yield from conversation.say([octets])
            reply = yield from conversation.hear()
        else:
            yield from program.send(socket, octets)
            reply = yield from _hear(socket, octets[:2], end)
    except OSError:
        yield from program.close(socket)
        raise
    yield from program.close(socket)
    return reply


def _hear(socket: Socket, number: bytes, end: Instant) -> Program[bytes]:
    """Return the first datagram with the number of the question."""
    while True:
        reply = yield from program.receive(socket, timeout=(yield from left(end)))
        if len(reply) >= 12 and reply[:2] == number and reply[2] & 0x80:
            return reply
