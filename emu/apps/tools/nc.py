# SPDX-License-Identifier: GPL-2.0-only
"""`nc` of OpenBSD, as Debian has it (1.226).

Nobody types on its standard input: a connection is listened to until the other
side closes it, or nothing has come for `-w` seconds.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import attrs

from emu.apps.resolver.lookup import Unresolved, look_up, name_of, numeric
from emu.apps.tools.finished import Finished
from emu.apps.tools.getopt import Syntax
from emu.errors import CommandError
from emu.fabric import program
from emu.kernel.sockets import SocketKind
from emu.sim.time import SECOND, Duration
from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.fabric.program import Program
    from emu.fabric.userland import Userland
    from emu.kernel.sockets import Socket
    from emu.wire.addresses import IpAddress

_SERVICES: Final = {
    21: "ftp", 22: "ssh", 23: "telnet", 25: "smtp", 53: "domain", 80: "http", 110: "pop3", 123: "ntp",
    143: "imap2", 179: "bgp", 389: "ldap", 443: "https", 636: "ldaps", 1883: "mqtt", 3306: "mysql",
    3389: "ms-wbt-server", 5432: "postgresql", 5672: "amqp", 6379: "redis", 8080: "http-alt",
}  # fmt: skip
"""Names of ports in Debian's /etc/services that services in clusters have."""

_PROBES: Final = 3  # how many seconds a UDP port may take to complain
_MOST_PORTS: Final = 65535


def _complain(option: str) -> CommandError:
    return CommandError(f"nc: invalid option, or not modelled -- '{option.lstrip('-')}'", 1)


_SYNTAX: Final = Syntax(
    {
        "-z": "scan", "-v": "verbose", "-u": "udp", "-l": "listen", "-n": "numeric", "-k": "keep",
        "-4": "", "-N": "", "-d": "", "-D": "", "-r": "", "-t": "", "--sctp": "sctp",
    },
    {"-w": "wait", "-p": "port", "-s": "source", "-q": "", "-i": ""},
    _complain,
    lambda option: CommandError(f"nc: option requires an argument -- '{option.lstrip('-')}'", 1),
)  # fmt: skip


@attrs.frozen
class Options:
    """A command line of nc.

    Attributes:
        flags: options without a value.
        places: host and ports, or one of them.
        wait: `-w`, ns; None for ever.
        port: `-p`, 0 for none.
        source: `-s`, unspecified for none.
    """

    flags: frozenset[str]
    places: tuple[str, ...]
    wait: Duration | None
    port: int
    source: IpAddress

    @property
    def kind(self) -> SocketKind:
        """What is spoken."""
        return (
            SocketKind.UDP
            if "udp" in self.flags
            else SocketKind.SCTP
            if "sctp" in self.flags
            else SocketKind.TCP
        )

    def told(self, text: str) -> str:
        """Return what `-v` tells."""
        return text if "verbose" in self.flags else ""


def run(argv: Sequence[str], userland: Userland) -> Program[Finished]:
    """Connect, or listen."""
    options = _parse(argv)
    if "listen" in options.flags:
        return (yield from _listen(options, userland))
    if len(options.places) != 2:
        raise CommandError(
            "usage: nc [-46DdklNnrtuvz] [-p port] [-s address] [-w timeout] destination port", 1
        )
    host, ports = options.places
    stdout, stderr, status = "", "", 1
    for port in _ports(ports):
        found = yield from _find(host, port, options, userland)
        got = yield from _connect(host, port, found, options)
        stdout, stderr, status = stdout + got.stdout, stderr + got.stderr, got.status
    return Finished(stdout, stderr, status)


def _parse(argv: Sequence[str]) -> Options:
    flags: set[str] = set()
    values: dict[str, str] = {}
    places: list[str] = []
    for word in _SYNTAX.read(argv):
        if isinstance(word, str):
            places.append(word)
        elif word.name in {"wait", "port", "source"}:
            values[word.name] = word.value
        else:
            flags.add(word.name)
    wait = values.get("wait")
    if wait is not None and not (wait.isdecimal() and len(wait) < 7):
        raise CommandError(f"nc: timeout invalid: {wait}", 1)
    source = numeric(values.get("source", "0.0.0.0"))  # noqa: S104 - unspecified, as in bind(2)
    if source is None:
        raise CommandError(f"nc: {values['source']}: Name or service not known", 1)
    port = _ports(values["port"])[0] if "port" in values else 0
    return Options(
        frozenset(flags), tuple(places), None if wait is None else int(wait) * SECOND, port, source
    )


def _ports(text: str) -> list[int]:
    """Read a port, its name, or a range."""
    by_name = {name: port for port, name in _SERVICES.items()}
    first, dash, last = text.partition("-")
    if not dash or text in by_name:
        first = last = str(by_name.get(text, text))
    numbers = [int(part) if part.isdecimal() and len(part) < 6 else 0 for part in (first, last)]
    if not all(1 <= number <= _MOST_PORTS for number in numbers):
        raise CommandError(f"nc: port number invalid: {text}", 1)
    low, high = sorted(numbers)
    return list(range(low, high + 1))


