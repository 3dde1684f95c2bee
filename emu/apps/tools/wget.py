# SPDX-License-Identifier: GPL-2.0-only
"""`wget` of busybox 1.36, without its progress bar."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from emu.apps.curl import url as urls
from emu.apps.http.client import Failed, Failure, Secured, fetch, host_field
from emu.apps.http.message import Request
from emu.apps.resolver.lookup import Unresolved, look_up
from emu.apps.tools.finished import Finished
from emu.apps.tools.getopt import Syntax
from emu.errors import CommandError
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.apps.curl.url import Url
    from emu.apps.http.client import Fetched
    from emu.fabric.program import Program
    from emu.fabric.userland import Userland
    from emu.wire.addresses import IpAddress

_PATIENCE: Final = 900 * SECOND
_MOST_REDIRECTS: Final = 5
_UNCHECKED: Final = "wget: note: TLS certificate validation not implemented\n"


def _complain(option: str) -> CommandError:
    return CommandError(f"wget: unrecognized option: {option.lstrip('-')}, or not modelled", 1)


_SYNTAX: Final = Syntax(
    {"-q": "quiet", "-S": "head", "--spider": "spider", "-c": "", "--no-check-certificate": ""},
    {
        "-O": "output",
        "-T": "timeout",
        "--timeout": "timeout",
        "-U": "agent",
        "--header": "header",
        "--post-data": "data",
        "-t": "",
        "--tries": "",
    },
    _complain,
    lambda option: CommandError(f"wget: option requires an argument: {option.lstrip('-')}", 1),
)


def run(argv: Sequence[str], userland: Userland) -> Program[Finished]:
    """Fetch a URL into a file, or to standard output."""
    given: dict[str, list[str]] = {}
    places: list[str] = []
    for word in _SYNTAX.read(argv):
        if isinstance(word, str):
            places.append(word)
        else:
            given.setdefault(word.name, []).append(word.value)
    if len(places) != 1:
        raise CommandError("wget: one URL is needed", 1)
    try:
        target = urls.parse(places[0], globbing=False)
    except CommandError as error:
        raise CommandError(f"wget: {str(error).partition(') ')[2]}", 1) from None
    timeout = given.get("timeout", [""])[-1]
    patience = int(timeout) * SECOND if timeout.isdecimal() and len(timeout) < 6 else _PATIENCE
    return (yield from _follow(target, given, userland, patience))


def _follow(target: Url, given: dict[str, list[str]], userland: Userland, patience: int) -> Program[Finished]:
    """Fetch `target`, or where it leads to."""
    told = ""
    for _ in range(_MOST_REDIRECTS + 1):
        found = yield from look_up(target.host, userland)
        if isinstance(found, Unresolved):
            return Finished(stderr=f"{told}wget: bad address '{target.host}'\n", status=1)
        address = (found.ipv4 or found.addresses)[0]
        if target.is_secure and _UNCHECKED not in told:
            told += _UNCHECKED
        if "quiet" not in given:
            told += f"Connecting to {_where(target, address)}\n"
        got = yield from fetch(
            address,
            target.port,
            _request(target, given),
            connect_timeout=patience,
            timeout=patience,
            most=16 << 20,
            tls=_secured(target),
        )
        if isinstance(got, Failed):
            return Finished(stderr=f"{told}wget: {_words(got, address)}\n", status=1)
        response = got.response
        status = f"HTTP/{response.version} {response.status} {response.reason}"
        if "head" in given:
            told += "".join(f"  {line}\n" for line in (status, *(f"{n}: {v}" for n, v in response.headers)))
        location = response.header("Location")
        if response.status in {301, 302, 303, 307, 308} and location is not None:
            target = urls.follow(target, location)
            continue
        if response.status >= 300:
            return Finished(stderr=f"{told}wget: server returned error: {status}\n", status=1)
        return _save(target, got, given, userland, told)
    return Finished(stderr=f"{told}wget: too many redirections\n", status=1)


def _secured(target: Url) -> Secured | None:
    """Return how TLS is spoken, None for a URL without it: whoever answers is believed."""
    if not target.is_secure:
        return None
    from emu.apps.tls.contexts import Wishes  # noqa: PLC0415 - 10 ms, for who needs it

    return Secured(target.host, Wishes())


def _where(target: Url, address: IpAddress) -> str:
    return f"{target.host} ({address}:{target.port})"


def _request(target: Url, given: dict[str, list[str]]) -> Request:
    fields = [
        ("Host", host_field(target.host, target.port, target.usual_port)),
        ("User-Agent", given.get("agent", ["Wget"])[-1]),
    ]
    for header in given.get("header", []):
        name, _, value = header.partition(":")
        fields = [field for field in fields if field[0].lower() != name.lower()] + [(name, value.strip())]
    body = given["data"][-1].encode() if "data" in given else b""
    if body:
        fields.append(("Content-Type", "application/x-www-form-urlencoded"))
    method = "HEAD" if "spider" in given else "POST" if "data" in given else "GET"
    return Request(method, target.target, (*fields, ("Connection", "close")), body)


def _words(failed: Failed, address: IpAddress) -> str:
    match failed.failure:
        case Failure.TIMEOUT | Failure.CONNECT_TIMEOUT:
            return "download timed out"
        case Failure.REFUSED | Failure.NO_ROUTE:
            return f"can't connect to remote host ({address}): {os.strerror(failed.number)}"
        case Failure.RESET:
            return f"error getting response: {os.strerror(failed.number)}"
        case Failure.PARTIAL:
            return "connection closed prematurely"
        case _:
            return "error getting response"


def _save(target: Url, got: Fetched, given: dict[str, list[str]], userland: Userland, told: str) -> Finished:
    """Put the body where it belongs."""
    text = got.response.body.decode("utf-8", "replace")
    if "spider" in given:
        return Finished(stderr=told if "quiet" in given else f"{told}remote file exists\n")
    name = given.get("output", [target.target.partition("?")[0].rpartition("/")[2] or "index.html"])[-1]
    shown = "stdout" if name == "-" else f"'{name}'"
    if "quiet" not in given:
        told += f"{'writing to' if name == '-' else 'saving to'} {shown}\n"
        told += f"{'written to' if name == '-' else ''} {shown}{'' if name == '-' else ' saved'}\n".lstrip()
    if name == "-":
        return Finished(text, told)
    if name != "/dev/null":
        userland.write(name, text)
    return Finished("", told)
