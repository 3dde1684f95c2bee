# SPDX-License-Identifier: GPL-2.0-only
"""`getent hosts` and `getent ahosts`: what the C library makes of a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.apps.resolver.lookup import Unresolved, look_up, name_of, numeric
from emu.apps.tools.finished import Finished
from emu.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.fabric.program import Program
    from emu.fabric.userland import Userland


def run(argv: Sequence[str], userland: Userland) -> Program[Finished]:
    """Print the addresses of names; the status is 2 if one has none."""
    match [*argv]:
        case ["hosts" | "ahosts" | "ahostsv4" as database, *names] if names:
            pass
        case _:
            raise CommandError("getent: only hosts, ahosts and ahostsv4 with names are modelled", 1)
    lines: list[str] = []
    status = 0
    for name in names:
        found = yield from (
            _host(name, userland) if database == "hosts" else _address(name, userland, database)
        )
        lines += found
        status = status if found else 2
    return Finished("".join(f"{line}\n" for line in lines), status=status)


def _host(name: str, userland: Userland) -> Program[list[str]]:
    address = numeric(name)
    if address is not None:
        known = yield from name_of(address, userland)
        return [f"{address!s:<15} {known}"] if known is not None else []
    found = yield from look_up(name, userland)
    if isinstance(found, Unresolved):
        return []
    addresses = [one for one in found.addresses if one.family == 6] or list(found.ipv4)
    return [f"{address!s:<15} {found.canonical}" for address in addresses]


def _address(name: str, userland: Userland, database: str) -> Program[list[str]]:
    found = yield from look_up(name, userland, family=4 if database == "ahostsv4" else 0)
    if isinstance(found, Unresolved):
        return []
    lines: list[str] = []
    for address in found.addresses:
        for kind in ("STREAM", "DGRAM", "RAW"):
            name_once = found.canonical if not lines else ""
            lines.append(f"{address!s:<15} {kind:<6} {name_once}")
    return lines
