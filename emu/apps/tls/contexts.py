# SPDX-License-Identifier: GPL-2.0-only
"""What OpenSSL is told: contexts, kept for those who are told the same, and the key log of the clients.

A key log (as browsers write it for SSLKEYLOGFILE) opens a capture to Wireshark.
OpenSSL writes it to a file; ours has no name any more when the first line comes.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emu.apps.tls.certificates import Credential

HTTP: Final = ("http/1.1",)
"""What is spoken over TLS, as ALPN calls it."""

_NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME: the clock is ours (`trust`)
_MOST: Final = 512  # contexts that are kept


@attrs.frozen
class Wishes:
    """What a client wants of TLS.

    Attributes:
        trusted: certificates of the authorities it trusts, in PEM; None: whoever answers is believed.
        alpn: what it speaks over TLS, the dearest first.
        least: the oldest version; TLS 1.2 if None.
        most: the newest version; TLS 1.3 if None.
    """

    trusted: str | None = None
    alpn: tuple[str, ...] = HTTP
    least: ssl.TLSVersion | None = None
    most: ssl.TLSVersion | None = None


class KeyLog:
    """The file in which OpenSSL writes the secrets of the connections of a context."""

    def __init__(self) -> None:
        handle, self.name = tempfile.mkstemp(prefix=".emu-keys-")
        self._file = os.fdopen(handle, "rb")

    def forget_name(self) -> None:
        """Let the file be gone as soon as nobody has it open."""
        with suppress(OSError):  # some systems keep a file that is open
            Path(self.name).unlink()

    def take(self) -> dict[bytes, bytes]:
        """Return the lines since the last time, by the client's random that they are about."""
        found: dict[bytes, bytes] = {}
        for line in self._file.read().splitlines(keepends=True):
            words = line.split()
            if len(words) == 3 and not line.startswith(b"#"):
                random = bytes.fromhex(words[1].decode())
                found[random] = found.get(random, b"") + line
        return found

    def close(self) -> None:
        """Give the file up."""
        self._file.close()

    def __del__(self) -> None:
        self.close()


@attrs.frozen(eq=False)
class Client:
    """A client's context and where its secrets come out."""

    context: ssl.SSLContext
    key_log: KeyLog


def client(wishes: Wishes) -> Client:
    """Return what a client with these wishes uses.

    Raises:
        ValueError: what it trusts are no certificates.
    """
    return _client(wishes, os.getpid())


@lru_cache(maxsize=_MOST)
def _client(wishes: Wishes, _process: int) -> Client:
    """Make a context; processes that go on from a copy of this one write to files of their own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # some builds of Python set it
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE if wishes.trusted is None else ssl.CERT_REQUIRED
    context.verify_flags |= _NO_CHECK_TIME
    context.minimum_version = wishes.least or ssl.TLSVersion.TLSv1_2
    context.maximum_version = wishes.most or ssl.TLSVersion.TLSv1_3
    if wishes.alpn:
        context.set_alpn_protocols(list(wishes.alpn))
    if wishes.trusted is not None:
        try:
            context.load_verify_locations(cadata=wishes.trusted)
        except (ssl.SSLError, ValueError):
            raise ValueError("no certificates in PEM") from None
    key_log = KeyLog()
    context.keylog_filename = key_log.name
    key_log.forget_name()
    return Client(context, key_log)


@lru_cache(maxsize=_MOST)
def server(credential: Credential, alpn: tuple[str, ...] = HTTP) -> ssl.SSLContext:
    """Return what a server with a certificate uses. It gives no tickets for later connections.

    Raises:
        ValueError: the certificate or its key cannot be read, or they do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET | ssl.OP_IGNORE_UNEXPECTED_EOF  # no alert for who is gone, as nginx
    if alpn:
        context.set_alpn_protocols(list(alpn))
    with _file(credential.certificate) as certificate, _file(credential.key) as key:
        try:
            context.load_cert_chain(certificate, key, password=_no_password)
        except (ssl.SSLError, ValueError, OSError) as error:
            reason = getattr(error, "reason", None) or "no certificate and key in PEM"
            raise ValueError(str(reason).lower().replace("_", " ")) from None
    return context


def choosing(
    default: Credential, choose: Callable[[str | None], Credential], alpn: tuple[str, ...] = HTTP
) -> ssl.SSLContext:
    """Return what a server with several certificates uses: `choose` is told the name that a client asks for.

    Args:
        default: for a client whose hello is not even read so far.
        choose: gives the certificate for a name; None for a client that names nobody.
        alpn: what is spoken over TLS.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET | ssl.OP_IGNORE_UNEXPECTED_EOF  # no alert for who is gone, as nginx
    context.set_alpn_protocols(list(alpn))
    with _file(default.certificate) as certificate, _file(default.key) as key:
        context.load_cert_chain(certificate, key)

    def named(connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = server(choose(name), alpn)

    context.sni_callback = named
    return context


def _no_password() -> str:
    """Answer who asks for the password of a key, instead of asking at the terminal."""
    return ""


@contextmanager
def _file(text: str) -> Iterator[str]:
    """Give a file with `text` for as long as the block runs: OpenSSL reads certificates from files alone."""
    handle, name = tempfile.mkstemp(prefix=".emu-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        yield name
    finally:
        Path(name).unlink()
