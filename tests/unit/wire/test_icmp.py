# SPDX-License-Identifier: GPL-2.0-only
"""ICMP messages."""

from __future__ import annotations

import pytest

from emu.errors import HeaderError
from emu.wire import icmp
from emu.wire.checksum import verifies
from emu.wire.icmp import Icmp


def test_an_echo_carries_identifier_and_sequence_number() -> None:
    """The checksum covers the payload."""
    message = icmp.build(icmp.ECHO, 0, b"odd", word1=7, word2=1)
    assert Icmp.parse(message) == (icmp.ECHO, 0, Icmp.parse(message).checksum, 7, 1)
    assert message[8:] == b"odd"
    assert verifies(message)


def test_fragmentation_needed_carries_the_mtu_in_the_second_word() -> None:
    """RFC 1191: sixteen unused bits, then the next-hop MTU."""
    message = icmp.build(icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED, b"", word2=1400)
    assert message[4:8].hex() == "00000578"


def test_errors_are_told_from_queries() -> None:
    """An error never answers an error; echo and timestamp are no errors."""
    assert sorted(icmp.ERRORS) == [3, 4, 5, 11, 12]


@pytest.mark.parametrize("length", [0, 7])
def test_too_few_octets_are_no_header(length: int) -> None:
    """Eight are the least."""
    with pytest.raises(HeaderError):
        Icmp.parse(bytes(length))
