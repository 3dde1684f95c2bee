# SPDX-License-Identifier: GPL-2.0-only
r"""Quoted text inside an action, with Go's escapes: `"\n"`, `'\u00e9'`, `"\x41"`, `"\101"`."""

from __future__ import annotations

import re
from typing import Final

from emu.errors import CommandError

_SIMPLE: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_ESCAPE: Final = re.compile(
    r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.?))", re.DOTALL
)


def unquote(written: str) -> str:
    """Return what a text between two quotes means.

    Raises:
        CommandError: an escape is none, or a quote stands inside without one.
    """
    mark, inner = written[0], written[1:-1]
    complaint = CommandError(f"unquote string {written} error invalid syntax", 1)
    octets = bytearray()
    at = 0
    for escape in _ESCAPE.finditer(inner):
        octets += inner[at : escape.start()].encode()
        at = escape.end()
        simple, two, four, eight, octal, other = escape.groups()
        code = int(four or eight or "0", 16)
        if (
            other is not None
            or code > 0x10FFFF
            or 0xD800 <= code < 0xE000
            or (simple in {"'", '"'} and simple != mark)
        ):
            raise complaint
        if simple:
            octets += _SIMPLE.get(simple, simple).encode()
        elif two or octal:
            value = int(two, 16) if two else int(octal, 8)
            if value > 0xFF:
                raise complaint
            octets.append(value)
        else:
            octets += chr(code).encode()
    octets += inner[at:].encode()
    if re.search(rf"(?<!\\){mark}", inner):
        raise complaint
    return octets.decode(errors="replace")
