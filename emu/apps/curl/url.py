# SPDX-License-Identifier: GPL-2.0-only
"""URLs as curl takes them."""

from __future__ import annotations

from typing import Final
from urllib.parse import urljoin, urlsplit

import attrs

from emu.errors import CommandError

USUAL_PORTS: Final = {"http": 80, "https": 443}


@attrs.frozen
class Url:
    """A URL of HTTP.

    Attributes:
        text: all of it.
        host: without brackets.
        port: 80, or 443, if none is written.
        target: path and query.
        scheme: http or https.
    """

    text: str
    host: str
    port: int
    target: str
    scheme: str = "http"

    @property
    def written_host(self) -> str:
        """The host as it stands in a URL."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def is_secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.scheme == "https"

    @property
    def usual_port(self) -> int:
        """The port of the scheme."""
        return USUAL_PORTS[self.scheme]


def parse(text: str, *, globbing: bool = True) -> Url:
    """Read a URL; without a scheme it is http.

    Raises:
        CommandError: it is none, or not of HTTP.
    """
    whole = text if "://" in text else f"http://{text}"
    scheme = whole.partition("://")[0].lower()
    if scheme not in USUAL_PORTS:
        raise CommandError(f'curl: (1) Protocol "{scheme}" not supported or not modelled', 1)
    if any(character.isspace() or not character.isprintable() for character in text):
        raise _rejected("Malformed input to a URL function")
    if globbing and ("{" in text or ("[" in text and "://[" not in whole)):
        raise CommandError(
            "curl: (3) sets and ranges in URLs are not modelled (-g takes them as they are)", 3
        )
    try:
        parts = urlsplit(whole)
        port = parts.port
    except ValueError:
        raise _rejected("Port number was not a decimal number between 0 and 65535") from None
    if not parts.hostname:
        raise _rejected("No host part in the URL")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Url(whole, parts.hostname, USUAL_PORTS[scheme] if port is None else port, target, scheme)


def follow(url: Url, location: str) -> Url:
    """Return where a Location leads.

    Raises:
        CommandError: nowhere that HTTP goes.
    """
    return parse(urljoin(url.text, location), globbing=False)


def _rejected(why: str) -> CommandError:
    return CommandError(f"curl: (3) URL rejected: {why}", 3)
