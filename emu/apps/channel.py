# SPDX-License-Identifier: GPL-2.0-only
"""A stream of octets to a peer: a TCP connection as it is, or one with TLS on it (`emu.apps.tls.channel`)."""

from __future__ import annotations

import socket as system
from functools import partial
from typing import TYPE_CHECKING, Protocol

from emu.fabric import program
from emu.kernel import tcp

if TYPE_CHECKING:
    from emu.fabric.program import Program
    from emu.kernel.sockets import Socket
    from emu.sim.time import Duration


class Channel(Protocol):
    """A connection that stands."""

    @property
    def socket(self) -> Socket:
        """What it is made of."""

    def send(self, data: bytes, *, timeout: Duration | None = None) -> Program[None]:
        """Send all of `data`.

        Raises:
            OSError: the connection is lost, or too slow.
        """

    def receive(self, *, timeout: Duration | None = None) -> Program[bytes]:
        """Wait for data and return it; nothing means that the peer has closed.

        Raises:
            OSError: the connection is lost, or too slow.
        """

    def finish(self) -> Program[None]:
        """Say that no more is sent; the peer may still."""

    def close(self) -> Program[None]:
        """Give the connection up."""


class Plain:
    """A TCP connection as it is."""

    __slots__ = ("socket",)

    def __init__(self, socket: Socket) -> None:
        self.socket = socket

    def send(self, data: bytes, *, timeout: Duration | None = None) -> Program[None]:
        """Send all of `data`."""
        return program.send(self.socket, data, timeout=timeout)

    def receive(self, *, timeout: Duration | None = None) -> Program[bytes]:
        """Wait for data and return it."""
        return program.receive(self.socket, timeout=timeout)

    def finish(self) -> Program[None]:
        """Send FIN."""
        yield from program.call(partial(tcp.shutdown, sock=self.socket, how=system.SHUT_WR))

    def close(self) -> Program[None]:
        """Close the socket."""
        return program.close(self.socket)
