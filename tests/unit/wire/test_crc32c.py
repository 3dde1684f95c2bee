# SPDX-License-Identifier: GPL-2.0-only
"""The checksum of SCTP, compared with published values and with a division bit by bit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from emu.wire.crc32c import crc32c, sctp_checksum


def divided(octets: bytes) -> int:
    """Return the remainder of a division by Castagnoli's polynomial, a bit at a time."""
    value = 0xFFFFFFFF
    for octet in octets:
        for place in range(8):
            is_set = (value ^ octet >> place) & 1
            value = value >> 1 ^ (0x82F63B78 if is_set else 0)
    return value ^ 0xFFFFFFFF


def test_published_values() -> None:
    """Those of RFC 3720 appendix B.4, which writes down the octets as they are sent."""
    assert crc32c(bytes(32)).hex() == "aa36918a"
    assert crc32c(b"\xff" * 32).hex() == "43aba862"
    assert crc32c(bytes(range(32))).hex() == "4e79dd46"
    assert crc32c(bytes(reversed(range(32)))).hex() == "5cdb3f11"


@given(st.binary(max_size=200))
def test_any_octets(octets: bytes) -> None:
    """The table gives what the division gives, the least octet first."""
    assert crc32c(octets) == divided(octets).to_bytes(4, "little")


@given(st.binary(min_size=12, max_size=60), st.binary(min_size=4, max_size=4))
def test_what_stands_in_the_field_does_not_count(packet: bytes, field: bytes) -> None:
    """An SCTP packet is summed up with nought in its place (RFC 9260 §6.8)."""
    other = packet[:8] + field + packet[12:]
    assert sctp_checksum(packet) == sctp_checksum(other)
    assert sctp_checksum(packet) == crc32c(packet[:8] + bytes(4) + packet[12:])
