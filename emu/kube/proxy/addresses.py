# SPDX-License-Identifier: GPL-2.0-only
"""Addresses in old objects: leading zeros are read as decimal. Source: k8s.io/utils/net `ParseIPSloppy`."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from emu.errors import AddressError
from emu.wire.addresses import IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterable


@lru_cache(maxsize=1 << 16)
def address(text: str, family: int) -> str:
    """Return an address in its usual form; empty if it is none, or of the other family."""
    try:
        found = IpAddress.parse(_decimal(text.strip()))
    except AddressError:
        return ""
    return str(found) if found.family == family else ""


def addresses(texts: Iterable[str], family: int) -> tuple[str, ...]:
    """Return those of `texts` that are addresses of the family, in their usual form."""
    return tuple([found for text in texts if (found := address(text, family))])


def network(text: str, family: int) -> Prefix | None:
    """Return a network, its host bits cleared; None if it is none, or of the other family."""
    base, slash, length = text.strip().partition("/")
    if not slash or not length.isdecimal():
        return None
    try:
        found = Prefix.parse(f"{_decimal(base)}/{int(length)}", strict=False)
    except AddressError:
        return None
    return found if found.address.family == family else None


def networks(texts: Iterable[str], family: int) -> tuple[Prefix, ...]:
    """Return those of `texts` that are networks of the family."""
    return tuple([found for text in texts if (found := network(text, family)) is not None])


def _decimal(text: str) -> str:
    """Return `text` with the leading zeros of an IPv4 address taken away."""
    parts = text.split(".")
    if ":" in text or not all(part.isdecimal() for part in parts):
        return text
    return ".".join(str(int(part)) for part in parts)
