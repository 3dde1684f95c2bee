# SPDX-License-Identifier: GPL-2.0-only
"""What the arguments of ipvsadm ask for. Names of hosts are not looked up; ports may have names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import AddressError, CommandError
from emu.kernel.netfilter.ipvs.schedulers import SCHEDULERS, UNMODELLED
from emu.kernel.netfilter.ipvs.virtual import (
    DEFAULT_PERSISTENCE,
    MOST_PORT,
    MOST_WEIGHT,
    Destination,
    DestinationKey,
    ServiceKey,
    VirtualService,
)
from emu.tools.protocols import SERVICES
from emu.wire.addresses import IpAddress
from emu.wire.ipv4 import TCP, UDP
from emu.wire.sctp import PROTOCOL as SCTP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

USAGE: Final = 2
FAILED: Final = 255
_ANY: Final = IpAddress(b"\0\0\0\0")
_ALL_BITS: Final = 32

_COMMANDS: Final[Mapping[str, str]] = {
    "A": "add-service",
    "E": "edit-service",
    "D": "delete-service",
    "C": "clear",
    "R": "restore",
    "S": "save",
    "a": "add-server",
    "e": "edit-server",
    "d": "delete-server",
    "L": "list",
    "l": "list",
    "Z": "zero",
    "h": "help",
}
_OPTIONS: Final[Mapping[str, str]] = {
    "t": "tcp-service",
    "u": "udp-service",
    "f": "fwmark-service",
    "s": "scheduler",
    "p": "persistent",
    "M": "netmask",
    "r": "real-server",
    "g": "gatewaying",
    "i": "ipip",
    "m": "masquerading",
    "w": "weight",
    "x": "u-threshold",
    "y": "l-threshold",
    "c": "connection",
    "b": "sched-flags",
    "n": "numeric",
    "o": "ops",
    "6": "ipv6",
}
_VALUED: Final = frozenset(
    (
        "tcp-service",
        "udp-service",
        "sctp-service",
        "fwmark-service",
        "scheduler",
        "netmask",
        "real-server",
        "weight",
        "u-threshold",
        "l-threshold",
        "sched-flags",
    )
)
_FLAGS: Final = frozenset(
    (
        "gatewaying",
        "ipip",
        "masquerading",
        "connection",
        "numeric",
        "ops",
        "ipv6",
        "stats",
        "rate",
        "timeout",
        "daemon",
        "thresholds",
        "persistent-conn",
        "nosort",
        "sort",
        "exact",
    )
)
_SERVICES: Final[Mapping[str, int]] = {"tcp-service": TCP, "udp-service": UDP, "sctp-service": SCTP}
_UNMODELLED: Final[Mapping[str, str]] = {
    "gatewaying": "direct routing (-g, the default) is not modelled: say -m",
    "ipip": "tunneling (-i) is not modelled: say -m",
    "ops": "one-packet scheduling (-o) is not modelled",
    "ipv6": "IPv6 is not modelled",
    "daemon": "synchronization (--daemon) is not modelled",
    "rate": "rates (--rate) are not modelled: say --stats",
}
"""What ipvsadm knows and emu does not."""


@attrs.frozen
class Asked:
    """What is asked for.

    Attributes:
        command: the long name of a command.
        service: the virtual service, if one is named.
        wanted: it as it shall be, of `add-service` and `edit-service`.
        destination: the real server, if one is named.
        form: how to list: `stats`, `thresholds`, `persistent-conn`, `connection`, `timeout`; empty for plain.
        exact: numbers are written in full.
        is_sorted: by address; else in the kernel's order.
        timeouts: of `set`, s.
    """

    command: str
    service: ServiceKey | None = None
    wanted: VirtualService | None = None
    destination: Destination | None = None
    form: str = ""
    exact: bool = False
    is_sorted: bool = True
    timeouts: tuple[int, int, int] = (0, 0, 0)


def parse(argv: Sequence[str]) -> Asked:
    """Return what `argv` asks for.

    Raises:
        CommandError: it makes no sense, or something is not modelled.
    """
    command, given, rest = _read(argv)
    if command is None:
        command = "list"  # what ipvsadm does without a command
    for name, words in _UNMODELLED.items():
        if name in given:
            raise CommandError(words, USAGE)
    if command == "help":
        raise CommandError("ipvsadm v1.31 2019/12/24", USAGE)
    service = _service(given)
    forms = [
        name for name in ("stats", "thresholds", "persistent-conn", "connection", "timeout") if name in given
    ]
    if command == "set":
        if len(rest) != 3 or not all(word.isdecimal() for word in rest):
            raise CommandError("--set option requires 3 timeouts: <tcp> <tcpfin> <udp>", USAGE)
        tcp, fin, udp = map(int, rest)
        return Asked(command, timeouts=(tcp, fin, udp))
    if rest:
        raise CommandError(f"unexpected argument {rest[0]}", USAGE)
    if service is None and command in {"add-service", "edit-service", "delete-service"}:
        raise CommandError("You need to supply the 'service' option for the command", USAGE)
    destination = None
    if command in {"add-server", "edit-server", "delete-server"}:
        if service is None:
            raise CommandError("You need to supply the 'service' option for the command", USAGE)
        destination = _destination(given, service, changes=command != "delete-server")
    wanted = None
    if command in {"add-service", "edit-service"} and service is not None:
        wanted = _wanted(given, service)
    return Asked(
        command,
        service,
        wanted,
        destination,
        forms[0] if forms else "",
        "exact" in given,
        "nosort" not in given,
    )


def _read(argv: Sequence[str]) -> tuple[str | None, dict[str, str], list[str]]:
    """Return the command, the options with their values, and what is left."""
    command: str | None = None
    given: dict[str, str] = {}
    rest: list[str] = []
    words = list(argv)
    while words:
        word = words.pop(0)
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        for name, value in _named(word, words):
            if name in _COMMANDS.values() or name == "set":
                if command not in (None, name):
                    raise CommandError("multiple commands specified", USAGE)
                command = name
            elif name in given:
                raise CommandError(f"multiple {name} options specified", USAGE)
            else:
                given[name] = value
    return command, given, rest


def _named(word: str, words: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the options that a word has, with their values, which may be the next word."""
    if word.startswith("--"):
        long, equals, value = word[2:].partition("=")
        yield _valued(long, value if equals else None, words)
        return
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        name = _COMMANDS.get(letter) or _OPTIONS.get(letter, "")
        if not name:
            raise CommandError(f"-{letter}: unknown option", USAGE)
        if name in _VALUED:
            yield _valued(name, letters or None, words)
            return
        yield _valued(name, None, words)


