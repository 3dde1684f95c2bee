# SPDX-License-Identifier: GPL-2.0-only
"""Node ports: which of the range are taken, and which comes next.

Source: pkg/registry/core/service/portallocator/allocator.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.ipam.errors import AllocationError, RangeFullError

if TYPE_CHECKING:
    import random

_LEAST, _MOST, _SHARE = 16, 128, 32  # of the lower band: a thirty-second part, within bounds
DEFAULT_RANGE: Final = (30000, 32767)


@attrs.define
class NodePorts:
    """The ports from `first` to `last`, both included, that Services may have on every node."""

    first: int = DEFAULT_RANGE[0]
    last: int = DEFAULT_RANGE[1]
    _taken: set[int] = attrs.field(factory=set, init=False)

    @property
    def offset(self) -> int:
        """How many ports the lower band has, from which none is drawn while the upper has one."""
        size = self.last - self.first + 1
        return 0 if size <= _LEAST else min(max(_LEAST, size // _SHARE), _MOST)

    def reserve(self, port: int) -> None:
        """Take `port`.

        Raises:
            AllocationError: it is outside the range, or taken.
        """
        if not self.first <= port <= self.last:
            raise AllocationError(
                "provided port is not in the valid range. "
                f"The range of valid ports is {self.first}-{self.last}"
            )
        if port in self._taken:
            raise AllocationError("provided port is already allocated")
        self._taken.add(port)

    def allocate(self, stream: random.Random) -> int:
        """Take a port drawn from `stream` and return it.

        Raises:
            RangeFullError: all are taken.
        """
        middle = self.first + self.offset
        for low, high in ((middle, self.last), (self.first, middle - 1)):
            size = high - low + 1
            if size <= 0:
                continue
            start = stream.randrange(size)
            for step in range(size):
                port = low + (start + step) % size
                if port not in self._taken:
                    self._taken.add(port)
                    return port
        raise RangeFullError

    def release(self, port: int) -> None:
        """Give a port back; one that was not taken does not matter."""
        self._taken.discard(port)
