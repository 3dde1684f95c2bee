# SPDX-License-Identifier: GPL-2.0-only
"""The windows of TCP: what fits, what does not, and what is learned from it."""

from __future__ import annotations

import struct
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.netfilter.conntrack.tcp_segment import Segment, after, before
from emu.kernel.netfilter.conntrack.tcp_table import Kind
from emu.kernel.netfilter.conntrack.tcp_window import Fit, Side, TcpState
from emu.wire.tcp import TcpOptions
from tests.unit.kernel.netfilter.conntrack.middle import Middle

_SACK_PERMITTED: Final = bytes((1, 1, 4, 2))
_numbers = st.integers(0, 2**32 - 1)
"""Sequence numbers."""


def scale(shift: int) -> bytes:
    """Return the option that offers to scale windows."""
    return bytes((1, 3, 3, shift))


def sack(left: int, right: int) -> bytes:
    """Return a SACK block."""
    return b"\1\1\5\x0a" + struct.pack("!II", left, right)


def opened(
    window: int = 1000, *, client: bytes = b"", server: bytes = b"", sysctls: dict[str, int] | None = None
) -> Middle:
    """Return a node with an established connection: the client sends from 101, the server from 901."""
    middle = Middle(dict(sysctls or {}))
    middle.tcp(">", "S", seq=100, window=window, options=client)
    middle.tcp("<", "SA", seq=900, ack=101, window=window, options=server)
    middle.tcp(">", "A", seq=101, ack=901, window=window)
    return middle


def side(middle: Middle, way: str) -> Side:
    """Return what was seen of the side that sends in that direction."""
    assert middle.connection is not None
    tracked = middle.connection.tracker
    assert isinstance(tracked, TcpState)
    return tracked.sides["><".index(way)]


class TestNumbers:
    """Sequence numbers go round."""

    @given(_numbers, st.integers(1, 2**31 - 1))
    def test_what_comes_within_half_the_circle_is_after(self, first: int, distance: int) -> None:
        """Also over the end of the numbers."""
        second = (first + distance) & 0xFFFFFFFF
        assert after(second, first)
        assert before(first, second)
        assert not after(first, second)

    @given(_numbers)
    def test_a_number_is_neither_before_nor_after_itself(self, number: int) -> None:
        """Equal is neither."""
        assert not before(number, number)
        assert not after(number, number)

    def test_a_connection_goes_over_the_end_of_the_numbers(self) -> None:
        """The client begins just below 2**32."""
        middle = Middle()
        middle.tcp(">", "S", seq=2**32 - 2)
        middle.tcp("<", "SA", seq=2**32 - 1, ack=2**32 - 1)
        assert middle.tcp(">", "PA", seq=2**32 - 1, ack=0, data=100) == "ESTABLISHED"
        assert middle.tcp("<", "A", seq=0, ack=99) == "ESTABLISHED"
        assert (middle.state, middle.timeout) == ("ESTABLISHED", 432_000)


class TestOptions:
    """Options are read as the kernel reads them."""

    @given(st.binary(max_size=40))
    def test_offers_are_those_that_a_stack_reads(self, options: bytes) -> None:
        """Window scale and SACK permitted, whatever else is there."""
        segment = Segment(Kind.SYN, 2, 0, 1, 0, 0, options)
        offer, read = segment.offer(), TcpOptions.parse(options)
        assert (offer is None) == (not options)
        if offer is not None:
            assert (offer.scale, offer.sack_permitted) == (read.window_scale, read.sack_permitted)

    @given(st.binary(max_size=40), _numbers)
    def test_the_highest_sack_is_never_before_the_ack(self, options: bytes, ack: int) -> None:
        """Blocks that lie before it do not count."""
        highest = Segment(Kind.ACK, 16, 0, 0, ack, 0, options).highest_sack()
        assert not before(highest, ack)

    def test_the_block_that_reaches_furthest_counts(self) -> None:
        """Of several blocks in any order."""
        options = b"\5\x12" + struct.pack("!IIII", 500, 700, 200, 300)
        assert Segment(Kind.ACK, 16, 0, 0, 100, 0, options).highest_sack() == 700


