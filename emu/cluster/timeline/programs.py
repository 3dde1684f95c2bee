# SPDX-License-Identifier: GPL-2.0-only
"""What clients of a scenario run: attempts with a socket each, or one after the other on one that stays."""

from __future__ import annotations

import errno
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from emu.apps.channel import Plain
from emu.apps.deadline import bounded
from emu.apps.http.client import Connection, Failed, Failure, host_field, over
from emu.apps.http.message import Request
from emu.apps.ping import ping
from emu.apps.resolver.lookup import Unresolved, look_up
from emu.cluster.timeline.packets import FlowKey
from emu.cluster.timeline.traffic import OK
from emu.errors import CommandError
from emu.fabric import program
from emu.fabric.userland import Userland
from emu.kernel import tcp
from emu.kernel.sockets import SocketKind
from emu.sim.time import Duration, Instant, later
from emu.wire.addresses import ANY_IP4
from emu.wire.ipv4 import ICMP, TCP, UDP

if TYPE_CHECKING:
    from emu.cluster.timeline.client import Client
    from emu.cluster.timeline.traffic import Attempt
    from emu.fabric.program import Program
    from emu.kernel.sockets import Socket
    from emu.wire.addresses import IpAddress

T = TypeVar("T")

REFUSED: Final = "refused"
RESET: Final = "reset"
TIMEOUT: Final = "timeout"
UNREACHABLE: Final = "unreachable"
UNRESOLVED: Final = "unresolved"
CLOSED: Final = "closed"
GONE: Final = "gone"

_BY_ERRNO: Final = {
    errno.ECONNREFUSED: REFUSED,
    errno.ECONNRESET: RESET,
    errno.EPIPE: RESET,
    errno.ETIMEDOUT: TIMEOUT,
    errno.EHOSTUNREACH: UNREACHABLE,
    errno.ENETUNREACH: UNREACHABLE,
}
_BY_FAILURE: Final = {
    Failure.TIMEOUT: TIMEOUT,
    Failure.RESET: RESET,
    Failure.EMPTY: CLOSED,
    Failure.PARTIAL: CLOSED,
}
_OF_SERVER: Final = 500  # a status from here on is no answer that a client wants
_FIRST_IDENTIFIER: Final = 0x5000


def outcome_of(error: OSError) -> str:
    """Return in a word how a system call ended."""
    if isinstance(error, TimeoutError):
        return TIMEOUT
    return _BY_ERRNO.get(error.errno or 0, errno.errorcode.get(error.errno or 0, "error").lower())


# --- an attempt by itself ---


def attempt(client: Client) -> Program[None]:
    """Make one attempt with a socket of its own, and note how it went."""
    now = yield from program.now()
    match client.spec.kind:
        case "ping":
            yield from _ping(client, client.sends(now))
        case "dns":
            yield from _look_up(client, client.sends(now))
        case _:
            client.connections += 1
            made = client.sends(now, client.connections)
            yield from _request(client, made, later(now, client.spec.timeout))


def _request(client: Client, made: Attempt, deadline: Instant) -> Program[None]:
    """Look up, connect, ask, close."""
    address, outcome = yield from _address(client, made, deadline)
    key: FlowKey | None = None
    if address is not None:
        socket = yield from program.socket(SocketKind.TCP)
        outcome = yield from _connect(client, socket, address, deadline)
        key = _key(client, socket, TCP)
        if not outcome:
            outcome = OK
            if client.spec.kind == "http":
                outcome = yield from _ask(client, over(Plain(socket)), deadline)
        yield from program.close(socket)
    now = yield from program.now()
    client.ends(made, outcome, now, key)
    if key is not None:
        client.forget(key)


def _ping(client: Client, made: Attempt) -> Program[None]:
    address, outcome = yield from _address(client, made, later(made.sent, client.spec.timeout))
    key: FlowKey | None = None
    if address is not None:
        identifier = (_FIRST_IDENTIFIER + made.number) & 0xFFFF
        key = FlowKey(_net(client), ICMP, identifier)
        (echo,) = yield from ping(address, identifier=identifier, timeout=client.spec.timeout)
        outcome = OK if echo.outcome == "reply" else echo.outcome
        if outcome.startswith("icmp ") or outcome in {"EHOSTUNREACH", "ENETUNREACH"}:
            outcome = UNREACHABLE
    now = yield from program.now()
    client.ends(made, outcome, now, key)
    if key is not None:
        client.forget(key)


