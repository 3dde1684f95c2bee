# SPDX-License-Identifier: GPL-2.0-only
"""Packets under way, and how their headers are rewritten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.skb import Skb
from emu.wire import ipv4
from emu.wire.checksum import update, verifies

SRC, DST = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))


@given(ttl=st.integers(1, 255), protocol=st.integers(0, 255), identification=st.integers(0, 0xFFFF))
def test_decrementing_the_ttl_changes_ttl_and_checksum_alone(
    ttl: int, protocol: int, identification: int
) -> None:
    """The header's checksum is right again, and nothing else has changed."""
    packet = ipv4.build(protocol, SRC, DST, b"payload", ttl=ttl, identification=identification)
    skb = Skb(packet, 1)
    skb.decrement_ttl()
    assert skb.header.ttl == ttl - 1
    assert verifies(skb.packet[:20])
    assert (packet[:8], packet[9], packet[12:]) == (skb.packet[:8], skb.packet[9], skb.packet[12:])
    assert skb.header == ipv4.Ipv4.parse(skb.packet)


def test_every_checksum_is_mended_as_by_the_general_rule() -> None:
    """The short cut for the TTL gives what RFC 1624 gives, for right checksums and wrong ones."""
    packet = ipv4.build(17, SRC, DST, b"", ttl=64)
    word = 64 << 8 | 17
    for number in range(0x10000):
        skb = Skb(packet[:10] + number.to_bytes(2, "big") + packet[12:], 1)
        skb.decrement_ttl()
        assert skb.header.checksum == update(number, word, word - 0x100)
