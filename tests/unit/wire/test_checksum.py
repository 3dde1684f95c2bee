# SPDX-License-Identifier: GPL-2.0-only
"""The Internet checksum, beside the loop that RFC 1071 describes."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from emu.wire.checksum import checksum, ones_sum, pseudo_header, update, verifies


def slow_checksum(octets: bytes, initial: int = 0) -> int:
    """Return the checksum by adding words and folding carries, word by word."""
    total = initial
    for at in range(0, len(octets), 2):
        total += int.from_bytes(octets[at : at + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def test_the_example_of_rfc_1071() -> None:
    """Section 3: these eight octets sum to ddf2."""
    octets = bytes.fromhex("0001 f203 f4f5 f6f7")
    assert ones_sum(octets) == 0xDDF2
    assert checksum(octets) == 0x220D


@given(st.binary(max_size=200), st.integers(0, 65534))
def test_it_equals_the_loop(octets: bytes, initial: int) -> None:
    """For every length, odd ones too, and with a pseudo header's sum before it."""
    assert checksum(octets, initial) == slow_checksum(octets, initial)


def test_only_zeros_sum_to_zero() -> None:
    """All ones are minus zero: their checksum is 0, that of nothing is ffff."""
    assert checksum(bytes(4)) == 0xFFFF
    assert checksum(b"\xff" * 4) == 0
    assert checksum(b"") == 0xFFFF


@given(st.binary(min_size=2, max_size=100), st.integers(0, 49))
def test_what_carries_its_checksum_verifies(octets: bytes, place: int) -> None:
    """And no longer when a bit of it is turned."""
    octets = octets[: len(octets) & ~1]
    at = 2 * place % len(octets)
    blank = octets[:at] + b"\0\0" + octets[at + 2 :]
    whole = blank[:at] + checksum(blank).to_bytes(2, "big") + blank[at + 2 :]
    assert verifies(whole)
    assert not verifies(bytes((whole[0] ^ 1, *whole[1:])))


@given(st.data())
def test_an_update_equals_recomputing(data: st.DataObject) -> None:
    """A field of any number of words is replaced anywhere: both ways give the same checksum."""
    octets = data.draw(st.binary(min_size=4, max_size=40).map(lambda some: some[: len(some) & ~1]))
    words = data.draw(st.integers(1, len(octets) // 2))
    at = 2 * data.draw(st.integers(0, len(octets) // 2 - words))
    new = data.draw(st.binary(min_size=2 * words, max_size=2 * words) | st.just(b"\xff" * (2 * words)))
    old, changed = octets[at : at + 2 * words], octets[:at] + new + octets[at + 2 * words :]
    assume(any(octets) and any(changed))
    updated = update(checksum(octets), int.from_bytes(old, "big"), int.from_bytes(new, "big"))
    assert updated == checksum(changed)


def test_the_corner_case_of_rfc_1624() -> None:
    """Section 5: where the older equation gave ffff, a recomputed checksum is 0."""
    assert update(0xDD2F, 0x5555, 0x3285) == 0x0000


@given(
    st.integers(4, 4) | st.just(16),
    st.data(),
    st.integers(0, 255),
    st.integers(0, 65535),
)
def test_the_pseudo_header_is_summed_as_it_would_stand_there(
    size: int, data: st.DataObject, protocol: int, length: int
) -> None:
    """Source, destination, protocol and length, each in its own words."""
    src, dst = (data.draw(st.binary(min_size=size, max_size=size)) for _ in range(2))
    spelled = src + dst + protocol.to_bytes(4, "big") + length.to_bytes(4, "big")
    assert pseudo_header(src, dst, protocol, length) == ones_sum(spelled)
