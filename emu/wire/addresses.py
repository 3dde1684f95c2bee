# SPDX-License-Identifier: GPL-2.0-only
"""MAC and IP addresses as they stand in a frame.

Inside emu an address *is* its octets: a slice of a frame is already a key of a
neighbour, FDB or socket table, and no object is made per packet. Both families
are one type; the length tells them apart. Text appears only at the edges, by
`parse` and `str`. See `docs/adr/0002-addresses-are-octets.md`.
"""

from __future__ import annotations

import ipaddress
import re
from functools import cached_property, lru_cache
from typing import Final, Self

import attrs

from emu.errors import AddressError

_MAC_TEXT: Final = re.compile(r"(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}")


class MacAddress(bytes):
    """A 48-bit Ethernet address: six octets, network order."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the address that `text` like `02:00:00:00:00:01` names.

        Raises:
            AddressError: not six pairs of hexadecimal digits joined by colons.
        """
        if not isinstance(text, str) or not _MAC_TEXT.fullmatch(text):
            raise AddressError(f"{text!r} is no MAC address (like 02:00:00:00:00:01)")
        return cls(bytes.fromhex(text.replace(":", "")))

    @property
    def is_group(self) -> bool:
        """Whether this addresses several stations (multicast or broadcast)."""
        return bool(self[0] & 1)

    def __str__(self) -> str:
        return self.hex(":")

    def __repr__(self) -> str:
        return f"MacAddress({self})"


ZERO_MAC: Final = MacAddress(bytes(6))
BROADCAST_MAC: Final = MacAddress(b"\xff" * 6)


class IpAddress(bytes):
    """An IPv4 (4 octets) or IPv6 (16 octets) address, network order."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the address that `text` names.

        Raises:
            AddressError: `text` is no address of either family.
        """
        try:
            return cls(ipaddress.ip_address(_plain(text)).packed)
        except ValueError:
            raise AddressError(f"{text!r} is no IP address") from None

    @classmethod
    def from_int(cls, value: int, bits: int = 32) -> Self:
        """Return the address of `bits` bits whose number is `value`."""
        return cls(value.to_bytes(bits // 8, "big"))

    @property
    def family(self) -> int:
        """4 or 6."""
        return 4 if len(self) == 4 else 6

    @property
    def bits(self) -> int:
        """32 or 128."""
        return len(self) * 8

    @property
    def is_multicast(self) -> bool:
        """224.0.0.0/4 or ff00::/8."""
        return self[0] >> 4 == 14 if len(self) == 4 else self[0] == 0xFF

    @property
    def is_loopback(self) -> bool:
        """127.0.0.0/8 or ::1."""
        return self[0] == 127 if len(self) == 4 else self == _LOOPBACK6

    @property
    def is_unspecified(self) -> bool:
        """0.0.0.0 or ::."""
        return self == ANY_IP4 or self == _ANY_IP6  # noqa: PLR1714 - a set would hash them

    def __int__(self) -> int:
        return int.from_bytes(self, "big")

    def __str__(self) -> str:
        return _ip_text(bytes(self))

    def __repr__(self) -> str:
        return f"IpAddress({self})"


def _plain(text: str) -> str:
    """Return `text`, unless it is something else that `ipaddress` takes: a number, octets, a zone."""
    if not isinstance(text, str) or "%" in text:
        raise ValueError(text)
    return text


@lru_cache(maxsize=65536)
def _ip_text(packed: bytes) -> str:
    return str(ipaddress.ip_address(packed))


ANY_IP4: Final = IpAddress(bytes(4))
LIMITED_BROADCAST: Final = IpAddress(b"\xff" * 4)
_ANY_IP6: Final = IpAddress(bytes(16))
_LOOPBACK6: Final = IpAddress(bytes(15) + b"\x01")


@attrs.frozen(order=False)
class Prefix:
    """A range of addresses that share their first `length` bits.

    `address` has no bit set behind the first `length`; make one from any
    address with `Prefix.of`.
    """

    address: IpAddress
    length: int

    @classmethod
    def of(cls, address: IpAddress, length: int) -> Self:
        """Return the prefix of `length` bits that holds `address`."""
        octets = len(address)
        host_bits = octets * 8 - length
        if host_bits:
            number = int.from_bytes(address, "big") >> host_bits << host_bits
            address = IpAddress(number.to_bytes(octets, "big"))
        return cls(address, length)

    @classmethod
    def parse(cls, text: str, *, strict: bool = True) -> Self:
        """Return the prefix that `text` like `10.244.0.0/16` or `10.0.0.1` names.

        Args:
            text: an address, with `/LENGTH` or (a single address) without.
            strict: refuse set host bits instead of clearing them.

        Raises:
            AddressError: `text` is no prefix.
        """
        try:
            network = ipaddress.ip_network(_plain(text), strict=strict)
        except ValueError:
            raise AddressError(f"{text!r} is no prefix (like 10.244.1.0/24)") from None
        return cls(IpAddress(network.network_address.packed), network.prefixlen)

    @property
    def is_host(self) -> bool:
        """Whether this is one single address."""
        return self.length == self.address.bits

    @property
    def has_host_bits(self) -> bool:
        """Whether bits behind the first `length` are set: then this is no prefix."""
        return int.from_bytes(self.address, "big") & (1 << (len(self.address) * 8 - self.length)) - 1 != 0

    @property
    def mask(self) -> int:
        """The netmask as a number of the family's width."""
        bits = self.address.bits
        return ((1 << self.length) - 1) << (bits - self.length)

    def __contains__(self, address: IpAddress) -> bool:
        return len(address) == len(self.address) and int(address) & self.mask == int(self.address)

    def __str__(self) -> str:
        return f"{self.address}/{self.length}"


@attrs.frozen(slots=False)
class Interface:
    """An address with the length of its subnet's prefix, as `ip addr add` takes it."""

    address: IpAddress
    length: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the address and prefix length that `text` like `10.0.0.1/24` names.

        Raises:
            AddressError: `text` has no such form.
        """
        try:
            interface = ipaddress.ip_interface(_plain(text))
        except ValueError:
            raise AddressError(f"{text!r} is no address with prefix length (like 10.0.0.1/24)") from None
        return cls(IpAddress(interface.ip.packed), interface.network.prefixlen)

    @cached_property
    def prefix(self) -> Prefix:
        """The subnet."""
        return Prefix.of(self.address, self.length)

    @cached_property
    def broadcast(self) -> IpAddress:
        """The subnet's highest address, the directed broadcast of IPv4."""
        host_bits = self.address.bits - self.length
        return IpAddress.from_int(int(self.address) | ((1 << host_bits) - 1), self.address.bits)

    def __str__(self) -> str:
        return f"{self.address}/{self.length}"
