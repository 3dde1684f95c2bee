# SPDX-License-Identifier: GPL-2.0-only
"""TLS over a socket, as programs use it: `connect` and `accept` shake hands and give a channel."""

from __future__ import annotations

import errno
import os
import socket as system
from functools import partial
from typing import TYPE_CHECKING, Final

from emu.apps.tls import contexts, trust
from emu.apps.tls.conversation import Conversation, TlsError, Want
from emu.fabric import program
from emu.fabric.confidant import Confidant
from emu.kernel import tcp
from emu.sim.time import EPOCH

if TYPE_CHECKING:
    import ssl

    from emu.apps.tls.contexts import KeyLog, Wishes
    from emu.fabric.program import Program
    from emu.kernel.namespace import Namespace
    from emu.kernel.sockets import Socket
    from emu.sim.time import Duration, Instant


__all__ = ["PlainError", "Tls", "TlsError", "accept", "connect"]

_RECORDS: Final = range(20, 25)  # types of records. RFC 8446, 5.1


class PlainError(Exception):
    """A client does not speak TLS.

    Attributes:
        octets: what it said instead.
    """

    def __init__(self, octets: bytes) -> None:
        super().__init__("no TLS")
        self.octets = octets


class Tls:
    """A channel whose hands are shaken.

    Attributes:
        socket: what it is made of.
        conversation: what OpenSSL knows of it.
    """

    __slots__ = ("_is_over", "conversation", "socket")

    def __init__(self, socket: Socket, conversation: Conversation) -> None:
        self.socket = socket
        self.conversation = conversation
        self._is_over = False

    def send(self, data: bytes, *, timeout: Duration | None = None) -> Program[None]:
        """Send all of `data`."""
        if data:
            self.conversation.write(data)
        yield from program.send(self.socket, self.conversation.give(), timeout=timeout)

    def receive(self, *, timeout: Duration | None = None) -> Program[bytes]:
        """Wait for data and return it; nothing means that the peer has closed, with or without a goodbye."""
        while not self._is_over:
            try:
                data = self.conversation.read()
            except Want:
                octets = yield from program.receive(self.socket, timeout=timeout)
                self.conversation.take(octets)
                continue
            except TlsError as error:
                yield from _flush(self.socket, self.conversation)
                raise OSError(errno.ECONNRESET, error.words) from None
            self._is_over = not data
            return data
        return b""

    def finish(self) -> Program[None]:
        """Say goodbye, and send FIN."""
        yield from self._say_goodbye()
        yield from program.call(partial(tcp.shutdown, sock=self.socket, how=system.SHUT_WR))

    def close(self) -> Program[None]:
        """Say goodbye to who is still there, and close the socket."""
        yield from self._say_goodbye()
        yield from program.close(self.socket)

    def _say_goodbye(self) -> Program[None]:
        if not self._is_over:
            self._is_over = True
            self.conversation.say_goodbye()
            yield from _flush(self.socket, self.conversation)


def connect(
    socket: Socket,
    host: str,
    wishes: Wishes,
    *,
    deadline: Instant | None = None,
    epoch: int = EPOCH,
) -> Program[Tls]:
    """Shake hands as a client; the socket stays open if that fails.

    Args:
        socket: connected.
        host: whom to ask for, and whose certificate is expected.
        wishes: what is wanted.
        deadline: when to give up, None for never.
        epoch: ns since 1970 at the start of the run.

    Raises:
        OSError: the connection is lost, or too slow.
        TlsError: no agreement, or a certificate that is not taken.
    """
    used = contexts.client(wishes)
    conversation = Conversation(used.context, host)
    try:
        yield from _shake_hands(socket, conversation, deadline)
    finally:
        yield from program.call(partial(_disclose, key_log=used.key_log))
    if wishes.trusted is not None:
        now = yield from program.now()
        why = trust.date_fault(conversation.certificate, epoch + now)
        if why:
            raise TlsError("CERTIFICATE_VERIFY_FAILED", "certificate verify failed", why)
    return Tls(socket, conversation)


def accept(
    socket: Socket, context: ssl.SSLContext, begun: bytes = b"", *, deadline: Instant | None = None
) -> Program[Tls]:
    """Shake hands as a server; the socket stays open if that fails.

    Args:
        socket: connected.
        context: of `contexts.server` or `contexts.choosing`.
        begun: what has been read of the connection already.
        deadline: when to give up, None for never.

    Raises:
        OSError: the connection is lost, or too slow.
        PlainError: the client speaks no TLS.
        TlsError: the client does not like ours.
    """
    conversation = Conversation(context, is_server=True)
    first = begun
    if not first:
        left = yield from _left(deadline)
        first = yield from program.receive(socket, timeout=left)
    if first and first[0] not in _RECORDS:
        raise PlainError(first)
    conversation.take(first)
    yield from _shake_hands(socket, conversation, deadline)
    return Tls(socket, conversation)


def _shake_hands(socket: Socket, conversation: Conversation, deadline: Instant | None) -> Program[None]:
    while True:
        try:
            conversation.shake_hands()
        except Want:
            yield from _flush(socket, conversation)
            left = yield from _left(deadline)
            conversation.take((yield from program.receive(socket, timeout=left)))
        except TlsError:
            yield from _flush(socket, conversation)
            raise
        else:
            yield from _flush(socket, conversation)
            return


def _left(deadline: Instant | None) -> Program[Duration | None]:
    if deadline is None:
        return None
    now = yield from program.now()
    if now >= deadline:
        raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
    return deadline - now


def _flush(socket: Socket, conversation: Conversation) -> Program[None]:
    """Send what OpenSSL wants to be sent; that the peer is gone shows when it is read from."""
    octets = conversation.give()
    if octets:
        try:
            yield from program.send(socket, octets)
        except OSError:
            return


def _disclose(net: Namespace, key_log: KeyLog) -> None:
    """Tell who looks on the secrets of connections."""
    secrets = key_log.take()
    recorder: object = net.tap if net.recorder is None else net.recorder
    if isinstance(recorder, Confidant):
        for random, lines in secrets.items():
            recorder.disclosed(random, lines)
