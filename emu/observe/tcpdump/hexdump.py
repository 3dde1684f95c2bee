# SPDX-License-Identifier: GPL-2.0-only
"""Octets that nobody understands, as hexadecimal and ASCII."""

from __future__ import annotations


def hexdump(octets: bytes) -> str:
    r"""Return lines of sixteen octets, each with a newline before it.

    >>> hexdump(b"to whom it")
    '\n\t0x0000:  746f 2077 686f 6d20 6974                 to.whom.it'
    """
    lines = []
    for at in range(0, len(octets), 16):
        row = octets[at : at + 16]
        pairs = " ".join(row[pair : pair + 2].hex() for pair in range(0, len(row), 2))
        text = "".join(chr(octet) if 0x21 <= octet <= 0x7E else "." for octet in row)
        lines.append(f"\n\t0x{at:04x}:  {pairs:<39}  {text}")
    return "".join(lines)
