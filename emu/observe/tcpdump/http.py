# SPDX-License-Identifier: GPL-2.0-only
"""The first line of an HTTP message, as tcpdump prints it. Source: RFC 9112, RFC 4918."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.observe.tcpdump.part import Cut

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.observe.tcpdump.part import Part

PORTS: Final = frozenset((80, 8080))

_METHODS: Final = frozenset(
    b"""
    GET PUT COPY HEAD LOCK MOVE POLL POST BCOPY BMOVE MKCOL TRACE LABEL MERGE DELETE SEARCH UNLOCK REPORT
    UPDATE NOTIFY BDELETE CONNECT OPTIONS CHECKIN PROPFIND CHECKOUT CCM_POST SUBSCRIBE PROPPATCH BPROPFIND
    BPROPPATCH UNCHECKOUT MKACTIVITY MKWORKSPACE UNSUBSCRIBE RPC_CONNECT VERSION-CONTROL BASELINE-CONTROL
    """.split()
)
_PRINTABLE: Final = b"\t" + bytes(range(0x20, 0x7F))
_SPACE: Final = b" \t\r\n\v\f"


def words(part: Part) -> Iterator[str]:
    """Yield the request or status line of a TCP payload that begins with one."""
    yield "HTTP"
    if not _begins_message(part):
        return
    rest = part.octets.lstrip(_PRINTABLE)
    line = part.octets[: len(part.octets) - len(rest)].decode("ascii")
    behind = rest[:2]
    whole = len(part.octets) == part.length
    if behind.startswith(b"\n") or behind == b"\r\n":
        yield f": {line}"
    elif not behind and whole:
        yield f": {line}"
        raise Cut(part.protocol)
    elif behind in (b"", b"\r") and not whole:
        raise Cut(part.protocol)


def _begins_message(part: Part) -> bool:
    """Return whether the first word is a method, or the second a status code."""
    first, after = _word(part, 0)
    if first.upper() in _METHODS:
        return True
    code, _ = _word(part, after)
    return len(code) == 3 and code.isdigit()


def _word(part: Part, at: int) -> tuple[bytes, int]:
    """Return the word that begins at `at`, empty if it is not known whole, and where the next one begins."""
    octets = part.octets
    end = at
    while end < len(octets) and octets[end] not in _SPACE:
        end += 1
    following = end
    while following < len(octets) and octets[following] in b" \t":
        following += 1
    whole = following < len(octets) or len(octets) == part.length
    return (octets[at:end] if whole else b"", following)
