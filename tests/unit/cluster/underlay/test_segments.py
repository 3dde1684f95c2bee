# SPDX-License-Identifier: GPL-2.0-only
"""Addresses in subnets of nodes."""

from __future__ import annotations

import tracemalloc

from emu.cluster.underlay.segments import gateway_of
from emu.wire.addresses import IpAddress, Prefix


def test_a_gateway_is_the_first_address_or_the_highest_free_one() -> None:
    """As clouds and Docker have it."""
    segment = Prefix.parse("10.0.0.0/29")
    first, *rest = (IpAddress.parse(f"10.0.0.{number}") for number in (1, 6, 5))
    assert gateway_of(segment, ()) == first
    assert gateway_of(segment, {first}) == rest[0]
    assert gateway_of(segment, {first, rest[0]}) == rest[1]


def test_a_gateway_of_a_large_subnet_takes_no_memory() -> None:
    """Its addresses are not all written down."""
    tracemalloc.start()
    try:
        gateway_of(Prefix.parse("11.0.0.0/8"), ())
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
