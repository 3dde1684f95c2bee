# SPDX-License-Identifier: GPL-2.0-only
"""What TCP and SCTP have alike: who is connected, who listens, who waits to be accepted."""

from __future__ import annotations

import errno
import os
from collections import deque
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

import attrs

from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.sockets import Socket


class Key(NamedTuple):
    """The 4-tuple of a connection, seen from this side. Addresses are plain octets."""

    local: bytes
    local_port: int
    remote: bytes
    remote_port: int

    @property
    def place(self) -> bytes:
        """All of it as octets."""
        ports = self.local_port.to_bytes(2, "big") + self.remote_port.to_bytes(2, "big")
        return self.local + self.remote + ports


class Keyed(Protocol):
    """What is found by a 4-tuple."""

    key: Key


E = TypeVar("E", bound=Keyed)


@attrs.define(eq=False)
class AcceptQueue:
    """What waits to be accepted on a listening socket.

    Attributes:
        backlog: how many connections may wait, less one.
        ready: those that wait, as sockets.
    """

    backlog: int
    ready: deque[Socket] = attrs.field(factory=deque)

    @property
    def is_full(self) -> bool:
        """Whether no further connection may wait. Source: `sk_acceptq_is_full`."""
        return len(self.ready) > self.backlog


def accept(queue: AcceptQueue | None) -> Socket:
    """Return the next socket of a listener's queue.

    Raises:
        BlockingIOError: there is none.
        OSError: EINVAL, there is no queue, as nobody listens.
    """
    if queue is None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    if not queue.ready:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return queue.ready.popleft()


@attrs.define(eq=False)
class Connections(Generic[E]):
    """The connections and listeners of one protocol in a namespace."""

    _entries: dict[Key, E] = attrs.field(factory=dict, init=False)
    _listening: dict[tuple[bytes, int], Socket] = attrs.field(factory=dict, init=False)

    # --- finding ---

    def find(self, key: Key) -> E | None:
        """Return the connection with this 4-tuple."""
        return self._entries.get(key)

    def listening(self, address: bytes, port: int) -> Socket | None:
        """Return who listens there, rather on the address itself than on all."""
        return self._listening.get((address, port)) or self._listening.get((ANY_IP4, port))

    def entries(self) -> Iterator[E]:
        """Yield all connections, the oldest first."""
        yield from self._entries.values()

    def listeners(self) -> Iterator[Socket]:
        """Yield the listening sockets, the oldest first."""
        yield from self._listening.values()

    # --- changing ---

    def add(self, entry: E) -> None:
        """Enter a connection."""
        self._entries[entry.key] = entry

    def remove(self, entry: E) -> None:
        """Forget a connection."""
        if self._entries.get(entry.key) is entry:
            del self._entries[entry.key]

    def listen(self, sock: Socket) -> None:
        """Enter a listening socket."""
        self._listening[sock.local, sock.local_port] = sock

    def stop_listening(self, sock: Socket) -> None:
        """Forget a listening socket."""
        if self._listening.get((sock.local, sock.local_port)) is sock:
            del self._listening[sock.local, sock.local_port]
