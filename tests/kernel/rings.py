# SPDX-License-Identifier: GPL-2.0-only
"""What passes at devices of the real kernel, octet by octet, seen as tcpdump sees it.

The kernel copies each frame into memory that it shares with us: what a packet
socket hands out otherwise can still change while it goes on its way.
Source: packet(7), Documentation/networking/packet_mmap.rst.
"""

from __future__ import annotations

import mmap
import select
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.kernel.linux import inside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SOL_PACKET: Final = 263
_RX_RING: Final = 5
_VERSION: Final = 10
_TPACKET_V2: Final = 1
_ALL: Final = 3
_SLOT: Final = 2048
_SLOTS: Final = 512
_BLOCK: Final = 65536
_HEADER: Final = struct.Struct("IIIHHII")  # status, length, kept, where the frame is, ..., time
_KIND_OF_PACKET: Final = 32 + 10  # sll_pkttype of the address behind the header
_OUTGOING: Final = 4
_FOR_USER: Final = 1
_SUM_NOT_READY: Final = 8
_GLANCE: Final = 0.05  # s


class Seen(NamedTuple):
    """A frame: when (ns since 1970), its octets, `in` or `out`."""

    time: int
    octets: bytes
    direction: str


class _Ring:
    def __init__(self, netns: str, device: str) -> None:
        self.frames: list[Seen] = []
        self._next = 0
        with inside(netns):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.socket.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V2)
            ring = struct.pack("IIII", _BLOCK, _SLOT * _SLOTS // _BLOCK, _SLOT, _SLOTS)
            self.socket.setsockopt(_SOL_PACKET, _RX_RING, ring)
            self._memory = mmap.mmap(self.socket.fileno(), _SLOT * _SLOTS)
            self.socket.bind((device, _ALL))

    def drain(self) -> bool:
        """Take what has come; return whether anything has."""
        new = list(self._new())
        self.frames += new
        return bool(new)

    def _new(self) -> Iterator[Seen]:
        while True:
            at = self._next * _SLOT
            status, length, kept, start, _, seconds, rest = _HEADER.unpack_from(self._memory, at)
            if not status & _FOR_USER:
                return
            assert length == kept, f"a frame of {length} octets"
            assert not status & _SUM_NOT_READY, "checksums are left to a device"
            octets = self._memory[at + start : at + start + kept]
            way = "out" if self._memory[at + _KIND_OF_PACKET] == _OUTGOING else "in"
            struct.pack_into("I", self._memory, at, 0)
            self._next = (self._next + 1) % _SLOTS
            yield Seen(seconds * 10**9 + rest, octets, way)

    def close(self) -> None:
        self._memory.close()
        self.socket.close()


class Rings:
    """Recorders at some devices, each by namespace of this machine and name, until it is closed."""

    def __init__(self, points: Iterable[tuple[str, str]]) -> None:
        self._rings = {point: _Ring(*point) for point in points}
        self._last = time.monotonic()
        self._is_closing = False
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        by_number = {ring.socket.fileno(): ring for ring in self._rings.values()}
        poll = select.epoll()
        for number in by_number:
            poll.register(number, select.EPOLLIN)
        with poll:
            while not self._is_closing:
                for number, _ in poll.poll(_GLANCE):
                    if by_number[number].drain():
                        self._last = time.monotonic()

    def wait_for_silence(self, span: float, limit: float = 5) -> None:
        """Wait until nothing was seen for `span` seconds, at most for `limit`."""
        began = time.monotonic()
        while True:
            now = time.monotonic()
            end = min(max(self._last, began) + span, began + limit)
            if now >= end:
                return
            time.sleep(min(end - now, _GLANCE))

    def close(self) -> dict[tuple[str, str], list[Seen]]:
        """Stop, and return what was seen, by point."""
        self._is_closing = True
        self._thread.join()
        for ring in self._rings.values():
            ring.drain()
            ring.close()
        return {point: sorted(ring.frames) for point, ring in self._rings.items()}