def _find(host: str, port: int, options: Options, userland: Userland) -> Program[tuple[IpAddress, ...]]:
    number = numeric(host)
    if number is not None:
        return (number,)
    if "numeric" in options.flags:
        raise CommandError(f'nc: getaddrinfo for host "{host}" port {port}: Name or service not known', 1)
    found = yield from look_up(host, userland)
    if isinstance(found, Unresolved):
        raise CommandError(f'nc: getaddrinfo for host "{host}" port {port}: {found}', 1)
    return found.ipv4 or found.addresses


def _connect(host: str, port: int, addresses: tuple[IpAddress, ...], options: Options) -> Program[Finished]:
    """Connect to the first address that answers."""
    stderr = ""
    protocol = options.kind.value
    for address in addresses:
        shown = host if str(address) == host or "numeric" in options.flags else f"{host} ({address})"
        socket = yield from program.socket(options.kind)
        try:
            if options.port or options.source != ANY_IP4:
                yield from program.configure(socket, reuse_address=True)
                yield from program.bind(socket, options.source, options.port)
            yield from program.connect(socket, address, port, timeout=options.wait)
            if options.kind is SocketKind.UDP and {"scan", "verbose"} & options.flags:
                yield from _probe(socket, options)
        except TimeoutError:
            stderr += options.told(
                f"nc: connect to {shown} port {port} ({protocol}) timed out: Operation now in progress\n"
            )
        except OSError as error:
            why = os.strerror(error.errno or 0)
            if options.kind is not SocketKind.UDP:
                stderr += options.told(f"nc: connect to {shown} port {port} ({protocol}) failed: {why}\n")
        else:
            service = "*" if "numeric" in options.flags else _SERVICES.get(port, "*")
            stderr += options.told(f"Connection to {shown} {port} port [{protocol}/{service}] succeeded!\n")
            text = "" if "scan" in options.flags else (yield from _hear(socket, options.wait))
            yield from program.close(socket)
            return Finished(text, stderr)
        yield from program.close(socket)
    return Finished("", stderr, 1)


def _probe(socket: Socket, options: Options) -> Program[None]:
    """Send single octets and wait for complaints.

    Raises:
        OSError: there was one.
    """
    wait = _PROBES if options.wait is None else options.wait // SECOND
    yield from program.send(socket, b"X")
    yield from program.send(socket, b"X")
    for _ in range(wait):
        yield from program.sleep(SECOND)
        yield from program.send(socket, b"X")


def _hear(socket: Socket, wait: Duration | None) -> Program[str]:
    """Return all that comes until the other side closes, or is silent for too long."""
    received = b""
    try:
        while piece := (yield from program.receive(socket, timeout=wait)):
            received += piece
    except OSError:
        pass  # silent, or gone
    return received.decode("utf-8", "replace")


# --- listening ---


def _listen(options: Options, userland: Userland) -> Program[Finished]:
    """Take a connection (`-k`: one after the other) and print what comes."""
    *hosts, last = options.places or (str(options.port or ""),)
    if hosts and numeric(hosts[0]) is None:
        raise CommandError(f"nc: {hosts[0]}: only numbers are modelled here", 1)
    address = (numeric(hosts[0]) if hosts else None) or ANY_IP4
    port = _ports(last)[0]
    socket = yield from program.socket(options.kind)
    try:
        yield from program.configure(socket, reuse_address=True)
        yield from program.bind(socket, address, port)
        if options.kind is not SocketKind.UDP:
            yield from program.listen(socket, 1)
    except OSError as error:
        yield from program.close(socket)
        raise CommandError(f"nc: {os.strerror(error.errno or 0)}", 1) from None
    stdout = ""
    stderr = options.told(f"{'Bound' if 'udp' in options.flags else 'Listening'} on {address} {port}\n")
    take = _take_datagrams if options.kind is SocketKind.UDP else _take_connection
    while True:
        got = yield from take(socket, options, userland)
        stdout, stderr = stdout + got.stdout, stderr + got.stderr
        if "keep" not in options.flags:
            break
    yield from program.close(socket)
    return Finished(stdout, stderr)


def _take_connection(socket: Socket, options: Options, userland: Userland) -> Program[Finished]:
    connection = yield from program.accept(socket)
    peer = yield from _named(connection.remote, options, userland)
    text = yield from _hear(connection, options.wait)
    stderr = options.told(f"Connection received on {peer} {connection.remote_port}\n")
    yield from program.close(connection)
    return Finished(text, stderr)


def _take_datagrams(socket: Socket, options: Options, userland: Userland) -> Program[Finished]:
    """Hear the first peer until it is silent for `-w` (or a second: nothing says that it is done)."""
    first = yield from program.receive_from(socket)
    received = first.data
    try:
        while True:
            datagram = yield from program.receive_from(socket, timeout=options.wait or SECOND)
            if (datagram.address, datagram.port) == (first.address, first.port):
                received += datagram.data
    except OSError:
        pass  # silent
    peer = yield from _named(first.address, options, userland)
    return Finished(
        received.decode("utf-8", "replace"), options.told(f"Connection received on {peer} {first.port}\n")
    )


def _named(address: IpAddress, options: Options, userland: Userland) -> Program[str]:
    if "numeric" in options.flags or "verbose" not in options.flags:
        return str(address)
    name = yield from name_of(address, userland)
    return name or str(address)
