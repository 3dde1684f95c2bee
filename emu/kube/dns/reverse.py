# SPDX-License-Identifier: GPL-2.0-only
"""Names of addresses, as reverse zones have them. Source: RFC 1035 §3.5, RFC 3596 §2.5."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.errors import AddressError
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterable


def address_of(name: str) -> str:
    """Return the address whose reverse name `name` is, nothing if it is none."""
    name = name.lower()
    if name.endswith(".in-addr.arpa."):
        return _text(".".join(reversed(name.removesuffix(".in-addr.arpa.").split("."))))
    if name.endswith(".ip6.arpa."):
        nibbles = name.removesuffix(".ip6.arpa.").split(".")[::-1]
        if len(nibbles) != 32 or any(len(each) != 1 for each in nibbles):
            return ""
        return _text(":".join("".join(nibbles[at : at + 4]) for at in range(0, 32, 4)))
    return ""


def _text(text: str) -> str:
    try:
        return str(IpAddress.parse(text))
    except AddressError:
        return ""


def reverse_names(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return the reverse names of addresses."""
    found = []
    for text in addresses:
        address = IpAddress.parse(text)
        if address.family == 4:
            found.append(".".join(map(str, reversed(address))) + ".in-addr.arpa.")
        else:
            found.append(".".join(reversed(address.hex())) + ".ip6.arpa.")
    return tuple(found)
