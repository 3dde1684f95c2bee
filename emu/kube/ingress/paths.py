# SPDX-License-Identifier: GPL-2.0-only
"""Paths of requests as nginx compares and rewrites them.

Before it chooses a location, nginx decodes `%XX`, goes through `.` and `..`, and
makes one slash of many (`merge_slashes`). What it passes on is the target as it
came, unless it was rewritten: then what may not stand in a target is escaped again.

Source: nginx src/http/ngx_http_parse.c `ngx_http_parse_complex_uri`, src/core/ngx_string.c `ngx_escape_uri`.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PLAIN: Final = "/!$&'()*+,;=:@[]"  # beside letters, digits and -._~


def normalised(path: str) -> str | None:
    """Return a path as locations are compared with it; None for one that is a 400.

    What is no UTF-8 is kept as lone surrogates. A target that does not begin with a
    slash is returned as it is.
    """
    if not path.startswith("/"):
        return path
    path = path.partition("#")[0]
    if _BAD_ESCAPE.search(path):
        return None
    octets = unquote_to_bytes(_octets(path))
    if b"\x00" in octets:
        return None
    parts = octets.split(b"/")
    kept: list[bytes] = []
    for part in parts:
        if part == b"..":
            if not kept:
                return None
            kept.pop()
        elif part not in {b"", b"."}:
            kept.append(part)
    ends_open = parts[-1] in {b"", b".", b".."}
    whole = b"/" + b"/".join(kept) + (b"/" if ends_open and kept else b"")
    return whole.decode("utf-8", "surrogateescape")


def escaped(path: str) -> str:
    """Return a path as it stands in a target."""
    return quote(path.encode("utf-8", "surrogateescape"), safe=_PLAIN)


def _octets(path: str) -> bytes:
    """Return what was on the wire, where each letter is an octet; text of a user is UTF-8 there."""
    try:
        return path.encode("latin-1")
    except UnicodeEncodeError:
        return path.encode()
