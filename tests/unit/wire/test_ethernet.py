# SPDX-License-Identifier: GPL-2.0-only
"""Ethernet headers."""

from __future__ import annotations

import pytest

from emu.errors import HeaderError
from emu.wire import ethernet
from emu.wire.addresses import MacAddress
from emu.wire.ethernet import Ethernet

DST = MacAddress.parse("02:00:00:00:00:02")
SRC = MacAddress.parse("02:00:00:00:00:01")


def test_a_header_is_read_back_as_it_was_written() -> None:
    """The payload begins behind 14 octets."""
    octets = ethernet.header(DST, SRC, ethernet.IPV4)
    assert octets.hex() == "0200000000020200000000010800"
    assert Ethernet.parse(octets) == Ethernet(DST, SRC, ethernet.IPV4, payload=14, vlan=None)


def test_behind_a_tag_is_the_real_ethertype() -> None:
    """VLAN 100 at priority 5: identifier alone, payload behind 18 octets."""
    octets = ethernet.header(DST, SRC, ethernet.VLAN) + bytes.fromhex("a064 0806")
    assert Ethernet.parse(octets) == Ethernet(DST, SRC, ethernet.ARP, payload=18, vlan=100)


@pytest.mark.parametrize("octets", [b"", bytes(13), bytes(12) + b"\x81\x00" + bytes(3)])
def test_too_few_octets_are_no_header(octets: bytes) -> None:
    """Neither without nor with a tag."""
    with pytest.raises(HeaderError, match=f"{len(octets)} octets"):
        Ethernet.parse(octets)


def test_addresses_read_off_a_frame_are_typed() -> None:
    """They print as addresses."""
    assert str(Ethernet.parse(ethernet.header(DST, SRC, 0)).src) == "02:00:00:00:00:01"
