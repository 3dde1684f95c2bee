# SPDX-License-Identifier: GPL-2.0-only
"""TCP over channels that lose, repeat and reorder, and among segments from anywhere."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from emu.kernel.tcp.config import TcpConfig
from emu.kernel.tcp.reassembly import OutOfOrderQueue, Piece
from emu.kernel.tcp.segment import Segment
from emu.kernel.tcp.sequence import unwrap, wire
from emu.kernel.tcp.states import TRANSITIONS, State
from emu.kernel.tcp.tcb import Tcb
from emu.kernel.tcp.timewait import TimeWait
from emu.sim.time import MICROSECOND, MILLISECOND, SECOND, Duration
from emu.testing.tcp_pair import LATENCY, SIDES, Sent, Side, TcpPair, other
from emu.wire.tcp import TcpOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Script: TypeAlias = "list[tuple[Duration, int]]"

STEPS: Final = {(before, after) for (before, _), after in TRANSITIONS.items()}
MOST_LOSSES: Final = 3  # of one side, one after the other: who is never heard gives up
DELAYS: Final = (LATENCY, LATENCY, 3 * MILLISECOND, 45 * MILLISECOND, 300 * MILLISECOND)


# --- channels ---


@attrs.frozen
class Channel:
    """What becomes of the first segments, in the order they are sent: the delays of their copies."""

    fates: tuple[tuple[Duration, ...], ...]

    def fate(self) -> Callable[[Sent], Sequence[Duration]]:
        """Return a fresh fate for `TcpPair`."""
        coming = iter(self.fates)
        lost: dict[Side, int] = dict.fromkeys(SIDES, 0)

        def decide(sent: Sent) -> Sequence[Duration]:
            delays = next(coming, (LATENCY,))
            lost[sent.side] = 0 if delays else lost[sent.side] + 1
            if lost[sent.side] > MOST_LOSSES:
                lost[sent.side] = 0
                return (LATENCY,)
            return delays

        return decide


def channels() -> st.SearchStrategy[Channel]:
    """Any losses, copies and delays of the first segments; shrinks to a perfect channel."""
    copies = st.lists(st.sampled_from(DELAYS), max_size=2).map(tuple)
    fate = st.just((LATENCY,)) | copies
    return st.builds(Channel, st.lists(fate, max_size=50).map(tuple))


def configs() -> st.SearchStrategy[TcpConfig]:
    """Any features switched on or off, buffers small or as usual."""
    rmem = st.sampled_from([(4096, 131072, 6291456), (4096, 8192, 16384)])
    return st.builds(
        TcpConfig,
        sack=st.booleans(),
        dsack=st.booleans(),
        timestamps=st.booleans(),
        window_scaling=st.booleans(),
        frto=st.booleans(),
        rmem=rmem,
        congestion_control=st.sampled_from(["cubic", "reno"]),
    )


def scripts() -> st.SearchStrategy[Script]:
    """What a program writes: pauses, and numbers of octets."""
    pauses = st.sampled_from([0, 1 * MILLISECOND, 60 * MILLISECOND, 2 * SECOND])
    sizes = st.sampled_from([0, 1, 100, 1460, 5000, 40000])
    return st.lists(st.tuples(pauses, sizes), max_size=5)


def octets(seed: int, size: int) -> bytes:
    """Return octets that no other part of a stream has in its place."""
    return random.Random(seed).randbytes(size)


def talk(pair: TcpPair, scripts: dict[Side, Script]) -> dict[Side, bytes]:
    """Have both sides connect, write what their scripts say, and close; return what each wrote."""
    pair.readers = set(SIDES)
    pair.connect(within=200 * SECOND)
    written: dict[Side, bytes] = {"client": b"", "server": b""}
    events = sorted(
        (sum(pause for pause, _ in script[: place + 1]), side, size)
        for side, script in scripts.items()
        for place, (_, size) in enumerate(script)
    )
    begin = pair.now
    for due, side, size in events:
        pair.run(max(begin + due - pair.now, 0))
        data = octets(len(written[side]), size)
        written[side] += data
        write_all(pair, side, data)
    for side in SIDES:
        pair.shut(side)
    pair.run(600 * SECOND)
    for side in SIDES:
        pair.close(side)
    pair.run(600 * SECOND)
    return written


def write_all(pair: TcpPair, side: Side, data: bytes) -> None:
    """Have `side` write all of `data`, as room comes."""
    for _ in range(1000):
        try:
            data = data[pair.write(side, data) :] if data else b""
        except BlockingIOError:
            pair.run(100 * MILLISECOND)
        if not data:
            return
    pytest.fail("the peer takes no more")


def check_delivery(
    channel: Channel,
    config: TcpConfig,
    client: Script,
    server: Script,
) -> None:
    """See that both sides get exactly what the other wrote, and that both are closed then."""
    pair = TcpPair(config, fate=channel.fate())
    written = talk(pair, {"client": client, "server": server})
    for side in SIDES:
        assert pair.end(side).take_error() == 0
        assert bytes(pair.received[side]) == written[other(side)], side
        assert pair.end(side).state is State.CLOSED


@given(channels(), configs(), scripts(), scripts())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_bad_channel_delivers_exactly_what_was_sent(
    channel: Channel,
    config: TcpConfig,
    client: Script,
    server: Script,
) -> None:
    """Whatever is lost, repeated or late, every octet arrives once, in order, and both sides close."""
    check_delivery(channel, config, client, server)


def test_a_stack_that_loses_what_overlaps_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The property above fails on a reassembly that takes a piece beyond a gap for the next one."""
    faulty = OutOfOrderQueue.due

    def due(self: OutOfOrderQueue, nxt: int) -> Iterator[Piece]:
        for piece in faulty(self, nxt + 1460):
            yield piece._replace(seq=min(piece.seq, nxt))

    monkeypatch.setattr(OutOfOrderQueue, "due", due)

    @given(channels())
    @settings(max_examples=200, database=None, phases=[Phase.generate], derandomize=True)
    def attempt(channel: Channel) -> None:
        check_delivery(channel, TcpConfig(), [(0, 40000)], [])

    with pytest.raises(AssertionError):
        attempt()


