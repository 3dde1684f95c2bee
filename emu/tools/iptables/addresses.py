# SPDX-License-Identifier: GPL-2.0-only
"""Addresses with masks, as behind `-s` and `-d`. Source: libxtables/xtables.c `xtables_ipparse_multiple`."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel.netfilter.matches.ip import Destination, Source
from emu.tools.iptables.extension import wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALL: Final = 0xFFFFFFFF
_HOSTS: Final = {"localhost": (127, 0, 0, 1)}


class Masked(NamedTuple):
    """An address under a mask: 4 octets each, no bit set outside the mask."""

    address: bytes
    mask: bytes


def _quad(text: str) -> tuple[int, ...] | None:
    """Return four numbers of a dotted address, which may end early (`10.1`); None if it is none."""
    parts = text.split(".")
    if len(parts) > 4 or not all(
        part.isascii() and part.isdigit() and len(part) <= 3 and int(part) <= 255 for part in parts
    ):
        return None
    return (*map(int, parts), 0, 0, 0)[:4]


def _address(text: str) -> bytes:
    quad = _quad(text) or _HOSTS.get(text)
    if quad is None:
        raise wrong(f"host/network `{text}' not found")
    return bytes(quad)


def _mask(text: str) -> bytes:
    if text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 32:
        return (_ALL << 32 - int(text) & _ALL).to_bytes(4, "big")
    quad = _quad(text) if text.count(".") == 3 else None
    if quad is None:
        raise wrong(f"invalid mask `{text}' specified")
    return bytes(quad)


def _masked(text: str) -> Masked:
    name, slash, length = text.partition("/")
    mask = _mask(length) if slash else b"\xff\xff\xff\xff"
    address = _address(name)
    kept = int.from_bytes(address, "big") & int.from_bytes(mask, "big")
    return Masked(kept.to_bytes(4, "big"), mask)


def _parsed(text: str, *, inverted: bool) -> Iterator[Masked | None]:
    parts = text.split(",")
    if inverted and len(parts) > 1:
        raise wrong("! not allowed with multiple source or destination IP addresses")
    for part in parts:
        masked = _masked(part)
        yield masked if inverted or any(masked.mask) else None


@lru_cache(maxsize=1 << 16)
def sources(text: str, *, inverted: bool = False) -> tuple[Source | None, ...]:
    """Return what `-s A[/M],...` asks for: a condition for each of its rules, None for any address.

    Raises:
        CommandError: it cannot be read.
    """
    return tuple(one and Source(*one, inverted) for one in _parsed(text, inverted=inverted))


@lru_cache(maxsize=1 << 16)
def destinations(text: str, *, inverted: bool = False) -> tuple[Destination | None, ...]:
    """Return what `-d A[/M],...` asks for, likewise.

    Raises:
        CommandError: it cannot be read.
    """
    return tuple(one and Destination(*one, inverted) for one in _parsed(text, inverted=inverted))


def prefix_length(mask: bytes) -> int | None:
    """Return how long the prefix is that `mask` leaves, None if it is none."""
    number = int.from_bytes(mask, "big")
    length = number.bit_count()
    return length if number == _ALL << 32 - length & _ALL else None


def dotted(octets: bytes) -> str:
    """Return the text of an address or mask."""
    return f"{octets[0]}.{octets[1]}.{octets[2]}.{octets[3]}"


@lru_cache(maxsize=1 << 16)
def text_of(address: bytes, mask: bytes) -> str:
    """Return `A/LENGTH`, or `A/MASK` for a mask with gaps."""
    length = prefix_length(mask)
    return f"{dotted(address)}/{dotted(mask) if length is None else length}"
