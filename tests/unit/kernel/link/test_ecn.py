# SPDX-License-Identifier: GPL-2.0-only
"""Congestion marks across a tunnel; the tables were recorded on Linux 6.18."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.kernel.link.ecn import decapsulate, encapsulate, inner_tos
from emu.wire import ipv4
from emu.wire.checksum import verifies

if TYPE_CHECKING:
    from collections.abc import Callable

DSCP = 0xB8
HEADER4 = bytes(12) + b"\x08\0"
HEADER6 = bytes(12) + b"\x86\xdd"


def frame4(tos: int) -> bytes:
    """Return a frame with an IPv4 packet."""
    return HEADER4 + ipv4.build(1, b"\x0a\0\0\1", b"\x0a\0\0\2", b"ping", tos=tos)


def frame6(tos: int) -> bytes:
    """Return a frame with an IPv6 header of flow label 0x12345."""
    return HEADER6 + (6 << 28 | tos << 20 | 0x12345).to_bytes(4, "big") + bytes(36)


@pytest.mark.parametrize(("inner", "outer"), [(0, 0), (1, 1), (2, 2), (3, 2)])
def test_the_outer_header_gets_the_inner_mark_but_not_congestion(inner: int, outer: int) -> None:
    """CE starts again as ECT(0): it was told already. The DSCP is the tunnel's own."""
    assert encapsulate(0, DSCP | inner) == outer
    assert encapsulate(0xFF, DSCP | inner) == 0xFC | outer


@pytest.mark.parametrize("make", [frame4, frame6])
@pytest.mark.parametrize(
    ("outer", "expected"), [(0, (0, 1, 2, 3)), (1, (0, 1, 1, 3)), (2, (0, 1, 2, 3)), (3, (None, 3, 3, 3))]
)
def test_the_inner_header_learns_what_happened_to_the_outer_one(
    make: Callable[[int], bytes], outer: int, expected: tuple[int | None, ...]
) -> None:
    """Congestion on a packet that cannot tell it ends that packet."""
    for inner, mark in enumerate(expected):
        result = decapsulate(make(DSCP | inner), 0x48 | outer)
        if mark is None:
            assert result is None
        else:
            assert result == make(DSCP | mark)


def test_a_changed_ipv4_header_has_a_right_checksum() -> None:
    """Mended, not left to the next router."""
    result = decapsulate(frame4(2), 3)
    assert result is not None
    assert verifies(result[14:34])


def test_what_is_no_ip_packet_has_no_marks() -> None:
    """ARP passes whatever the outer header says."""
    arp = bytes(12) + b"\x08\x06" + bytes(28)
    assert inner_tos(arp) == 0
    assert decapsulate(arp, 3) == arp


@pytest.mark.parametrize("make", [frame4, frame6])
def test_the_octet_is_read_from_both_families(make: Callable[[int], bytes]) -> None:
    """Type of service and traffic class."""
    assert inner_tos(make(0xB9)) == 0xB9