# --- segments from anywhere ---


def stray_segments() -> st.SearchStrategy[Segment]:
    """Segments with numbers near those in use, or any, and any flags, options and payload."""
    near = st.integers(-3, 20) | st.sampled_from([-70000, 70000, 1 << 31, -(1 << 31)])
    numbers = near.map(wire) | st.integers(0, 0xFFFFFFFF)
    blocks = st.lists(st.tuples(numbers, numbers), max_size=3).map(tuple)
    options = st.builds(
        TcpOptions,
        mss=st.none() | st.integers(0, 65535),
        window_scale=st.none() | st.integers(0, 14),
        sack_permitted=st.booleans(),
        timestamps=st.none() | st.tuples(numbers, numbers),
        sack=blocks,
    )
    windows = st.sampled_from([0, 1, 500, 65535])
    payloads = st.binary(max_size=30) | st.just(bytes(3000))
    return st.builds(Segment, st.integers(0, 255), numbers, numbers, windows, options, payloads)


@attrs.frozen
class Stray:
    """A segment that arrives at `to` after `pause`."""

    to: Side
    pause: Duration
    segment: Segment


def strays() -> st.SearchStrategy[list[Stray]]:
    """Some segments for either side, with pauses short and long."""
    pauses = st.sampled_from([0, 10 * MICROSECOND, 50 * MILLISECOND, 1 * SECOND, 70 * SECOND])
    return st.lists(st.builds(Stray, st.sampled_from(SIDES), pauses, stray_segments()), max_size=8)


def bring_into(pair: TcpPair, phase: int) -> None:
    """Bring a connection into one of the phases of its life."""
    if phase == 0:
        pair.open("client")
        return
    pair.connect()
    pair.write("client", bytes(5000))
    pair.run(SECOND)
    if phase >= 2:
        pair.close("client")
    if phase >= 3:
        pair.run(SECOND)
        pair.read("server")
    if phase >= 4:
        pair.close("server")


@given(st.integers(0, 4), configs(), strays())
def test_no_segment_breaks_a_connection(phase: int, config: TcpConfig, coming: list[Stray]) -> None:
    """Any segment, at any time of a connection, is taken, answered or dropped, and raises nothing.

    Every change of state on the way is one of the table's.
    """
    steps: list[tuple[State, State]] = []
    with pytest.MonkeyPatch.context() as patch:
        watch_states(patch, steps)
        pair = TcpPair(config)
        bring_into(pair, phase)
        for stray in coming:
            pair.run(stray.pause)
            pair.inject(other(stray.to), stray.segment)
        pair.run(300 * SECOND)
        for side in SIDES:
            if pair.has(side):
                pair.close(side)
        pair.run(2000 * SECOND)
    assert set(steps) <= STEPS


def watch_states(patch: pytest.MonkeyPatch, steps: list[tuple[State, State]]) -> None:
    """Have every change of a connection's state written to `steps`."""

    def spy(self: object, name: str, value: object) -> None:
        before = getattr(self, name, None)
        if name == "state" and isinstance(before, State) and isinstance(value, State):
            steps.append((before, value))
        object.__setattr__(self, name, value)

    for holder in (Tcb, TimeWait):
        patch.setattr(holder, "__setattr__", spy)


@given(st.integers(-(1 << 40), 1 << 40), st.integers(-(1 << 31), (1 << 31) - 1))
def test_a_number_near_one_that_is_known_is_found_again(near: int, distance: int) -> None:
    """What was cut to 32 bits is placed where it was, if that is less than 2**31 away."""
    assert unwrap(wire(near + distance), near) == near + distance
