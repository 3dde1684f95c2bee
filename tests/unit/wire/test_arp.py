# SPDX-License-Identifier: GPL-2.0-only
"""ARP packets."""

from __future__ import annotations

import pytest

from emu.errors import HeaderError
from emu.wire import arp
from emu.wire.addresses import ZERO_MAC, IpAddress, MacAddress
from emu.wire.arp import Arp

MAC = MacAddress.parse("02:00:00:00:00:01")
ASKING, ASKED = IpAddress.parse("10.0.0.1"), IpAddress.parse("10.0.0.2")
WHO_HAS = arp.build(arp.REQUEST, MAC, ASKING, ZERO_MAC, ASKED)


def test_a_request_has_28_octets_in_the_order_of_rfc_826() -> None:
    """Hardware, protocol, lengths, operation, sender, target."""
    assert WHO_HAS.hex(" ", 2) == "0001 0800 0604 0001 0200 0000 0001 0a00 0001 0000 0000 0000 0a00 0002"


def test_padding_behind_the_packet_is_passed_over() -> None:
    """A frame of 60 octets holds 18 more."""
    assert Arp.parse(WHO_HAS + bytes(18)) == Arp(arp.REQUEST, MAC, ASKING, ZERO_MAC, ASKED)


@pytest.mark.parametrize("length", [0, 8, 27])
def test_a_packet_that_is_cut_short_is_refused(length: int) -> None:
    """Nothing is read from it."""
    with pytest.raises(HeaderError):
        Arp.parse(WHO_HAS[:length])


@pytest.mark.parametrize("place", [0, 2, 4, 5])
def test_other_networks_are_refused(place: int) -> None:
    """Hardware other than Ethernet, protocol other than IPv4, or lengths that do not fit them."""
    with pytest.raises(HeaderError, match="other than IPv4 over Ethernet"):
        Arp.parse(WHO_HAS[:place] + b"\x07" + WHO_HAS[place + 1 :])
