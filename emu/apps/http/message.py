# SPDX-License-Identifier: GPL-2.0-only
"""Requests and responses, as programs hand them over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self, TypeAlias

import attrs

from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    from emu.wire.addresses import IpAddress

Headers: TypeAlias = "tuple[tuple[str, str], ...]"
"""Name and value of each field, in order, spelled as on the wire."""

MOST_HEAD: Final = 65536
"""Octets of a request line or status line with its fields; more is refused."""
MOST_BODY: Final = 1 << 20
"""Octets of a body; more is refused."""
MOST_PASSED_ON: Final = 16 << 20
"""Octets of a body that a proxy passes on, either way, and that servers behind it take; more is refused."""


def find(headers: Headers, name: str) -> str | None:
    """Return the value of the first field called `name` (in any case), None if there is none."""
    wanted = name.lower()
    return next((value for field, value in headers if field.lower() == wanted), None)


@attrs.frozen
class Request:
    """What a client asks.

    Attributes:
        method: GET, HEAD, POST, ...
        target: path and query.
        headers: fields; a client needs no Content-Length.
        body: what follows them.
        client: address of who asks; a server sees it.
        client_port: the port there.
        front_port: where a proxy in front was asked, as its PROXY header says; 0 for no such header.
    """

    method: str = "GET"
    target: str = "/"
    headers: Headers = ()
    body: bytes = b""
    client: IpAddress = ANY_IP4
    client_port: int = 0
    front_port: int = 0

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        """Return the value of a field, None if there is none."""
        return find(self.headers, name)


@attrs.frozen
class Response:
    """What a server answers.

    Attributes:
        status: 200, 404, ...
        headers: fields; a server needs no Content-Length.
        body: what follows them.
        reason: the words behind the status; None for the usual ones.
        chunked: send the body in chunks instead of saying its length.
        version: of HTTP, as a client got it.
    """

    status: int = 200
    headers: Headers = ()
    body: bytes = b""
    reason: str | None = None
    chunked: bool = False
    version: str = "1.1"

    @classmethod
    def text(cls, text: str, status: int = 200) -> Self:
        """Return a response that carries plain text."""
        return cls(status, (("Content-Type", "text/plain; charset=utf-8"),), text.encode())

    def header(self, name: str) -> str | None:
        """Return the value of a field, None if there is none."""
        return find(self.headers, name)