def _valued(name: str, value: str | None, words: list[str]) -> tuple[str, str]:
    if name == "persistent":
        if value is None and words and words[0].isdecimal():
            value = words.pop(0)
        return name, value or str(DEFAULT_PERSISTENCE)
    if name in _VALUED:
        if value is None:
            if not words:
                raise CommandError(f"--{name}: missing argument", USAGE)
            value = words.pop(0)
        return name, value
    if name in _FLAGS or name in _COMMANDS.values() or name == "set":
        return name, ""
    raise CommandError(f"--{name}: unknown option", USAGE)


def _service(given: Mapping[str, str]) -> ServiceKey | None:
    for name, protocol in _SERVICES.items():
        if name in given:
            address, port = _place(given[name], protocol, "illegal virtual server address[:port] specified")
            return ServiceKey(protocol, address, port)
    if "fwmark-service" in given:
        text = given["fwmark-service"]
        if not text.isdecimal() or not 0 < int(text) < 1 << 32:
            raise CommandError("illegal virtual server fwmark specified", USAGE)
        return ServiceKey(0, _ANY, 0, int(text))
    return None


def _place(text: str, protocol: int, complaint: str) -> tuple[IpAddress, int]:
    host, colon, port_text = text.partition(":")
    try:
        address = IpAddress.parse(host)
    except AddressError:
        raise CommandError(complaint, USAGE) from None
    if not colon:
        return address, 0
    port = int(port_text) if port_text.isdecimal() else SERVICES.get(port_text, -1)
    if address.family != 4 or not 0 <= port <= MOST_PORT or protocol not in {0, TCP, UDP, SCTP}:
        raise CommandError(complaint, USAGE)
    return address, port


def _wanted(given: Mapping[str, str], key: ServiceKey) -> VirtualService:
    scheduler = given.get("scheduler", "wlc")
    if scheduler in UNMODELLED:
        raise CommandError(
            f"the scheduler {scheduler} is not modelled; there are {', '.join(SCHEDULERS)}", USAGE
        )
    if scheduler not in SCHEDULERS:
        raise CommandError("Scheduler or persistence engine not found", FAILED)
    persistence = _number(given, "persistent", 0, 31 * 86400, "illegal timeout for persistent service")
    if not persistence and not key.mark and not key.port:
        raise CommandError("Zero port specified for non-persistent service", USAGE)
    flags = frozenset(given["sched-flags"].split(",")) if "sched-flags" in given else frozenset[str]()
    if flags - {"sh-fallback", "sh-port"}:
        raise CommandError("flags of other schedulers than sh are not modelled", USAGE)
    return VirtualService(key, scheduler, persistence, _prefix(given.get("netmask")), flags)


def _prefix(text: str | None) -> int:
    if text is None:
        return _ALL_BITS
    try:
        mask = int(IpAddress.parse(text))
    except AddressError:
        raise CommandError("illegal virtual server persistent mask specified", USAGE) from None
    bits = f"{mask:032b}"
    if "01" in bits or not mask:
        raise CommandError("illegal virtual server persistent mask specified", USAGE)
    return bits.count("1")


def _destination(given: Mapping[str, str], service: ServiceKey, *, changes: bool) -> Destination:
    if "real-server" not in given:
        raise CommandError("You need to supply the 'real-server' option for the command", USAGE)
    if changes and "masquerading" not in given:
        raise CommandError(_UNMODELLED["gatewaying"], USAGE)
    address, port = _place(
        given["real-server"], service.protocol, "illegal real server address[:port] specified"
    )
    return Destination(
        DestinationKey(address, port or service.port),
        _number(given, "weight", 1, MOST_WEIGHT, "illegal weight specified"),
        _number(given, "u-threshold", 0, 1 << 31, "illegal u_threshold specified"),
        _number(given, "l-threshold", 0, 1 << 31, "illegal l_threshold specified"),
    )


def _number(given: Mapping[str, str], name: str, default: int, most: int, complaint: str) -> int:
    text = given.get(name)
    if text is None:
        return default
    if not text.isdecimal() or int(text) > most:
        raise CommandError(complaint, USAGE)
    return int(text)
