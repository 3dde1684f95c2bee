# SPDX-License-Identifier: GPL-2.0-only
"""URLs as curl takes them."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import attrs

from emu.errors import CommandError


@attrs.frozen
class Url:
    """A URL of HTTP.

    Attributes:
        text: all of it.
        host: without brackets.
        port: 80 if none is written.
        target: path and query.
    """

    text: str
    host: str
    port: int
    target: str

    @property
    def written_host(self) -> str:
        """The host as it stands in a URL."""
        return f"[{self.host}]" if ":" in self.host else self.host


def parse(text: str, *, globbing: bool = True) -> Url:
    """Read a URL; without a scheme it is http.

    Raises:
        CommandError: it is none, or not of HTTP.
    """
    whole = text if "://" in text else f"http://{text}"
    scheme = whole.partition("://")[0].lower()
    if scheme == "https":
        raise CommandError('curl: (1) Protocol "https" is not modelled: there is no TLS here', 1)
    if scheme != "http":
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
    return Url(whole, parts.hostname, 80 if port is None else port, target)


def follow(url: Url, location: str) -> Url:
    """Return where a Location leads.

    Raises:
        CommandError: nowhere that HTTP goes.
    """
    return parse(urljoin(url.text, location), globbing=False)


def _rejected(why: str) -> CommandError:
    return CommandError(f"curl: (3) URL rejected: {why}", 3)
