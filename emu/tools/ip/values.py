# SPDX-License-Identifier: GPL-2.0-only
"""Numbers, addresses and prefixes as iproute2 reads them.

Source: iproute2 6.1, lib/utils.c, lib/ll_addr.c.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

from emu.errors import AddressError, CommandError
from emu.tools.ip.words import Words, expected, not_modelled, wrong
from emu.wire.addresses import ANY_IP4, Interface, IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_U32: Final = 2**32 - 1
SECOND: Final = 1_000_000_000  # ns
_ANY: Final = frozenset({"default", "all", "any"})
_OCTET: Final = re.compile(r"[0-9a-fA-F]{1,2}")


def number(text: str, most: int = MAX_U32) -> int | None:
    """Return the number from 0 to `most` that `text` means in C's notation, None if it means none.

    Source: `get_unsigned`.
    """
    digits, base = text, 10
    if text[:2].lower() == "0x":
        digits, base = text[2:], 16
    elif text.startswith("0") and len(text) > 1:
        base = 8
    if not digits.isascii() or not digits.isalnum():
        return None
    try:
        value = int(digits, base)
    except ValueError:
        return None
    return value if value <= most else None


def count(
    message: str, most: int = MAX_U32, names: Mapping[str, int] | None = None
) -> Callable[[Words], int]:
    """Return a reader of a number, or of one of `names`; it complains with `message`."""
    return partial(_count, message=message, most=most, names=names or {})


def _count(words: Words, *, message: str, most: int, names: Mapping[str, int]) -> int:
    text = words.take()
    value = names[text] if text in names else number(text, most)
    if value is None:
        raise wrong(text, message)
    return value


def _dotted(text: str) -> IpAddress | None:
    """Return an IPv4 address of which the last octets may be missing. Source: `get_addr_ipv4`."""
    octets = [number(part, 255) if part[:1].isdigit() else None for part in text.split(".")]
    known = [octet for octet in octets if octet is not None]
    if len(octets) > 4 or len(known) < len(octets):
        return None
    return IpAddress(bytes(known).ljust(4, b"\0"))


def _refuse_ipv6(text: str) -> None:
    try:
        family = IpAddress.parse(text.partition("/")[0]).family
    except AddressError:
        return
    if family == 6:
        raise not_modelled("IPv6")


def address(text: str, what: str = "inet address") -> IpAddress:
    """Return the IPv4 address that `text` means.

    Raises:
        CommandError: it means none.
    """
    if text in _ANY:
        return ANY_IP4
    found = _dotted(text)
    if found is None:
        _refuse_ipv6(text)
        raise expected(what, text)
    return found


def next_address(words: Words) -> IpAddress:
    """Take an IPv4 address."""
    return address(words.take())


def interface(text: str) -> tuple[Interface, bool]:
    """Return an address with a prefix length, and whether the length was given.

    Raises:
        CommandError: `text` has no such form.

    Source: `get_prefix_1`.
    """
    if text in _ANY:
        return Interface(ANY_IP4, 0), True
    head, slash, tail = text.partition("/")
    found = _dotted(head)
    length = _length(tail) if slash else 32
    if found is None or length is None:
        _refuse_ipv6(text)
        raise expected("any valid prefix", text)
    return Interface(found, length), bool(slash)


def _length(text: str) -> int | None:
    length = number(text, 32)
    if length is not None or text.count(".") != 3:
        return length
    mask = _dotted(text)
    bits = "" if mask is None else f"{int(mask):032b}"
    return bits.count("1") if bits and "01" not in bits else None


def prefix(text: str) -> Prefix:
    """Return the prefix that `text` means; bits behind its length stay, for the kernel to judge.

    Raises:
        CommandError: it means none.
    """
    found, _ = interface(text)
    return Prefix(found.address, found.length)


def next_prefix(words: Words) -> Prefix:
    """Take a prefix."""
    return prefix(words.take())


def contains(outer: Prefix, inner: Prefix) -> bool:
    """Return whether all addresses of `inner` are in `outer`."""
    bits = outer.mask
    return inner.length >= outer.length and int(inner.address) & bits == int(outer.address) & bits


def short(prefix: Prefix) -> str:
    """Return `prefix` as it is shown: the length only where it says something."""
    return str(prefix.address) if prefix.is_host else str(prefix)


def link_address(text: str) -> bytes:
    """Return the octets that pairs of hexadecimal digits between colons mean. Source: `ll_addr_a2n`.

    Raises:
        CommandError: a part is no octet.
    """
    parts = text.split(":")
    for part in parts:
        if not _OCTET.fullmatch(part):
            raise CommandError(f'"{part}" is invalid lladdr.', 1)
    return bytes(int(part, 16) for part in parts)
