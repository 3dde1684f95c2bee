# SPDX-License-Identifier: GPL-2.0-only
"""The IPv4 header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.errors import HeaderError
from emu.wire import ipv4
from emu.wire.addresses import IpAddress
from emu.wire.checksum import verifies
from emu.wire.ipv4 import Ipv4

SRC, DST = IpAddress.parse("10.0.0.1"), IpAddress.parse("10.0.0.2")


def test_what_was_built_is_read_back() -> None:
    """Every field, the payload behind them, and a checksum that holds."""
    packet = ipv4.build(17, SRC, DST, b"data", ttl=63, tos=0xB8, identification=0xBEEF, fragment=ipv4.DF)
    header = Ipv4.parse(packet)
    assert header[:7] == (0x45, 0xB8, 24, 0xBEEF, ipv4.DF, 63, 17)
    assert (header.src, header.dst, packet[20:]) == (SRC, DST, b"data")
    assert verifies(packet[:20])


def test_options_lengthen_the_header() -> None:
    """They are counted in it and covered by its checksum."""
    packet = ipv4.build(6, SRC, DST, b"data", options=b"\x94\x04\0\0" + bytes(4))
    header = Ipv4.parse(packet)
    assert (header.version, header.header_length, header.total_length) == (4, 28, 32)
    assert packet[20:24] == b"\x94\x04\0\0"
    assert verifies(packet[:28])


@pytest.mark.parametrize(
    ("fragment", "df", "mf", "offset", "is_fragment"),
    [
        (0, False, False, 0, False),
        (ipv4.DF, True, False, 0, False),
        (ipv4.MF, False, True, 0, True),
        (185, False, False, 1480, True),
        (ipv4.DF | ipv4.MF | 0x1FFF, True, True, 65528, True),
    ],
)
def test_flags_and_offset_share_a_word(
    fragment: int, *, df: bool, mf: bool, offset: int, is_fragment: bool
) -> None:
    """The offset counts eight octets; a part has an offset or more behind it."""
    header = Ipv4.parse(ipv4.build(17, SRC, DST, b"", fragment=fragment))
    assert (header.df, header.mf, header.offset, header.is_fragment) == (df, mf, offset, is_fragment)


@pytest.mark.parametrize("length", [0, 19])
def test_too_few_octets_are_no_header(length: int) -> None:
    """Twenty are the least."""
    with pytest.raises(HeaderError):
        Ipv4.parse(bytes(length))


@given(st.binary(min_size=20, max_size=60))
def test_any_twenty_octets_can_be_looked_at(octets: bytes) -> None:
    """A malformed header is read as it stands; who receives it judges."""
    header = Ipv4.parse(octets)
    assert 0 <= header.header_length <= 60
    assert 0 <= header.offset <= 65528


@given(st.binary(min_size=20, max_size=60).map(lambda octets: octets[: len(octets) & ~3]))
def test_rechecksum_makes_any_header_right(octets: bytes) -> None:
    """And changes nothing but the checksum."""
    fixed = ipv4.rechecksum(octets)
    assert verifies(fixed)
    assert (fixed[:10], fixed[12:]) == (octets[:10], octets[12:])
