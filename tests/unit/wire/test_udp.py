# SPDX-License-Identifier: GPL-2.0-only
"""UDP datagrams."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.errors import HeaderError
from emu.wire import udp
from emu.wire.addresses import IpAddress
from emu.wire.udp import Udp

SRC, DST = IpAddress.parse("10.0.0.1"), IpAddress.parse("10.0.0.2")


def test_the_length_counts_header_and_payload() -> None:
    """Ports, length, checksum, in that order."""
    header = Udp.parse(udp.build(SRC, DST, 40000, 53, b"query"))
    assert header[:3] == (40000, 53, 13)


def test_without_checksum_the_field_is_zero() -> None:
    """Zero means that there is none, and so nothing that could be wrong."""
    datagram = udp.build(SRC, DST, 40000, 53, b"query", with_checksum=False)
    assert Udp.parse(datagram).checksum == 0
    assert udp.checksum_holds(SRC, DST, datagram)


@given(st.binary(max_size=50), st.integers(0, 65535))
def test_a_computed_checksum_is_never_zero(payload: bytes, port: int) -> None:
    """It holds, and a changed octet breaks it."""
    datagram = udp.build(SRC, DST, port, 53, payload)
    assert Udp.parse(datagram).checksum != 0
    assert udp.checksum_holds(SRC, DST, datagram)
    assert not udp.checksum_holds(SRC, DST, datagram[:3] + bytes((datagram[3] ^ 1,)) + datagram[4:])


def test_a_sum_of_zero_is_sent_as_all_ones() -> None:
    """RFC 768: zero in the field would mean no checksum."""
    datagrams = (udp.build(SRC, DST, port, 53, b"") for port in range(65536))
    assert any(Udp.parse(datagram).checksum == 0xFFFF for datagram in datagrams)


def test_the_addresses_are_covered() -> None:
    """A datagram delivered to a stranger does not verify."""
    assert not udp.checksum_holds(SRC, IpAddress.parse("10.0.0.3"), udp.build(SRC, DST, 1, 2, b""))


@pytest.mark.parametrize("length", [0, 7])
def test_too_few_octets_are_no_header(length: int) -> None:
    """Eight are the least."""
    with pytest.raises(HeaderError):
        Udp.parse(bytes(length))
