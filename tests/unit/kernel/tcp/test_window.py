# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.tcp.acks import AckPolicy
from emu.kernel.tcp.config import TcpConfig
from emu.kernel.tcp.window import LARGEST_FIELD, ReceiveWindow, truesize
from emu.sim.time import MILLISECOND, START, Instant

CONFIG = TcpConfig()
MSS = 1460


def window(config: TcpConfig = CONFIG, *, scaling: bool = True) -> ReceiveWindow:
    """Return the window of a connection that has just been established."""
    made = ReceiveWindow(config, MSS, scaling=scaling)
    made.established(1, START, app_window=config.app_window)
    return made


def buffer(first: int, largest: int = 1 << 20) -> TcpConfig:
    """Return a configuration with a receive buffer of `first` octets that may grow to `largest`."""
    return attrs.evolve(CONFIG, rmem=(4096, first, largest))


@pytest.mark.parametrize(("largest", "scale"), [(32 << 20, 10), (16 << 20, 9), (1000, 7)])
def test_the_scale_lets_the_largest_buffer_be_told(largest: int, scale: int) -> None:
    """Or what net.core.rmem_max lets a program ask for."""
    assert ReceiveWindow(buffer(131072, largest), MSS, scaling=True).scale == scale


def test_without_scaling_the_window_is_what_the_field_holds() -> None:
    """When it was not offered, or not answered."""
    assert ReceiveWindow(CONFIG, MSS, scaling=False).scale == 0
    made = window()
    made.without_scaling()
    assert made.clamp <= LARGEST_FIELD
    assert made.offer(1, 1, AckPolicy(CONFIG)) <= LARGEST_FIELD


def test_it_begins_with_half_of_the_buffer_in_whole_segments() -> None:
    """The other half is for what the kernel keeps beside the octets."""
    assert window().size == 65536 - 65536 % MSS


def test_it_never_shrinks_what_was_offered() -> None:
    """RFC 9293 §3.8.6: the right edge does not move to the left."""
    made, acks = window(), AckPolicy(CONFIG)
    made.offer(1, 1, acks)
    offered = made.size
    made.used = 130_000
    made.offer(1, 1, acks)
    assert made.size >= offered
    made.offer(1, 1 + offered, acks)
    assert made.size == 0


def test_a_window_smaller_than_a_segment_is_not_offered() -> None:
    """Silly window avoidance."""
    made, acks = window(buffer(16384)), AckPolicy(CONFIG)
    made.used = 16384 - 1000
    assert made.offer(1, 1 + made.size, acks) == 0


def test_want_of_memory_closes_the_window_once() -> None:
    """The next ACK says zero, whatever was offered before."""
    made, acks = window(), AckPolicy(CONFIG)
    made.is_exhausted = True
    assert made.offer(1, 1, acks) == 0
    assert made.offer(1, 1, acks) > 0


@pytest.mark.parametrize(("size", "more"), [(8000, 16000), (1400, 2920), (10, 0)])
def test_segments_that_use_their_memory_well_open_the_window(size: int, more: int) -> None:
    """Two segments for each that comes; what is small would fill the memory before the window."""
    made, acks = window(buffer(1 << 20)), AckPolicy(CONFIG)
    acks.peer_mss = MSS
    made.offer(1, 1, acks)
    before = made.size
    made.grow(size, acks)
    made.offer(1, 1, acks)
    assert before + more <= made.size <= before + more + (1 << made.scale)
    assert acks.quick == (1 if more else 0)


def test_a_reader_that_keeps_up_gets_a_larger_buffer() -> None:
    """Twice what it reads in a round trip, up to the third number of tcp_rmem."""
    made = window(buffer(65536, 1 << 20))
    before = made.full
    made.measure_rtt(1, START)
    made.measure_rtt(1 + made.size, Instant(10 * MILLISECOND))
    assert made.round_trip == 10 * MILLISECOND
    made.read(100_000, Instant(5 * MILLISECOND))
    assert made.full == before
    made.read(100_000, Instant(20 * MILLISECOND))
    assert made.full > 2 * before
    made.read(90_000_000, Instant(40 * MILLISECOND))
    assert made.full == 1 << 19


def test_a_buffer_stays_as_it_is_if_nobody_may_moderate_it() -> None:
    """tcp_moderate_rcvbuf=0."""
    made = window(attrs.evolve(CONFIG, moderate_rcvbuf=False))
    before = made.full
    made.measure_rtt(1, START)
    made.measure_rtt(1 + made.size, Instant(10 * MILLISECOND))
    made.read(1_000_000, Instant(20 * MILLISECOND))
    assert made.full == before


def test_an_echoed_timestamp_measures_the_round_trip_time_too() -> None:
    """Smoothed by an eighth."""
    made = window()
    made.echoed_rtt(80)
    assert made.round_trip == 80
    made.echoed_rtt(160)
    assert made.round_trip == 90


@pytest.mark.parametrize("first", [4096, 65536])
def test_a_full_buffer_grows_to_what_is_queued_if_it_may(first: int) -> None:
    """Else the window is cut to two segments, and the segment dropped."""
    made, acks = window(buffer(first, 100_000)), AckPolicy(CONFIG)
    made.used = 80_000
    assert not made.has_room
    assert made.make_room(acks)
    made.used = 120_000
    assert not made.make_room(acks)


@given(st.integers(0, 100_000))
def test_memory_is_a_power_of_two_and_bookkeeping(size: int) -> None:
    """As the kernel allocates it."""
    assert truesize(size) >= size + 256
    assert (truesize(size) - 256).bit_count() == 1


@given(
    st.integers(2048, 1 << 20),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 1 << 18)), max_size=30),
)
def test_the_right_edge_never_moves_back(first: int, scaling: bool, steps: list[tuple[int, int]]) -> None:  # noqa: FBT001 - Hypothesis names it
    """Whatever is received, queued and read."""
    made, acks = window(buffer(first), scaling=scaling), AckPolicy(CONFIG)
    nxt, edge = 1, 0
    wup = nxt
    for arrived, used in steps:
        nxt += min(arrived, made.left(wup, nxt))
        made.used = used
        field = made.offer(wup, nxt, acks)
        wup = nxt
        assert 0 <= field <= LARGEST_FIELD
        assert nxt + (field << made.scale) >= edge
        edge = nxt + (field << made.scale)
