# SPDX-License-Identifier: GPL-2.0-only
"""What curl is told to do. Source: curl(1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import attrs

from emu.apps.tools.getopt import Option, Syntax
from emu.errors import AddressError, CommandError
from emu.sim.time import SECOND, Duration, from_seconds
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from emu.fabric.userland import Userland

VERSION: Final = "8.14.1"
_HINT: Final = "curl: try 'curl --help' or 'curl --manual' for more information"
_DAY: Final = 86400

_FLAGS: Final = {
    "-s": "silent", "--silent": "silent",
    "-S": "show-error", "--show-error": "show-error",
    "-v": "verbose", "--verbose": "verbose",
    "-i": "include", "--include": "include", "--show-headers": "include",
    "-I": "head", "--head": "head",
    "-f": "fail", "--fail": "fail",
    "--fail-with-body": "fail-with-body",
    "-L": "location", "--location": "location",
    "-G": "get", "--get": "get",
    "-O": "remote-name", "--remote-name": "remote-name",
    "-4": "ipv4", "--ipv4": "ipv4",
    "-6": "ipv6", "--ipv6": "ipv6",
    "-g": "globoff", "--globoff": "globoff",
    "--retry-connrefused": "retry-connrefused",
    "--retry-all-errors": "retry-all-errors",
    "-k": "insecure", "--insecure": "insecure",
    "-1": "tlsv1", "--tlsv1": "tlsv1",
    "--tlsv1.2": "tlsv1.2", "--tlsv1.3": "tlsv1.3",
    "-N": "", "--no-buffer": "",
    "-#": "", "--progress-bar": "", "--no-progress-meter": "",
    "--http1.1": "", "--path-as-is": "", "--tcp-nodelay": "",
}  # fmt: skip
"""What is typed, and what it means here; nothing for what changes nothing."""

_FLAG_NAMES: Final = frozenset(_FLAGS.values()) - {""}

_VALUED: Final = {
    "-o": "output", "--output": "output",
    "-w": "write-out", "--write-out": "write-out",
    "-H": "header", "--header": "header",
    "-X": "request", "--request": "request",
    "-d": "data", "--data": "data", "--data-ascii": "data",
    "--data-raw": "data-raw", "--data-binary": "data-binary",
    "-m": "max-time", "--max-time": "max-time",
    "--connect-timeout": "connect-timeout",
    "--resolve": "resolve",
    "--connect-to": "connect-to",
    "--cacert": "cacert",
    "--tls-max": "tls-max",
    "--interface": "interface",
    "-A": "user-agent", "--user-agent": "user-agent",
    "-e": "referer", "--referer": "referer",
    "--retry": "retry",
    "--retry-delay": "retry-delay",
    "--max-redirs": "max-redirs",
    "--url": "url",
    "--noproxy": "",
}  # fmt: skip


def _unknown(option: str) -> CommandError:
    return CommandError(f"curl: option {option}: is unknown, or not modelled\n{_HINT}", 2)


def _lacking(option: str) -> CommandError:
    return CommandError(f"curl: option {option}: requires parameter\n{_HINT}", 2)


SYNTAX: Final = Syntax(_FLAGS, _VALUED, _unknown, _lacking)


@attrs.frozen
class Options:
    """A command line of curl.

    Attributes:
        urls: what to fetch, in order.
        flags: the options without a value, by their long names.
        outputs: where the body of each URL goes; those left over go to standard output.
        write_out: template that is filled in after each transfer.
        headers: fields added or, without a value, left out.
        method: in place of the usual one.
        data: body of a POST, None for no body.
        max_time: for each transfer, ns; None for ever.
        connect_timeout: for name and connection, ns.
        resolve: addresses of (name, port), which are not asked for.
        connect_to: name and port that are asked in place of others; empty and 0 stand for any, or the same.
        trusted: certificates of authorities in PEM; None for those that the machine trusts.
        newest_tls: 1.2 or 1.3; empty for the newest there is.
        interface: source address, or device that has it; empty for the kernel's choice.
        user_agent: the field.
        referer: the field, empty for none.
        retries: how often a transfer is tried again.
        retry_delay: before each, ns; None for one second, doubled each time.
        max_redirects: how many are followed.
    """

    urls: tuple[str, ...] = ()
    flags: frozenset[str] = frozenset()
    outputs: tuple[str, ...] = ()
    write_out: str = ""
    headers: tuple[str, ...] = ()
    method: str = ""
    data: bytes | None = None
    max_time: Duration | None = None
    connect_timeout: Duration = 300 * SECOND
    resolve: tuple[tuple[str, int, tuple[IpAddress, ...]], ...] = ()
    connect_to: tuple[tuple[str, int, str, int], ...] = ()
    trusted: str | None = None
    newest_tls: str = ""
    interface: str = ""
    user_agent: str = f"curl/{VERSION}"
    referer: str = ""
    retries: int = 0
    retry_delay: Duration | None = None
    max_redirects: int = 50

    @property
    def family(self) -> Literal[0, 4, 6]:
        """Of the addresses to ask for; 0 for both."""
        return 4 if "ipv4" in self.flags else 6 if "ipv6" in self.flags else 0


def parse(argv: Sequence[str], userland: Userland) -> Options:
    """Read a command line; `-d @FILE` reads the userland's files.

    Raises:
        CommandError: it is wrong.
    """
    options = Options()
    for word in SYNTAX.read(argv):
        if isinstance(word, str):
            options = attrs.evolve(options, urls=(*options.urls, word))
        elif word.name in _FLAG_NAMES:
            options = attrs.evolve(options, flags=options.flags | {word.name})
        else:
            options = _set(options, word, userland)
    if not options.urls:
        raise CommandError(f"curl: (2) no URL specified\n{_HINT}", 2)
    return options


def _set(options: Options, option: Option, userland: Userland) -> Options:
    if option.name in {"data", "data-raw", "data-binary"}:
        piece = _data(option, userland)
        data = piece if options.data is None else options.data + b"&" + piece
        return attrs.evolve(options, data=data)
    if not option.name:
        return options
    if option.name == "cacert":
        return attrs.evolve(options, trusted=_trusted(option.value, userland))
    return _SETTERS[option.name](options, option.value)


_SETTERS: Final[Mapping[str, Callable[[Options, str], Options]]] = {
    "url": lambda so_far, text: attrs.evolve(so_far, urls=(*so_far.urls, text)),
    "output": lambda so_far, text: attrs.evolve(so_far, outputs=(*so_far.outputs, text)),
    "write-out": lambda so_far, text: attrs.evolve(so_far, write_out=text),
    "header": lambda so_far, text: attrs.evolve(so_far, headers=(*so_far.headers, text)),
    "request": lambda so_far, text: attrs.evolve(so_far, method=text),
    "max-time": lambda so_far, text: attrs.evolve(so_far, max_time=_seconds("-m", text) or None),
    "connect-timeout": lambda so_far, text: attrs.evolve(
        so_far, connect_timeout=_seconds("--connect-timeout", text) or so_far.connect_timeout
    ),
    "resolve": lambda so_far, text: attrs.evolve(so_far, resolve=(*so_far.resolve, _resolve(text))),
    "connect-to": lambda so_far, text: attrs.evolve(
        so_far, connect_to=(*so_far.connect_to, _connect_to(text))
    ),
    "tls-max": lambda so_far, text: attrs.evolve(so_far, newest_tls=_version(text)),
    "interface": lambda so_far, text: attrs.evolve(so_far, interface=text),
    "user-agent": lambda so_far, text: attrs.evolve(so_far, user_agent=text),
    "referer": lambda so_far, text: attrs.evolve(so_far, referer=text),
    "retry": lambda so_far, text: attrs.evolve(so_far, retries=_number("--retry", text)),
    "retry-delay": lambda so_far, text: attrs.evolve(
        so_far, retry_delay=_seconds("--retry-delay", text) or None
    ),
    "max-redirs": lambda so_far, text: attrs.evolve(so_far, max_redirects=_number("--max-redirs", text)),
}


def _data(option: Option, userland: Userland) -> bytes:
    value = option.value
    if option.name == "data-raw" or not value.startswith("@"):
        return value.encode()
    try:
        text = userland.read(value[1:])
    except OSError:
        raise CommandError(f"curl: Failed to open {value[1:]}", 26) from None
    if option.name == "data":
        text = text.replace("\r", "").replace("\n", "")
    return text.encode()


def _trusted(path: str, userland: Userland) -> str:
    """Return the certificates in a file."""
    try:
        text = userland.read(path)
    except OSError:
        text = ""
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise CommandError(f"curl: (77) error adding trust anchors from file: {path}", 77)
    return text


def _version(text: str) -> str:
    if text not in {"default", "1.2", "1.3"}:
        raise CommandError(f"curl: option --tls-max: TLS {text} is unknown, or not modelled\n{_HINT}", 2)
    return text.removeprefix("default")


def _connect_to(text: str) -> tuple[str, int, str, int]:
    host, port, other, other_port = (text.split(":") + [""] * 4)[:4]
    numbers = [each for each in (port, other_port) if each]
    if not all(each.isdecimal() and int(each) <= 65535 for each in numbers) or text.count(":") != 3:
        raise CommandError(f"curl: (49) Couldn't parse CONNECT_TO entry '{text}'", 49)
    return host.lower(), int(port or 0), other.lower(), int(other_port or 0)


def _seconds(option: str, text: str) -> Duration:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= _DAY:
        raise CommandError(f"curl: option {option}: expected a proper numerical parameter\n{_HINT}", 2)
    return from_seconds(seconds)


def _number(option: str, text: str) -> int:
    if not text.isdecimal() or len(text) > 5:
        raise CommandError(f"curl: option {option}: expected a proper numerical parameter\n{_HINT}", 2)
    return int(text)


def _resolve(text: str) -> tuple[str, int, tuple[IpAddress, ...]]:
    name, _, rest = text.removeprefix("+").partition(":")
    port, _, addresses = rest.partition(":")
    try:
        return name.lower(), int(port), tuple(map(IpAddress.parse, addresses.split(",")))
    except (ValueError, AddressError):
        raise CommandError(f"curl: (49) Couldn't parse CURLOPT_RESOLVE entry '{text}'", 49) from None
