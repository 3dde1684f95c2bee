# SPDX-License-Identifier: GPL-2.0-only
"""The hash of octets that the kernel spreads by."""

from __future__ import annotations

import pytest

from emu.kernel.netfilter.jhash import jhash, scale


@pytest.mark.parametrize(
    ("octets", "seed", "value"),
    [
        (b"", 0, 0xDEADBEEF),
        (b"Four score and seven years ago", 0, 0x17770551),
        (b"Four score and seven years ago", 1, 0xCD628161),
    ],
)
def test_the_hash_is_that_of_bob_jenkins(octets: bytes, seed: int, value: int) -> None:
    """The values of its author's own self-test."""
    assert jhash(octets, seed) == value


@pytest.mark.parametrize(("seed", "host"), [(0x0200020A, 81), (0, 26)])
def test_words_are_hashed_as_their_octets(seed: int, host: int) -> None:
    """What the kernel's `jhash2` made of an address in the room of an IPv6 address, below 200."""
    assert scale(jhash(bytes((10, 1, 0, 2)).ljust(16, b"\0"), seed), 200) == host
