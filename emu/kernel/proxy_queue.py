# SPDX-License-Identifier: GPL-2.0-only
"""Requests for addresses that this machine answers for in somebody's place, kept for a while.

The owner of the address, should it be on the same wire after all, is to answer
first. Calico sets `proxy_delay` to 0 on its devices, so that nothing waits here.

Source: net/core/neighbour.c `pneigh_enqueue`, `neigh_proxy_process`.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.sim.time import MILLISECOND, Duration, Instant, later

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.wire.frame import Frame

USER_TICK: Final[Duration] = 10 * MILLISECOND
"""What `proxy_delay` and `locktime` count in (USER_HZ)."""


class Redo(NamedTuple):
    """Look at `frame`, which came in on `device`, again, and answer it now."""

    device: str
    frame: Frame


class ProxyQueue:
    """The requests that wait in one namespace."""

    def __init__(self, draw: Callable[[int], int]) -> None:
        self._draw = draw
        self._waiting: list[tuple[Instant, int, Redo]] = []
        self._enqueued = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def next_deadline(self) -> Instant | None:
        """When the next request is due, None if none waits."""
        return self._waiting[0][0] if self._waiting else None

    def enqueue(self, device: str, frame: Frame, now: Instant, *, delay: int, limit: int) -> bool:
        """Keep `frame` for a random time below `delay`.

        Args:
            device: where it came in.
            frame: the request.
            now: the instant.
            delay: `proxy_delay` of the device, hundredths of a second, at least 1.
            limit: `proxy_qlen` of the device; one more than that may wait.

        Returns:
            False if too many requests of the device wait already.
        """
        if sum(redo.device == device for _, _, redo in self._waiting) > limit:
            return False
        self._enqueued += 1
        due = later(now, self._draw(delay * USER_TICK))
        heappush(self._waiting, (due, self._enqueued, Redo(device, frame)))
        return True

    def due(self, now: Instant) -> list[Redo]:
        """Remove and return the requests that are due at `now`."""
        found: list[Redo] = []
        while self._waiting and self._waiting[0][0] <= now:
            found.append(heappop(self._waiting)[2])
        return found

    def purge(self) -> list[Redo]:
        """Remove and return all requests."""
        found = [redo for _, _, redo in sorted(self._waiting, key=lambda item: item[1])]
        self._waiting.clear()
        return found
