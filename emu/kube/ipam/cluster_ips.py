# SPDX-License-Identifier: GPL-2.0-only
"""ClusterIPs: which of a range are taken, and which comes next.

    network | first ........ lower band ........ | ........ upper band ........ last | broadcast
              for those who wish for one           where the others' are drawn

Source: pkg/registry/core/service/ipallocator/ipallocator.go
(`calculateRangeOffset`, `allocateNextService`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import AddressError
from emu.kube.ipam.errors import AllocationError, RangeFullError
from emu.wire.addresses import IpAddress, Prefix

if TYPE_CHECKING:
    import random

_LEAST, _MOST, _SHARE = 16, 256, 16  # of the lower band: a sixteenth of the range, within bounds
DNS_PLACE: Final = 10
"""Where in the range kubeadm and kind put kube-dns."""


@attrs.define
class ClusterIps:
    """The addresses of one Service range, such as `10.96.0.0/16`."""

    prefix: Prefix
    _taken: set[int] = attrs.field(factory=set, init=False)

    @property
    def family(self) -> str:
        """`IPv4` or `IPv6`."""
        return "IPv4" if self.prefix.address.family == 4 else "IPv6"

    @property
    def first(self) -> int:
        """The number of the lowest address that is given; that of the Service `kubernetes`."""
        return int(self.prefix.address) + 1

    @property
    def last(self) -> int:
        """The number of the highest address that is given: IPv4 keeps the broadcast."""
        bits = self.prefix.address.bits
        return int(self.prefix.address) + (1 << (bits - self.prefix.length)) - (2 if bits == 32 else 1)

    @property
    def offset(self) -> int:
        """How many addresses the lower band has."""
        size = 1 << (self.prefix.address.bits - self.prefix.length)
        return 0 if size <= _LEAST else min(max(_LEAST, size // _SHARE), _MOST)

    def at(self, place: int) -> str:
        """Return the address of a place, counted from 1."""
        return self._text(self.first + place - 1)

    def reserve(self, text: str) -> None:
        """Take the address that `text` names.

        Raises:
            AllocationError: it is outside the range, or taken.
        """
        try:
            address = IpAddress.parse(text)
        except AddressError as error:
            raise AllocationError(str(error)) from None
        number = int(address)
        if address not in self.prefix or not self.first <= number <= self.last:
            raise AllocationError(
                f"the provided IP ({text}) is not in the valid range. The range of valid IPs is {self.prefix}"
            )
        if number in self._taken:
            raise AllocationError("provided IP is already allocated")
        self._taken.add(number)

    def allocate(self, stream: random.Random) -> str:
        """Take an address drawn from `stream` and return it: of the upper band while it has one.

        Raises:
            RangeFullError: all are taken.
        """
        middle = self.first + self.offset
        for low, high in ((middle, self.last), (self.first, middle - 1)):
            number = self._free(low, high, stream)
            if number is not None:
                self._taken.add(number)
                return self._text(number)
        raise RangeFullError

    def _free(self, low: int, high: int, stream: random.Random) -> int | None:
        """Return the first free number from a random one upwards and round, None if there is none."""
        size = high - low + 1
        if size <= 0:
            return None
        start = stream.randrange(size)
        return next(
            (n for step in range(size) if (n := low + (start + step) % size) not in self._taken), None
        )

    def release(self, text: str) -> None:
        """Give an address back; one that was not taken does not matter."""
        self._taken.discard(int(IpAddress.parse(text)))

    def _text(self, number: int) -> str:
        return str(IpAddress.from_int(number, self.prefix.address.bits))
