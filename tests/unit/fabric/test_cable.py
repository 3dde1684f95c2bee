# SPDX-License-Identifier: GPL-2.0-only
"""Cables: latency, bandwidth with a queue, loss, MTU."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.errors import CableError
from emu.fabric.cable import Arrival, Cable, Loss
from emu.fabric.faults import NO_FAULTS, Faults
from emu.kernel.drops import DropReason
from emu.sim.choice import DrawnChoice, ScriptedChoice
from emu.sim.rng import Streams
from emu.sim.time import MICROSECOND, MILLISECOND, SECOND, START, Instant, later

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.sim.choice import Choice

MEGABIT = 1_000_000
Sending = tuple[int, int, int]  # (ns since the one before, octets, direction)


class Asked:
    """A choice that fails the test: nothing is left to it."""

    def pick(self, question: str, odds: object, names: object = ()) -> int:  # noqa: ARG002
        """Fail."""
        raise AssertionError(f"{question} {odds}")

    def happens(self, question: str, share: Fraction) -> bool:
        """Fail."""
        raise AssertionError(f"{question} {share}")


NOTHING = Asked()
FRAME = bytes(range(60))


def send(
    cable: Cable, length: int, direction: int, now: Instant, choice: Choice = NOTHING
) -> Instant | DropReason:
    """Send a frame of zeros; return when it arrives, once and as it is, or why it does not."""
    fate = cable.carry(bytes(length), direction, now, choice, Streams(0))
    if isinstance(fate, Loss):
        return fate.reason
    ((due, octets, remark),) = fate
    assert (octets, remark) == (bytes(length), "")
    return due


def arrivals(cable: Cable, choice: Choice = NOTHING, now: Instant = START) -> tuple[Arrival, ...] | Loss:
    """Return how a frame of sixty octets fares."""
    return cable.carry(FRAME, 0, now, choice, Streams(0))


def sendings() -> st.SearchStrategy[list[Sending]]:
    """Return frames to send one after the other; shrinks to none."""
    return st.lists(st.tuples(st.integers(0, MILLISECOND), st.integers(14, 9014), st.integers(0, 1)))


def cables() -> st.SearchStrategy[Cable]:
    """Return cables that lose nothing but what their queue and MTU refuse."""
    return st.builds(
        Cable,
        latency=st.integers(0, 50 * MILLISECOND),
        bandwidth=st.just(0) | st.integers(1000, 100_000 * MEGABIT),
        queue=st.integers(0, 100_000),
        mtu=st.just(0) | st.integers(68, 9000),
    )


def carried(cable: Cable, frames: list[Sending]) -> list[tuple[Instant, int, int, Instant]]:
    """Send `frames` and return (when, octets, direction, arrival) of those that arrive."""
    now, arrived = START, []
    for gap, length, direction in frames:
        now = later(now, gap)
        due = send(cable, length, direction, now)
        if not isinstance(due, DropReason):
            arrived.append((now, length, direction, due))
    return arrived


def test_a_plain_cable_takes_no_time() -> None:
    """Without settings a frame is there at once, however many there are."""
    cable = Cable()
    assert [send(cable, 1514, 0, Instant(5)) for _ in range(9)] == [5] * 9


def test_latency_is_added_to_the_instant_of_sending() -> None:
    """Both directions take as long."""
    cable = Cable(latency=3 * MILLISECOND)
    assert send(cable, 60, 0, Instant(7)) == 3 * MILLISECOND + 7
    assert send(cable, 60, 1, Instant(7)) == 3 * MILLISECOND + 7


def test_a_frame_takes_its_bits_over_the_bandwidth() -> None:
    """1250 octets at 10 Mbit/s are a millisecond, and the next frame waits for that."""
    cable = Cable(bandwidth=10 * MEGABIT, latency=MICROSECOND)
    assert send(cable, 1250, 0, START) == MILLISECOND + MICROSECOND
    assert send(cable, 1250, 0, START) == 2 * MILLISECOND + MICROSECOND


def test_a_part_of_a_nanosecond_is_rounded_up() -> None:
    """The bandwidth is never exceeded, not by a fraction."""
    assert send(Cable(bandwidth=3 * SECOND), 1, 0, START) == 3  # 8/3 ns


def test_directions_do_not_wait_for_each_other() -> None:
    """A cable is full duplex."""
    cable = Cable(bandwidth=10 * MEGABIT, queue=0)
    assert send(cable, 1250, 0, START) == send(cable, 1250, 1, START) == MILLISECOND


def test_what_finds_no_room_in_the_queue_is_dropped() -> None:
    """The frame being sent needs no room; a shorter one behind the dropped may fit."""
    cable = Cable(bandwidth=10 * MEGABIT, queue=2000)
    answers = [send(cable, length, 0, START) for length in (1250, 1250, 1250, 750, 1)]
    assert answers == [
        MILLISECOND,
        2 * MILLISECOND,
        DropReason.CABLE_QUEUE_FULL,
        2_600 * MICROSECOND,
        DropReason.CABLE_QUEUE_FULL,
    ]


def test_the_queue_empties_as_frames_begin_to_be_sent() -> None:
    """There is room again from the instant at which the frame before has left it."""
    cable = Cable(bandwidth=10 * MEGABIT, queue=1250)
    send(cable, 1250, 0, START)
    send(cable, 1250, 0, START)
    assert send(cable, 1250, 0, Instant(MILLISECOND - 1)) is DropReason.CABLE_QUEUE_FULL
    assert send(cable, 1250, 0, Instant(MILLISECOND)) == 3 * MILLISECOND


def test_a_frame_longer_than_the_mtu_vanishes() -> None:
    """The Ethernet header does not count."""
    cable = Cable(mtu=1500)
    assert send(cable, 1514, 0, START) == 0
    assert send(cable, 1515, 0, START) is DropReason.CABLE_MTU


@pytest.mark.parametrize(("loss", "answer"), [(Fraction(0), 0), (Fraction(1), DropReason.CABLE_LOSS)])
def test_certain_loss_draws_nothing(loss: Fraction, answer: object) -> None:
    """No chance is asked where there is none."""
    assert send(Cable(faults=Faults(loss)), 60, 0, START) == answer


THIRD = Fraction(1, 3)


@pytest.mark.parametrize(
    "faults", [Faults(loss=THIRD), Faults(duplicate=THIRD), Faults(reorder=THIRD), Faults(corrupt=THIRD)]
)
def test_an_exploration_takes_it_that_nothing_happens_by_chance(faults: Faults) -> None:
    """What could have is kept, to be told; nothing is followed both ways."""
    cable = Cable(latency=5, faults=faults, name="tor-1")
    choice = ScriptedChoice()
    assert arrivals(cable, choice) == (Arrival(Instant(5), FRAME),)
    assert (choice.taken, choice.untaken, list(choice.spared.values())) == ([], [], [THIRD])
    (question,) = choice.spared
    assert question.startswith("does tor-1 ")


def test_about_as_many_are_lost_as_was_said() -> None:
    """A seeded run of ten thousand frames at 10 % loses about a thousand."""
    cable, choice = Cable(faults=Faults(Fraction(1, 10))), DrawnChoice(random.Random(1))
    lost = sum(send(cable, 60, 0, START, choice) is DropReason.CABLE_LOSS for _ in range(10_000))
    assert 900 < lost < 1100


def test_a_lost_frame_has_used_the_line() -> None:
    """It is lost on the way, after it was sent: the next one waits for it."""
    cable = Cable(bandwidth=10 * MEGABIT, faults=Faults(drop_nth=(1,)))
    assert send(cable, 1250, 0, START) is DropReason.CABLE_LOSS
    assert send(cable, 1250, 0, START) == 2 * MILLISECOND


def test_frames_are_counted_in_each_direction_from_one() -> None:
    """The second and each third are dropped, and no others."""
    cable = Cable(faults=Faults(drop_nth=(2,), drop_every=3))
    for direction in (0, 1):
        fates = [send(cable, 60, direction, START) for _ in range(7)]
        assert [number for number, fate in enumerate(fates, 1) if fate is DropReason.CABLE_LOSS] == [2, 3, 6]
    cable.set_faults(Faults(drop_nth=(1,)))
    assert [send(cable, 60, 0, START) for _ in range(2)] == [DropReason.CABLE_LOSS, START]


def test_a_doubled_frame_uses_the_line_twice() -> None:
    """Both copies are sent, one after the other."""
    cable = Cable(bandwidth=8 * SECOND, faults=Faults(duplicate=Fraction(1)))
    assert arrivals(cable) == (Arrival(Instant(60), FRAME), Arrival(Instant(120), FRAME))


def test_a_frame_that_hurries_overtakes_those_before_it() -> None:
    """It does not wait for the latency; who comes after it arrives in order again."""
    cable = Cable(latency=MILLISECOND)
    assert send(cable, 60, 0, START) == MILLISECOND
    cable.set_faults(Faults(reorder=Fraction(1)))
    assert send(cable, 60, 0, Instant(5)) == 5
    cable.set_faults(NO_FAULTS)
    assert send(cable, 60, 0, Instant(6)) == MILLISECOND + 6


def test_one_bit_of_a_corrupt_frame_is_another() -> None:
    """Which one is drawn, and said."""
    fate = arrivals(Cable(faults=Faults(corrupt=Fraction(1))))
    assert not isinstance(fate, Loss)
    ((_, octets, remark),) = fate
    ((position, flipped),) = [
        (at, a ^ b) for at, (a, b) in enumerate(zip(octets, FRAME, strict=True)) if a != b
    ]
    assert remark == f"bit {flipped.bit_length() - 1} of octet {position} flips"
    assert flipped.bit_count() == 1


def test_jitter_lets_nothing_overtake() -> None:
    """Each frame's latency is within the bounds, unless it waits for the one before it."""
    cable = Cable(latency=MILLISECOND, jitter=MILLISECOND // 2)
    dues = [send(cable, 60, 0, Instant(at * 10 * MILLISECOND)) for at in range(50)]
    late = [due - at * 10 * MILLISECOND for at, due in enumerate(dues) if not isinstance(due, DropReason)]
    assert len(set(late)) > 40
    assert all(MILLISECOND // 2 <= each <= 3 * MILLISECOND // 2 for each in late)
    together = [send(cable, 60, 0, Instant(SECOND)) for _ in range(50)]
    assert together == sorted(together, key=lambda due: due if isinstance(due, int) else 0)


def test_a_cable_that_is_down_carries_nothing() -> None:
    """It is as if nothing were plugged in."""
    assert send(Cable(is_down=True), 60, 0, START) is DropReason.CABLE_UNPLUGGED


@pytest.mark.parametrize(
    "build",
    [
        lambda: Cable(latency=-1),
        lambda: Cable(bandwidth=-1),
        lambda: Cable(queue=-1),
        lambda: Cable(mtu=-1),
        lambda: Cable(jitter=1),
        lambda: Cable(faults=Faults(loss=Fraction(-1, 2))),
        lambda: Cable(faults=Faults(corrupt=Fraction(3, 2))),
        lambda: Cable(faults=Faults(drop_nth=(0,))),
        lambda: Cable(faults=Faults(drop_every=-1)),
    ],
)
def test_settings_out_of_range_are_refused(build: Callable[[], Cable]) -> None:
    """A cable that cannot be is never made."""
    with pytest.raises(CableError):
        build()


@given(cable=cables(), frames=sendings())
def test_frames_arrive_in_the_order_in_which_they_were_sent(cable: Cable, frames: list[Sending]) -> None:
    """In each direction, and never before the latency is over."""
    arrived = carried(cable, frames)
    for direction in (0, 1):
        dues = [due for _, _, line, due in arrived if line == direction]
        assert dues == sorted(dues)
    assert all(due - now >= cable.latency for now, _, _, due in arrived)


@given(frames=sendings(), shorter=st.integers(0, MILLISECOND))
def test_a_change_of_latency_does_not_let_frames_overtake(frames: list[Sending], shorter: int) -> None:
    """A frame sent after the cable became faster comes behind those under way."""
    cable = Cable(latency=MILLISECOND)
    first = carried(cable, [(0, 60, 0)])
    cable.latency = shorter
    assert all(due >= first[0][3] for *_, line, due in carried(cable, frames) if line == 0)


@given(cable=cables().filter(lambda cable: cable.bandwidth), frames=sendings())
def test_bandwidth_is_never_exceeded(cable: Cable, frames: list[Sending]) -> None:
    """Between any two frames the line carried no more bits than the time between them allows."""
    arrived = carried(cable, frames)
    for direction in (0, 1):
        line = [(now, length, due) for now, length, side, due in arrived if side == direction]
        for first in range(len(line)):
            bits = 0
            for now, length, due in line[first:]:
                bits += length * 8
                assert bits * SECOND <= (due - cable.latency - line[first][0]) * cable.bandwidth, now


@given(cable=cables(), frames=sendings())
def test_the_queue_never_holds_more_than_it_may(cable: Cable, frames: list[Sending]) -> None:
    """Octets accepted and not yet begun stay within the bound."""
    for direction in (0, 1):
        arrived = [frame for frame in carried(unused_copy(cable), frames) if frame[2] == direction]
        for at, *_ in arrived:
            waiting = 0
            for now, length, _, due in arrived:
                time = -(-length * 8 * SECOND // cable.bandwidth) if cable.bandwidth else 0
                waiting += length if now <= at < due - cable.latency - time else 0
            assert waiting <= cable.queue


def unused_copy(cable: Cable) -> Cable:
    """Return an unused cable with the settings of `cable`."""
    return Cable(latency=cable.latency, bandwidth=cable.bandwidth, queue=cable.queue, mtu=cable.mtu)
