# SPDX-License-Identifier: GPL-2.0-only
"""Bob Jenkins' hash of words, without a secret: what it says can be known beforehand.

Source: include/linux/jhash.h `jhash2`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORD: Final = 0xFFFFFFFF
_BLOCK: Final = 3


def jhash_words(words: Sequence[int], seed: int) -> int:
    """Return the 32-bit hash of one or more 32-bit words."""
    a = b = c = (0xDEADBEEF + 4 * len(words) + seed) & _WORD
    at = 0
    while len(words) - at > _BLOCK:
        x, y, z = words[at : at + _BLOCK]
        a, b, c = _mix(a + x & _WORD, b + y & _WORD, c + z & _WORD)
        at += _BLOCK
    x, y, z = (*words[at:], 0, 0)[:_BLOCK]
    return _final(a + x & _WORD, b + y & _WORD, c + z & _WORD)


def _rotate(word: int, bits: int) -> int:
    return (word << bits | word >> 32 - bits) & _WORD


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for bits in (4, 6, 8, 16, 19, 4):
        a, c = (a - c & _WORD) ^ _rotate(c, bits), c + b & _WORD
        a, b, c = b, c, a  # the next one is taken from the one before it
    return a, b, c


def _final(a: int, b: int, c: int) -> int:
    for bits in (14, 11, 25, 16, 4, 14, 24):
        c = (c ^ b) - _rotate(b, bits) & _WORD
        a, b, c = b, c, a
    return b