def _look_up(client: Client, made: Attempt) -> Program[None]:
    """Ask for a name as getaddrinfo(3) does: A and AAAA from one socket."""
    assert client.target is not None
    assert client.userland is not None
    try:
        deadline = later(made.sent, client.spec.timeout)
        found = yield from _noted(client, made, look_up(client.target.name, client.userland), deadline)
        outcome = UNRESOLVED if isinstance(found, Unresolved) else OK
    except TimeoutError:
        outcome = TIMEOUT
    except OSError as error:
        outcome = outcome_of(error)
    now = yield from program.now()
    client.ends(made, outcome, now, None)


# --- one socket for all attempts ---


def steady(client: Client, end: Instant | None) -> Program[None]:
    """Make attempt after attempt, at the instants when they are due, on one socket."""
    if client.spec.kind == "udp":
        yield from _datagrams(client, end)
    else:
        yield from _kept(client, end)


def _kept(client: Client, end: Instant | None) -> Program[None]:
    """Ask again and again on one connection; when it breaks, make another for the next attempt."""
    socket: Socket | None = None
    connection: Connection | None = None
    begin = yield from program.now()
    turn = mine = 0
    while True:
        now = yield from _wait(later(begin, turn * client.spec.every))
        if client.is_over or not client.is_alive or (end is not None and now >= end):
            break
        turn = max(turn, (now - begin) // client.spec.every) + 1
        deadline = later(now, client.spec.timeout)
        is_new = socket is None
        if is_new:
            client.connections += 1
            mine = client.connections
        made = client.sends(now, mine)
        outcome, key, since = "", None, 0
        if socket is None:
            address, outcome = yield from _address(client, made, deadline)
            if address is not None:
                socket = yield from program.socket(SocketKind.TCP)
                outcome = yield from _connect(client, socket, address, deadline)
                connection = over(Plain(socket)) if client.spec.kind == "http" else None
        if socket is not None:
            key = _key(client, socket, TCP)
            since = 0 if is_new else client.count_packets(key)
        if not outcome and socket is not None:
            outcome = yield from _use(client, socket, connection, deadline)
        now = yield from program.now()
        client.ends(made, outcome, now, key, since=since)
        is_over = outcome != OK or (connection is not None and not connection.is_open)
        if socket is not None and key is not None and is_over:
            yield from program.close(socket)
            client.forget(key)
            socket = connection = None
    if socket is not None and not client.spec.leaves_open:
        yield from program.close(socket)


def _use(client: Client, socket: Socket, connection: Connection | None, deadline: Instant) -> Program[str]:
    """Ask on a connection that stands, or send a piece and wait until it is acknowledged."""
    if connection is not None:
        return (yield from _ask(client, connection, deadline, keeps=True))
    try:
        now = yield from program.now()
        yield from program.send(socket, b".", timeout=deadline - now)
        now = yield from program.now()
        yield from program.drain(socket, timeout=deadline - now)
    except OSError as error:
        return outcome_of(error)
    return OK


def _datagrams(client: Client, end: Instant | None) -> Program[None]:
    """Send datagram after datagram from one socket; an answer belongs to the attempt that waits for it."""
    spec = client.spec
    socket = yield from program.socket(SocketKind.UDP)
    address: IpAddress | None = None
    begin = yield from program.now()
    turn = 0
    while True:
        now = yield from _wait(later(begin, turn * spec.every))
        if client.is_over or not client.is_alive or (end is not None and now >= end):
            break
        turn = max(turn, (now - begin) // spec.every) + 1
        made = client.sends(now)
        deadline = later(now, spec.timeout)
        key, since, outcome = None, 0, ""
        try:
            assert client.target is not None
            if address is None or client.target.is_pending:
                before = address
                address, outcome = yield from _address(client, made, deadline)
                if address is not None and address != before:
                    if before is None:
                        yield from program.bind(socket, ANY_IP4, spec.source_port)
                    yield from program.connect(socket, address, client.target.port)
            if address is not None:
                key = _key(client, socket, UDP)
                since = client.count_packets(key)
                yield from program.send(socket, _payload(client, made))
                if spec.waits:
                    outcome = yield from _answer(client, socket, made, deadline)
        except OSError as error:
            outcome = outcome_of(error)
        now = yield from program.now()
        if key is not None and not outcome:
            client.judges_arrival(made, key, since)
        else:
            client.ends(made, outcome, now, key, since=since)
    yield from program.close(socket)


def _payload(client: Client, made: Attempt) -> bytes:
    return f"{client.spec.name} {made.number}".encode()


def _answer(client: Client, socket: Socket, made: Attempt, deadline: Instant) -> Program[str]:
    """Wait for the answer to a datagram; an echo of an earlier one is passed over."""
    payload = _payload(client, made)
    while True:
        now = yield from program.now()
        if now >= deadline:
            return TIMEOUT
        answer = yield from program.receive(socket, timeout=deadline - now)
        words = answer.split(b" ")
        if not (len(words) == 2 and answer != payload and words[0] == client.spec.name.encode()):
            return OK


# --- parts ---


def _wait(due: Instant) -> Program[Instant]:
    now = yield from program.now()
    if now < due:
        yield from program.sleep(due - now)
        now = yield from program.now()
    return now


def _noted(client: Client, made: Attempt, lookup: Program[T], deadline: Instant) -> Program[T]:
    """Look something up until a deadline, and note by which flows."""
    opened: list[Socket] = []
    try:
        return (yield from bounded(lookup, deadline, opened))
    finally:
        kinds = {SocketKind.UDP: UDP, SocketKind.TCP: TCP}
        keys = [_key(client, each, kinds[each.kind]) for each in opened if each.kind in kinds]
        client.looked_up(made, filter(None, keys))


def _address(client: Client, made: Attempt, deadline: Instant) -> Program[tuple[IpAddress | None, str]]:
    """Return whom to ask now, or why nobody."""
    target = client.aim()
    if target.address != ANY_IP4:
        return target.address, ""
    try:
        lookup = look_up(target.name, client.userland or Userland(), family=0)
        found = yield from _noted(client, made, lookup, deadline)
    except TimeoutError:
        return None, TIMEOUT
    except (OSError, CommandError):
        return None, UNRESOLVED
    if isinstance(found, Unresolved) or not found.ipv4:
        return None, UNRESOLVED
    return found.ipv4[0], ""


def _connect(client: Client, socket: Socket, address: IpAddress, deadline: Instant) -> Program[str]:
    """Connect; return how that failed, empty if it did not."""
    assert client.target is not None
    now = yield from program.now()
    left: Duration = deadline - now
    if left <= 0:
        return TIMEOUT
    try:
        if client.spec.source_port:
            yield from program.configure(socket, reuse_address=True)
            yield from program.bind(socket, ANY_IP4, client.spec.source_port)
        yield from program.call(partial(tcp.set_nodelay, sock=socket, on=True))
        yield from program.connect(socket, address, client.target.port, timeout=left)
    except OSError as error:
        return outcome_of(error)
    return ""


def _ask(client: Client, connection: Connection, deadline: Instant, *, keeps: bool = False) -> Program[str]:
    """Ask by HTTP; an answer that a server gives for one that it did not get is no answer."""
    assert client.target is not None
    name = client.target.name or str(client.target.address)
    headers = [("Host", host_field(name, client.target.port)), ("User-Agent", "emu"), ("Accept", "*/*")]
    if not keeps:
        headers.append(("Connection", "close"))
    answer = yield from connection.ask(Request("GET", client.spec.path, tuple(headers)), deadline)
    if isinstance(answer, Failed):
        return _BY_FAILURE.get(answer.failure, "malformed")
    return OK if answer.status < _OF_SERVER else str(answer.status)


def _key(client: Client, socket: Socket, protocol: int) -> FlowKey | None:
    return FlowKey(_net(client), protocol, socket.local_port) if socket.local_port else None


def _net(client: Client) -> str:
    assert client.net is not None
    return client.net.name
