# SPDX-License-Identifier: GPL-2.0-only
"""The words of a command line, taken one by one, and how iproute2 complains of them.

A word may be shortened where iproute2 lets it: the first known word that begins
with it is meant.

Source: iproute2 6.1, lib/utils.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.errors import AddressError, CommandError
from emu.wire.addresses import ANY_IP4, Interface, IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

USAGE = 255  # exit status for arguments that make no sense


class Words:
    """The words that are left."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = list(reversed([str(word) for word in words]))

    def __bool__(self) -> bool:
        return bool(self._words)

    def take(self) -> str:
        """Return the next word.

        Raises:
            CommandError: there is none.
        """
        if not self._words:
            raise incomplete()
        return self._words.pop()

    def peek(self) -> str:
        """Return the next word without taking it, empty if there is none."""
        return self._words[-1] if self._words else ""

    def rest(self) -> list[str]:
        """Take all words that are left."""
        words = self._words[::-1]
        self._words.clear()
        return words


def is_short_for(word: str, *full: str) -> bool:
    """Return whether `word` is one of the `full` words, or the beginning of one."""
    return bool(word) and any(known.startswith(word) for known in full)


def choose(word: str, known: Iterable[str]) -> str | None:
    """Return the first of the `known` words that begins with `word`, None if none does."""
    return next((full for full in known if is_short_for(word, full)), None)


# --- complaints ---


def incomplete() -> CommandError:
    """Return the complaint of an option without its value."""
    return CommandError('Command line is not complete. Try option "help"', USAGE)


def wrong(argument: str, message: str) -> CommandError:
    """Return the complaint of a value. Source: `invarg`."""
    return CommandError(f'Error: argument "{argument}" is wrong: {message}', USAGE)


def garbage(key: str, argument: str) -> CommandError:
    """Return the complaint of a word that nobody expects. Source: `duparg2`."""
    return CommandError(f'Error: either "{key}" is duplicate, or "{argument}" is a garbage.', USAGE)


def not_modelled(what: str) -> CommandError:
    """Return the complaint of something that Linux can do and emu cannot."""
    return CommandError(f"{what} is not modelled", USAGE)


def no_device(name: str) -> CommandError:
    """Return the complaint of a device that does not exist."""
    return CommandError(f'Cannot find device "{name}"', 1)


def expected(what: str, argument: str) -> CommandError:
    """Return the complaint of a text that is no address or prefix."""
    return CommandError(f'Error: {what} is expected rather than "{argument}".', 1)


# --- values ---


def number(text: str, most: int = 2**32 - 1) -> int | None:
    """Return the number from 0 to `most` that `text` means in C's notation, None if it means none.

    Source: lib/utils.c `get_unsigned`.
    """
    digits = text.strip()
    base = 10
    if digits[:2].lower() == "0x":
        base, digits = 16, digits[2:]
    elif len(digits) > 1 and digits.startswith("0"):
        base = 8
    if not digits.isascii() or not digits.isalnum():
        return None
    try:
        value = int(digits, base)
    except ValueError:
        return None
    return value if value <= most else None


def named(text: str, names: Mapping[str, int], most: int = 2**32 - 1) -> int | None:
    """Return the number of a name, or the number itself; None if it is neither."""
    return names[text] if text in names else number(text, most)


def _dotted(text: str) -> IpAddress | None:
    """Return an IPv4 address of which the last octets may be missing. Source: `get_addr_ipv4`."""
    octets = [number(part, 255) if part[:1].isdigit() else None for part in text.split(".")]
    if len(octets) > 4:
        return None
    known = [octet for octet in octets if octet is not None]
    if len(known) < len(octets):
        return None
    return IpAddress(bytes(known).ljust(4, b"\0"))


def _is_ip6(text: str) -> bool:
    try:
        return IpAddress.parse(text.partition("/")[0]).family == 6
    except AddressError:
        return False


def address(text: str, what: str = "inet address") -> IpAddress:
    """Return the IPv4 address that `text` means.

    Raises:
        CommandError: it means none.
    """
    if text in {"default", "all", "any"}:
        return ANY_IP4
    found = _dotted(text)
    if found is None and _is_ip6(text):
        raise not_modelled("IPv6")
    if found is None:
        raise expected(what, text)
    return found


def interface(text: str) -> tuple[Interface, bool]:
    """Return an address with a prefix length, and whether the length was given.

    Raises:
        CommandError: `text` has no such form.

    Source: lib/utils.c `get_prefix_1`.
    """
    if text in {"default", "all", "any"}:
        return Interface(ANY_IP4, 0), True
    head, slash, tail = text.partition("/")
    found = _dotted(head)
    if found is None and _is_ip6(text):
        raise not_modelled("IPv6")
    length = _length(tail) if slash else 32
    if found is None or length is None:
        raise expected("any valid prefix", text)
    return Interface(found, length), bool(slash)


def _length(text: str) -> int | None:
    length = number(text, 32)
    if length is not None:
        return length
    mask = _dotted(text) if text.count(".") == 3 else None
    if mask is None:
        return None
    bits = f"{int(mask):032b}"
    return bits.count("1") if "01" not in bits else None


def prefix(text: str) -> Prefix:
    """Return the prefix that `text` means; bits behind its length stay, for the kernel to refuse.

    Raises:
        CommandError: it means none.
    """
    found, _ = interface(text)
    return Prefix(found.address, found.length)
