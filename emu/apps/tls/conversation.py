# SPDX-License-Identifier: GPL-2.0-only
"""One TLS connection without input or output: octets of the peer in, octets for the peer out.

As with h11 the caller carries the octets. What OpenSSL cannot do yet gives
`Want`, and the caller comes again with more of the peer's octets.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_READ_SIZE: Final = 65536
_RANDOM: Final = slice(11, 43)  # of a ClientHello in its record. Source: RFC 8446, 4.1.2 and 5.1
_HANDSHAKE: Final = 22
_EOF: Final = "UNEXPECTED_EOF_WHILE_READING"


class TlsError(Exception):
    """The peer speaks no TLS, or none that both sides know, or its certificate is refused.

    Attributes:
        reason: OpenSSL's name of it (`WRONG_VERSION_NUMBER`), empty for an end in the middle.
        words: OpenSSL's words.
        certificate: why a certificate is refused, in OpenSSL's words; empty if that is not the trouble.
    """

    def __init__(self, reason: str, words: str, certificate: str = "") -> None:
        super().__init__(certificate or words)
        self.reason = reason
        self.words = words
        self.certificate = certificate


class Want(Exception):  # noqa: N818 - nothing is wrong
    """More octets of the peer are needed."""


class Conversation:
    """A connection of either side.

    Args:
        context: what OpenSSL is told.
        host: whom a client names in its hello; None, or an address, for nobody.
        is_server: which side this is.
    """

    def __init__(self, context: ssl.SSLContext, host: str | None = None, *, is_server: bool = False) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(
            self._incoming, self._outgoing, server_side=is_server, server_hostname=host
        )
        self.random = b""  # of the client's hello, once that has left

    def take(self, octets: bytes) -> None:
        """Take what the peer has sent; nothing means that it has closed."""
        if octets:
            self._incoming.write(octets)
        else:
            self._incoming.write_eof()

    def give(self) -> bytes:
        """Return what is to be sent to the peer, empty for nothing."""
        octets = self._outgoing.read()
        if not self.random and octets[:1] == bytes((_HANDSHAKE,)):
            self.random = octets[_RANDOM]
        return octets

    def shake_hands(self) -> None:
        """Go on with the handshake; it is done when this returns.

        Raises:
            Want: not yet.
            TlsError: it has failed. What is to be told the peer is still to be sent.
        """
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            raise Want from None
        except ssl.SSLError as error:
            raise _error(error) from None

    def write(self, data: bytes) -> None:
        """Encrypt `data`, for `give`."""
        self._ssl.write(data)

    def read(self) -> bytes:
        """Return what the peer said; nothing means that it says no more.

        Raises:
            Want: nothing yet.
            TlsError: the records make no sense.
        """
        try:
            return self._ssl.read(_READ_SIZE)
        except ssl.SSLWantReadError:
            raise Want from None
        except ssl.SSLError as error:
            if _is_end(error):
                return b""
            raise _error(error) from None

    def say_goodbye(self) -> None:
        """Tell the peer that no more is said, if it has not gone itself."""
        try:
            self._ssl.unwrap()
        except ssl.SSLError:
            return  # the alert is written; the peer's own is not waited for

    @property
    def version(self) -> str:
        """`TLSv1.3`, once hands are shaken."""
        return self._ssl.version() or ""

    @property
    def cipher(self) -> str:
        """The cipher suite, once hands are shaken."""
        found = self._ssl.cipher()
        return "" if found is None else found[0]

    @property
    def alpn(self) -> str:
        """What is spoken over TLS, empty if it was not talked about."""
        return self._ssl.selected_alpn_protocol() or ""

    @property
    def certificate(self) -> Mapping[str, object]:
        """The peer's, if it was looked at; else empty."""
        return self._ssl.getpeercert() or {}

    @property
    def certificate_octets(self) -> bytes:
        """The peer's, in DER, looked at or not; empty if it has none."""
        return self._ssl.getpeercert(binary_form=True) or b""


def _is_end(error: ssl.SSLError) -> bool:
    """Return whether the peer has closed, in one of the ways in which versions of Python say it."""
    return isinstance(error, ssl.SSLZeroReturnError | ssl.SSLEOFError) or error.reason == _EOF


def _error(error: ssl.SSLError) -> TlsError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsError("CERTIFICATE_VERIFY_FAILED", "certificate verify failed", error.verify_message)
    if _is_end(error):
        return TlsError(_EOF, "unexpected eof while reading")
    reason = error.reason or ""
    return TlsError(reason, reason.lower().replace("_", " "))
