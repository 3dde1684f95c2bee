# SPDX-License-Identifier: GPL-2.0-only
"""Whom a command line means: an address, or a name that has one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from emu.apps.resolver.lookup import Unresolved, look_up, numeric
from emu.errors import CommandError

if TYPE_CHECKING:
    from emu.fabric.program import Program
    from emu.fabric.userland import Userland
    from emu.wire.addresses import IpAddress


@attrs.frozen
class Target:
    """Who is meant: the canonical name (or the number as it was typed), and the address."""

    name: str
    address: IpAddress
    is_number: bool


def find(tool: str, text: str, userland: Userland, *, family: Literal[0, 4] = 0) -> Program[Target]:
    """Return whom `text` means.

    Raises:
        CommandError: nobody, or only IPv6 leads there; status 2.
    """
    found = yield from look_up(text, userland, family=family)
    if isinstance(found, Unresolved):
        raise CommandError(f"{tool}: {text}: {found}", 2)
    if not found.ipv4:
        raise CommandError(f"{tool}: {text}: only IPv4 is modelled", 2)
    return Target(found.canonical, found.ipv4[0], numeric(text) is not None)
