# SPDX-License-Identifier: GPL-2.0-only
"""getaddrinfo(3) and its opposite, for programs. Source: nsswitch.conf's `hosts: files dns`."""

from __future__ import annotations

import socket as system
from typing import TYPE_CHECKING, Final

from emu.apps.resolver import hosts, musl, order
from emu.apps.resolver.configuration import Configuration, Flavour, parse
from emu.apps.resolver.glibc import Failure, Resolver
from emu.apps.resolver.message import reverse_name
from emu.apps.resolver.verdict import Reason, Resolved, Unresolved
from emu.errors import AddressError
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from typing import Literal

    from emu.apps.resolver.message import Kind
    from emu.fabric.program import Program
    from emu.fabric.userland import Userland

    Family = Literal[0, 4, 6]

__all__ = ["Reason", "Resolved", "Unresolved", "configuration", "look_up", "name_of", "numeric"]

PATH: Final = "/etc/resolv.conf"
_KINDS: Final[dict[int, tuple[Kind, ...]]] = {0: ("A", "AAAA"), 4: ("A",), 6: ("AAAA",)}
_MOST_OCTETS: Final = 255


def configuration(userland: Userland) -> Configuration:
    """Return what a userland's resolv.conf says; without one the server is on the loopback."""
    return parse(userland.files.get(PATH, ""), hostname=userland.hostname, flavour=Flavour(userland.libc))


def look_up(
    name: str, userland: Userland, *, family: Family = 0, flavour: Flavour | None = None
) -> Program[Resolved | Unresolved]:
    """Return the addresses of a name: a number, one of /etc/hosts, or one that DNS knows.

    Args:
        name: relative or, with a dot at its end, absolute.
        userland: has the files.
        family: 4 or 6 for addresses of that kind alone; 0 asks for both.
        flavour: whose resolver; None for that of the userland.
    """
    flavour = Flavour(userland.libc) if flavour is None else flavour
    number = numeric(name)
    if number is not None:
        if family in {0, number.family}:
            return Resolved((number,), name)
        return Unresolved(Reason.NONAME, flavour)
    lines = hosts.by_name(userland, name.removesuffix("."))
    own = tuple(line.address for line in lines if family in {0, line.address.family})
    if own:
        return Resolved((yield from order.sort(own)), lines[0].names[0])
    if not name or len(name) > _MOST_OCTETS:
        return Unresolved(Reason.NONAME, flavour)
    settings = parse(userland.files.get(PATH, ""), hostname=userland.hostname, flavour=flavour)
    kinds = ("A",) if settings.no_aaaa and family == 0 else _KINDS[family]
    if flavour is Flavour.MUSL:
        found = yield from musl.search(settings, name, kinds)
    else:
        resolver = yield from Resolver.start(settings)
        found = yield from resolver.search(name, kinds)
    if isinstance(found, Reason):
        return Unresolved(found, flavour)
    return Resolved((yield from order.sort(found.addresses)), found.canonical)


def name_of(address: IpAddress, userland: Userland) -> Program[str | None]:
    """Return the name of an address (getnameinfo(3)): of /etc/hosts, or of DNS; None if it has none."""
    known = hosts.by_address(userland, address)
    if known is not None or address.family != 4:
        return known
    resolver = yield from Resolver.start(configuration(userland))
    answer = yield from resolver.query(reverse_name(address), ("PTR",))
    if isinstance(answer, Failure) or not answer[0].names:
        return None
    return answer[0].names[0]


def numeric(text: str) -> IpAddress | None:
    """Return the address that a text is, also in the short forms of inet_aton(3) (`127.1`), or None."""
    try:
        return IpAddress.parse(text.strip("[]") if text.startswith("[") else text)
    except AddressError:
        pass
    if not text or not all(part[:1].isdecimal() for part in text.split(".")):
        return None
    try:
        return IpAddress(system.inet_aton(text))
    except (OSError, ValueError):
        return None