class TestBounds:
    """The four bounds."""

    def test_data_within_the_window_fits(self) -> None:
        """To its last octet."""
        assert opened(1000).tcp(">", "PA", seq=101, ack=901, data=1000) == "ESTABLISHED"

    def test_seq_over_the_window_is_invalid(self) -> None:
        """Nobody allowed it."""
        middle = opened(1000)
        assert middle.tcp(">", "PA", seq=101 + 1001, ack=901, data=1000) == "INVALID"
        assert middle.reasons == [f"invalid: {Fit.SEQ_OVER.value}"]

    def test_a_little_over_the_window_is_let_pass(self) -> None:
        """Not more than another window; its ACK is believed then."""
        middle = opened(1000)
        assert middle.tcp(">", "PA", seq=101 + 1001, ack=901, data=100) == "ESTABLISHED"
        assert middle.reasons == []
        assert side(middle, ">").end == 101 + 1101
        assert middle.tcp("<", "A", seq=901, ack=101 + 1101) == "ESTABLISHED"

    def test_an_ack_of_what_was_not_sent_is_invalid(self) -> None:
        """It is over the other side's end."""
        middle = opened()
        assert middle.tcp("<", "A", seq=901, ack=102) == "INVALID"
        assert middle.reasons == [f"invalid: {Fit.ACK_OVER.value}"]

    def test_data_that_was_acknowledged_long_ago_is_let_pass(self) -> None:
        """Nothing is learned from it, the time is not renewed."""
        middle = opened(1000)
        middle.tcp(">", "PA", seq=101, ack=901, data=1000)
        middle.tcp("<", "A", seq=901, ack=1101, window=1000)
        middle.tcp(">", "PA", seq=1101, ack=901, data=1000)
        middle.wait(5)
        before_it = middle.timeout
        assert middle.tcp(">", "PA", seq=101, ack=901, data=10) == "ESTABLISHED"
        assert middle.timeout == before_it

    def test_an_old_ack_is_let_pass(self) -> None:
        """66,000 octets back are still taken in, older ones are passed over."""
        middle = opened(65535)
        for number in range(2):
            middle.tcp(">", "PA", seq=101 + number * 60_000, ack=901, data=60_000)
            middle.tcp("<", "A", seq=901, ack=60_101 + number * 60_000, window=65535)
        middle.wait(5)
        assert middle.tcp("<", "A", seq=901, ack=120_101 - 66_000, window=9) == "ESTABLISHED"
        assert middle.timeout == 432_000
        middle.wait(5)
        assert middle.tcp("<", "A", seq=901, ack=120_101 - 66_001, window=9) == "ESTABLISHED"
        assert middle.timeout == 432_000 - 5

    @pytest.mark.parametrize(("seq", "ack"), [(10**6, 901), (101, 10**6)])
    def test_a_liberal_node_believes_all_of_it(self, seq: int, ack: int) -> None:
        """`nf_conntrack_tcp_be_liberal`."""
        assert opened(sysctls={"tcp_be_liberal": 1}).tcp(">", "A", seq=seq, ack=ack) == "ESTABLISHED"

    def test_an_answer_to_a_keepalive_is_understood(self) -> None:
        """Of a picked up connection: the keepalive's number lies one before the end."""
        middle = Middle()
        middle.tcp(">", "A", seq=100, ack=900)
        assert middle.tcp("<", "A", seq=900, ack=101) == "ESTABLISHED"
        assert side(middle, ">").end == 101

    def test_a_rst_without_a_sequence_number_answers_a_syn(self) -> None:
        """Its 0 is no number."""
        middle = Middle()
        middle.tcp(">", "S", seq=100)
        middle.tcp("<", "A", seq=900, ack=50)
        assert middle.tcp("<", "R", seq=0) == "ESTABLISHED"


class TestScaling:
    """Windows are scaled if both sides offer it."""

    def test_both_offers_make_windows_wide(self) -> None:
        """The shift is that of the one who tells the window."""
        middle = opened(1000, client=scale(2), server=scale(7))
        assert side(middle, ">").scale == 2
        assert side(middle, "<").scale == 7
        middle.tcp("<", "A", seq=901, ack=101, window=1000)
        assert middle.tcp(">", "PA", seq=101 + 1000 * 127, ack=901, data=1000) == "ESTABLISHED"

    def test_one_offer_does_nothing(self) -> None:
        """RFC 7323: both or none."""
        middle = opened(1000, client=scale(2))
        assert side(middle, ">").scale == 0

    def test_more_than_14_is_14(self) -> None:
        """RFC 7323 §2.3."""
        assert side(opened(client=scale(200), server=scale(1)), ">").scale == 14

    def test_sack_blocks_count_if_sack_was_permitted(self) -> None:
        """By the other side's SYN: then a block beyond what was sent is invalid."""
        block = sack(5000, 6000)
        assert opened().tcp("<", "A", seq=901, ack=101, options=block) == "ESTABLISHED"
        middle = opened(client=_SACK_PERMITTED, server=_SACK_PERMITTED)
        assert middle.tcp("<", "A", seq=901, ack=101, options=block) == "INVALID"

    def test_a_new_syn_ack_begins_anew(self) -> None:
        """With other numbers and options: the server was restarted meanwhile."""
        middle = Middle()
        middle.tcp(">", "S", seq=100, options=scale(2))
        middle.tcp("<", "SA", seq=900, ack=101, options=scale(7))
        middle.tcp(">", "S", seq=100, options=scale(2))
        assert middle.tcp("<", "SA", seq=5000, ack=101, options=scale(3)) == "ESTABLISHED"
        assert side(middle, "<").scale == 3
