# SPDX-License-Identifier: GPL-2.0-only
"""Fragmentation loses nothing: whatever is cut, cut again, shuffled and doubled is whole in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.fragment import Reassembly, Refused, split
from emu.kernel.skb import Skb
from emu.sim.time import SECOND, START
from emu.testing.checks import sums_up
from emu.testing.strategies import ip_packets
from emu.wire.ipv4 import Ipv4

if TYPE_CHECKING:
    from collections.abc import Iterable

LIFETIME = 30 * SECOND


def packets() -> st.SearchStrategy[bytes]:
    """Draw packets with any options, up to 4000 octets long, no two stretches of which are alike."""
    numbers = b"".join(number.to_bytes(2, "big") for number in range(2000))
    return ip_packets(payloads=st.integers(1, 4000).map(lambda length: numbers[:length]))


def mtus() -> st.SearchStrategy[list[int]]:
    """Draw the MTUs of a path, from the least that IPv4 takes."""
    return st.lists(st.integers(68, 1500), min_size=1, max_size=4)


def cut(packet: bytes, path: list[int]) -> list[bytes]:
    """Return what arrives at the end of a path when every router on it cuts what is too long."""
    pieces = [packet]
    for mtu in path:
        pieces = [part for piece in pieces for part in (split(piece, mtu) if len(piece) > mtu else (piece,))]
    return pieces


def put_together(pieces: Iterable[bytes]) -> list[bytes | None]:
    """Return what each piece completes."""
    reassembly = Reassembly()
    found: list[bytes | None] = []
    for number, piece in enumerate(pieces):
        try:
            found.append(reassembly.add(Skb(piece, number), START, LIFETIME))
        except Refused:
            found.append(None)
    return found


@given(packets(), mtus())
def test_fragments_tile_their_packet(packet: bytes, path: list[int]) -> None:
    """Each fits, has a right checksum, begins where the one before ends; only the last lacks MF."""
    at, header = 0, Ipv4.parse(packet)
    pieces = cut(packet, path)
    limit = len(packet) if len(pieces) == 1 else min(path)
    for piece in pieces:
        found = Ipv4.parse(piece)
        length = found.header_length
        assert len(piece) == found.total_length <= limit
        assert sums_up(piece[:length])
        assert found.offset == at
        assert piece[length:] == packet[header.header_length + at :][: len(piece) - length]
        at += len(piece) - length
        assert found.mf is (at < len(packet) - header.header_length)
        kept = ("tos", "identification", "ttl", "protocol", "src", "dst", "df", "header_length")
        assert all(getattr(found, field) == getattr(header, field) for field in kept)
    assert at == len(packet) - header.header_length


@given(st.data(), packets(), mtus())
def test_reassembly_undoes_fragmentation(data: st.DataObject, packet: bytes, path: list[int]) -> None:
    """In any order, with any of them doubled, the last missing piece makes the packet whole, and no other."""
    pieces = cut(packet, path)
    if len(pieces) == 1:
        return
    doubles = data.draw(st.lists(st.sampled_from(pieces), max_size=5))
    arriving = data.draw(st.permutations([*pieces, *doubles]))
    last = max(arriving.index(piece) for piece in pieces)
    expected = [None] * last + [packet]
    assert put_together(arriving[: last + 1]) == expected


@given(st.data(), packets(), mtus(), mtus())
def test_pieces_of_two_cuttings_make_the_packet_or_nothing(
    data: st.DataObject, packet: bytes, path: list[int], other: list[int]
) -> None:
    """A packet that came twice, by paths with other MTUs, is never put together wrongly."""
    arriving = data.draw(st.permutations([*cut(packet, path), *cut(packet, other)]))
    pieces = [piece for piece in arriving if piece != packet]
    assert set(put_together(pieces)) <= {None, packet}


@given(st.data(), packets(), mtus())
def test_what_was_put_together_is_cut_where_it_was(
    data: st.DataObject, packet: bytes, path: list[int]
) -> None:
    """Cut again for the MTU of its largest fragment, a packet gives the same fragments, but for DF."""
    pieces = cut(packet, path)
    if len(pieces) == 1:
        return
    reassembly, skb = Reassembly(), Skb(packet, 0)
    for piece in data.draw(st.permutations(pieces)):
        skb = Skb(piece, 0)
        reassembly.add(skb, START, LIFETIME)
    again = split(packet, skb.frag_max, skb.pieces)
    fields = ("offset", "mf", "identification")
    found, expected = ([Ipv4.parse(piece) for piece in each] for each in (again, pieces))
    for one, other in zip(found, expected, strict=True):
        assert all(getattr(one, field) == getattr(other, field) for field in fields)
        assert not one.df
