# SPDX-License-Identifier: GPL-2.0-only
"""The table of transitions, against RFC 9293 figure 5."""

from __future__ import annotations

import pytest

from emu.kernel.tcp.states import TRANSITIONS, Cause, State, table

FIGURE_5 = {
    (State.CLOSED, State.LISTEN),
    (State.CLOSED, State.SYN_SENT),
    (State.LISTEN, State.CLOSED),
    (State.LISTEN, State.SYN_RECEIVED),
    (State.SYN_SENT, State.CLOSED),
    (State.SYN_SENT, State.SYN_RECEIVED),
    (State.SYN_SENT, State.ESTABLISHED),
    (State.SYN_RECEIVED, State.ESTABLISHED),
    (State.SYN_RECEIVED, State.FIN_WAIT_1),
    (State.ESTABLISHED, State.FIN_WAIT_1),
    (State.ESTABLISHED, State.CLOSE_WAIT),
    (State.FIN_WAIT_1, State.FIN_WAIT_2),
    (State.FIN_WAIT_1, State.CLOSING),
    (State.FIN_WAIT_2, State.TIME_WAIT),
    (State.CLOSING, State.TIME_WAIT),
    (State.CLOSE_WAIT, State.LAST_ACK),
    (State.LAST_ACK, State.CLOSED),
}


def test_the_table_is_the_figure_of_the_rfc() -> None:
    """Less its shortcuts of two steps, and LISTEN to SYN-SENT, which Linux does not know."""
    ways = {(before, after) for (before, cause), after in TRANSITIONS.items() if cause is not Cause.ABORT}
    assert ways == FIGURE_5


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_reached_and_left(state: State) -> None:
    """There is no trap, and nothing superfluous."""
    if state is not State.CLOSED:
        assert state in TRANSITIONS.values()
    assert state in {before for before, _ in TRANSITIONS}


@pytest.mark.parametrize("state", [state for state in State if state not in (State.CLOSED, State.LISTEN)])
def test_an_abort_ends_every_connection(state: State) -> None:
    """RST, an error, or a timeout."""
    assert TRANSITIONS[state, Cause.ABORT] is State.CLOSED


def test_the_table_can_be_printed() -> None:
    """One line a transition, in the order in which a connection lives."""
    lines = table().splitlines()
    assert len(lines) == len(TRANSITIONS)
    assert lines[0].split() == ["CLOSED", "the", "program", "connects", "SYN_SENT"]
    assert lines[-1].split() == ["TIME_WAIT", "RST,", "an", "error,", "or", "time", "is", "up", "CLOSED"]
