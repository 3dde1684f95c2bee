# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of `ip neigh`, and what it prints.

Source: iproute2 6.1, ip/ipneigh.c.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import CommandError
from emu.kernel.nud import Nud
from emu.tools.ip.words import (
    USAGE,
    Words,
    address,
    garbage,
    not_modelled,
    wrong,
)
from emu.wire.addresses import MacAddress

if TYPE_CHECKING:
    from emu.wire.addresses import IpAddress

_OCTET: Final = re.compile(r"[0-9a-fA-F]{1,2}")
_UNMODELLED: Final = ("router", "managed", "extern_learn", "protocol", "use")


@attrs.frozen
class NeighbourSpec:
    """A neighbour as it is written down."""

    ip: IpAddress
    device: str
    mac: MacAddress | None = None
    state: Nud = Nud.PERMANENT
    proxy: bool = False


def mac_octets(text: str) -> bytes:
    """Return the octets that `text`, pairs of digits and colons, means. Source: `ll_addr_a2n`.

    Raises:
        CommandError: a part is no octet.
    """
    parts = text.split(":")
    for part in parts:
        if not _OCTET.fullmatch(part):
            raise CommandError(f'"{part}" is invalid lladdr.', 1)
    return bytes(int(part, 16) for part in parts)


def parse_spec(words: Words) -> NeighbourSpec:
    """Return the neighbour that `words` describe.

    Raises:
        CommandError: they describe none.
    """
    ip: IpAddress | None = None
    device, octets, state, proxy = "", b"", Nud.PERMANENT, False
    while words:
        word = words.take()
        if word == "lladdr":
            octets = mac_octets(words.take())
        elif word == "nud":
            state = nud(words.take())
        elif word == "proxy":
            ip, proxy = address(words.take()), True
        elif word == "dev":
            device = words.take()
        elif word in _UNMODELLED:
            raise not_modelled(f"{word} of a neighbour")
        else:
            if word == "to":
                word = words.take()
            if ip is not None:
                raise garbage("to", word)
            ip = address(word)
    if ip is None or not device:
        raise CommandError("Device and destination are required arguments.", USAGE)
    if octets and len(octets) != 6:
        raise CommandError("Error: Invalid link address.")
    return NeighbourSpec(ip, device, MacAddress(octets) if octets else None, state, proxy)


def nud(text: str) -> Nud:
    """Return the state `text`."""
    try:
        state = Nud.parse(text)
    except ValueError:
        raise wrong(text, "nud state is bad") from None
    if not text.islower():
        raise wrong(text, "nud state is bad")
    return state
