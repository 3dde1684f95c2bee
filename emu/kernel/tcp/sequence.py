# SPDX-License-Identifier: GPL-2.0-only
"""Sequence numbers: 32 bits on the wire, without end inside.

A connection counts on past 2**32, so that its numbers compare like any others;
only what goes out is cut, and what comes in is placed near a number that is
known. This is the arithmetic modulo 2**32 of RFC 9293 §3.4 for all numbers
that are less than 2**31 apart, which those of one connection are.
"""

from __future__ import annotations

from typing import Final

_MASK: Final = 0xFFFFFFFF
_HALF: Final = 1 << 31


def wire(number: int) -> int:
    """Return `number` as it stands in a header."""
    return number & _MASK


def unwrap(field: int, near: int) -> int:
    """Return the number that is `field` on the wire and nearest to `near`."""
    return near + ((field - near + _HALF) & _MASK) - _HALF
