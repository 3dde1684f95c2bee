# SPDX-License-Identifier: GPL-2.0-only
"""/etc/resolv.conf.

Source: resolv.conf(5); glibc resolv/res_init.c, musl src/network/resolvconf.c.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import AddressError
from emu.sim.time import SECOND, Duration
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_SERVERS: Final = 3
_LOOPBACK: Final = IpAddress.parse("127.0.0.1")
_MUSL_LINE: Final = 254  # octets; a longer line is skipped
_MUSL_SEARCH: Final = 255


class Flavour(enum.Enum):
    """Whose resolver asks."""

    GLIBC = "glibc"
    MUSL = "musl"


@attrs.frozen
class Configuration:
    """How names are asked for.

    Attributes:
        servers: whom to ask, 1 to 3.
        search: domains to try below.
        ndots: a name with fewer dots is searched for first.
        timeout: for each server, ns (musl: for all).
        attempts: rounds (musl: how often `timeout` is divided).
        rotate: begin with another server at each lookup.
        single_request: ask for AAAA only when A is answered.
        single_request_reopen: and by another socket.
        use_vc: ask by TCP.
        no_aaaa: never ask for AAAA.
        edns0: say that longer answers are welcome.
        trust_ad: set AD in queries.
    """

    servers: tuple[IpAddress, ...] = (_LOOPBACK,)
    search: tuple[str, ...] = ()
    ndots: int = 1
    timeout: Duration = 5 * SECOND
    attempts: int = 2
    rotate: bool = False
    single_request: bool = False
    single_request_reopen: bool = False
    use_vc: bool = False
    no_aaaa: bool = False
    edns0: bool = False
    trust_ad: bool = False


_NUMBERS: Final = {"ndots": (0, 15), "timeout": (1, 30), "attempts": (1, 5)}
_MUSL_NUMBERS: Final = {"ndots": (0, 15), "timeout": (1, 60), "attempts": (1, 10)}
_USUAL: Final = {"ndots": 1, "timeout": 5, "attempts": 2}


def parse(text: str, *, hostname: str = "", flavour: Flavour = Flavour.GLIBC) -> Configuration:
    """Read the text of a resolv.conf; what it does not understand is passed over, as the libraries do.

    Args:
        text: the file.
        hostname: its domain is searched if the file names none (glibc).
        flavour: whose limits hold.
    """
    is_musl = flavour is Flavour.MUSL
    servers: list[IpAddress] = []
    search: tuple[str, ...] | None = None
    numbers = dict(_USUAL)
    flags: set[str] = set()
    for line in text.splitlines():
        if is_musl and len(line) > _MUSL_LINE:
            continue
        words = line.split()
        if not words or line[0] in "#;" or line[0].isspace():
            continue
        match words:
            case ["nameserver", server, *_] if len(servers) < MOST_SERVERS:
                servers += _server(server)
            case ["domain", domain, *_]:
                search = (domain,)
            case ["search", *domains]:
                search = tuple(domains)
            case ["options", *options]:
                flags.update(() if is_musl else options)
                numbers.update(_numbers(options, _MUSL_NUMBERS if is_musl else _NUMBERS))
    if search is None:
        domain = "" if is_musl else hostname.partition(".")[2]
        search = (domain,) if domain else ()
    if is_musl and len(" ".join(search)) > _MUSL_SEARCH:
        search = ()
    return Configuration(
        servers=tuple(servers) or (_LOOPBACK,),
        search=tuple(domain.rstrip(".") for domain in search),
        ndots=numbers["ndots"],
        timeout=numbers["timeout"] * SECOND,
        attempts=numbers["attempts"],
        rotate="rotate" in flags,
        single_request="single-request" in flags,
        single_request_reopen="single-request-reopen" in flags,
        use_vc="use-vc" in flags,
        no_aaaa="no-aaaa" in flags,
        edns0="edns0" in flags,
        trust_ad="trust-ad" in flags,
    )


def _server(text: str) -> list[IpAddress]:
    try:
        return [IpAddress.parse(text.partition("%")[0])]
    except AddressError:
        return []


def _numbers(options: list[str], limits: Mapping[str, tuple[int, int]]) -> Iterator[tuple[str, int]]:
    """Yield the options that have a number, which is kept within its limits."""
    for option in options:
        name, _, value = option.partition(":")
        digits = value[: len(value) - len(value.lstrip("0123456789"))]
        if name in limits and digits:
            least, most = limits[name]
            yield name, min(max(int(digits[:6]), least), most)
