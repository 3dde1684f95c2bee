# SPDX-License-Identifier: GPL-2.0-only
"""One seed, many named random streams."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from emu.sim.rng import Streams


def draws(streams: Streams, name: str, count: int = 8) -> list[int]:
    """Return the next numbers of a stream."""
    return [streams.stream(name).getrandbits(64) for _ in range(count)]


@given(seed=st.integers(), name=st.text())
def test_same_seed_and_name_give_the_same_numbers(seed: int, name: str) -> None:
    """A run can be repeated."""
    assert draws(Streams(seed), name) == draws(Streams(seed), name)


@given(seed=st.integers(), other=st.integers())
def test_another_seed_gives_other_numbers(seed: int, other: int) -> None:
    """Every seed is a run of its own, negative ones too."""
    assert (draws(Streams(seed), "isn") == draws(Streams(other), "isn")) == (seed == other)


@given(seed=st.integers(), name=st.text(), other=st.text(), count=st.integers(0, 5))
def test_what_one_part_draws_does_not_move_another(seed: int, name: str, other: str, count: int) -> None:
    """A stream goes on as if it were alone, whoever draws in between."""
    alone, shared = Streams(seed), Streams(seed)
    if name != other:
        draws(shared, other, count)
        assert draws(shared, name) == draws(alone, name)


def test_streams_of_different_names_differ() -> None:
    """Two nodes do not draw the same ports."""
    streams = Streams(1)
    assert draws(streams, "node-1/ports") != draws(streams, "node-2/ports")


def test_numbers_are_the_same_on_every_machine() -> None:
    """Seed 7 gives these numbers, on any Python and with any hash seed."""
    assert draws(Streams(7), "node-1/isn", 2) == [1810710805466236609, 17940906082191393605]


def test_a_stream_is_one_object() -> None:
    """Whoever asks twice goes on where it was."""
    streams = Streams(0)
    assert streams.stream("a") is streams.stream("a")
