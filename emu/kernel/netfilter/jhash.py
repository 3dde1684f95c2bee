# SPDX-License-Identifier: GPL-2.0-only
"""Bob Jenkins' hash, as the kernel computes it, without a secret: it can be known beforehand.

Of whole words `jhash2` makes the same. Source: include/linux/jhash.h.
"""

from __future__ import annotations

import struct
from typing import Final

_MASK: Final = 0xFFFFFFFF
_INITIAL: Final = 0xDEADBEEF
_BLOCK: Final = struct.Struct("<III")


def jhash(octets: bytes, seed: int) -> int:
    """Return the 32-bit hash of `octets` on a machine with the least octet first."""
    a = b = c = (_INITIAL + len(octets) + seed) & _MASK
    at = 0
    while len(octets) - at > _BLOCK.size:
        x, y, z = _BLOCK.unpack_from(octets, at)
        a, b, c = _mix((a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK)
        at += _BLOCK.size
    if at == len(octets):
        return c
    x, y, z = _BLOCK.unpack(octets[at:].ljust(_BLOCK.size, b"\0"))
    return _final((a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK)


def scale(value: int, modulus: int) -> int:
    """Return a 32-bit value brought below `modulus` (`reciprocal_scale`)."""
    return value * modulus >> 32


def _rotate(value: int, bits: int) -> int:
    return (value << bits | value >> (32 - bits)) & _MASK


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    a = (a - c & _MASK) ^ _rotate(c, 4)
    c = c + b & _MASK
    b = (b - a & _MASK) ^ _rotate(a, 6)
    a = a + c & _MASK
    c = (c - b & _MASK) ^ _rotate(b, 8)
    b = b + a & _MASK
    a = (a - c & _MASK) ^ _rotate(c, 16)
    c = c + b & _MASK
    b = (b - a & _MASK) ^ _rotate(a, 19)
    a = a + c & _MASK
    c = (c - b & _MASK) ^ _rotate(b, 4)
    return a, b + a & _MASK, c


def _final(a: int, b: int, c: int) -> int:
    c = (c ^ b) - _rotate(b, 14) & _MASK
    a = (a ^ c) - _rotate(c, 11) & _MASK
    b = (b ^ a) - _rotate(a, 25) & _MASK
    c = (c ^ b) - _rotate(b, 16) & _MASK
    a = (a ^ c) - _rotate(c, 4) & _MASK
    b = (b ^ a) - _rotate(a, 14) & _MASK
    return (c ^ b) - _rotate(b, 24) & _MASK
