# SPDX-License-Identifier: GPL-2.0-only
"""Where packets are cut."""

from __future__ import annotations

import pytest

from emu.kernel.fragment import split
from emu.wire import ipv4
from emu.wire.ipv4 import DF, Ipv4

A, B = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
HEADER = 20


def lengths(payload: int, mtu: int, pieces: tuple[int, ...] = ()) -> list[int]:
    """Return the lengths of the payloads of the fragments of a packet."""
    packet = ipv4.build(17, A, B, bytes(payload))
    return [len(part) - HEADER for part in split(packet, mtu, pieces)]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [(64, [32, 32]), (65, [32, 33]), (66, [32, 32, 2]), (97, [32, 32, 33]), (98, [32, 32, 32, 2])],
)
def test_the_last_fragment_fills_what_the_mtu_leaves(payload: int, expected: list[int]) -> None:
    """Of 33 octets of room the others use 32: only where they end does another begin."""
    assert lengths(payload, HEADER + 33) == expected


@pytest.mark.parametrize("pieces", [(8, 24, 16), (48,), (40, 8)])
def test_what_was_in_fragments_is_cut_where_it_was(pieces: tuple[int, ...]) -> None:
    """If each of them fits, and without DF, as the kernel passes the old ones on."""
    assert lengths(48, HEADER + 48, pieces) == list(pieces)
    packet = ipv4.build(17, A, B, bytes(48), fragment=DF)
    assert not any(Ipv4.parse(part).df for part in split(packet, HEADER + 48, pieces))


@pytest.mark.parametrize("pieces", [(8, 40), (8, 24), (12, 36)])
def test_pieces_that_do_not_fit_any_more_are_forgotten(pieces: tuple[int, ...]) -> None:
    """One too long, a packet that has changed its length, or an end where none may be."""
    assert lengths(48, HEADER + 32, pieces) == [32, 16]
