# SPDX-License-Identifier: GPL-2.0-only
"""The table of transitions, against RFC 9260 figure 3."""

from __future__ import annotations

import pytest

from emu.kernel.sctp.states import TRANSITIONS, Cause, State, table

FIGURE_3 = {
    (State.CLOSED, State.COOKIE_WAIT),
    (State.CLOSED, State.ESTABLISHED),
    (State.COOKIE_WAIT, State.COOKIE_ECHOED),
    (State.COOKIE_ECHOED, State.ESTABLISHED),
    (State.ESTABLISHED, State.SHUTDOWN_PENDING),
    (State.ESTABLISHED, State.SHUTDOWN_RECEIVED),
    (State.SHUTDOWN_PENDING, State.SHUTDOWN_SENT),
    (State.SHUTDOWN_RECEIVED, State.SHUTDOWN_ACK_SENT),
    (State.SHUTDOWN_SENT, State.CLOSED),
    (State.SHUTDOWN_SENT, State.SHUTDOWN_ACK_SENT),
    (State.SHUTDOWN_ACK_SENT, State.CLOSED),
}
BEYOND_IT = {
    (State.COOKIE_WAIT, State.ESTABLISHED),  # §5.2.4 (B): both sides began
    (State.COOKIE_ECHOED, State.COOKIE_WAIT),  # §5.2.6
    (State.SHUTDOWN_PENDING, State.SHUTDOWN_RECEIVED),  # §9.2
}


def test_the_table_is_the_figure_of_the_rfc() -> None:
    """And what its text adds; a restart and an ABORT lead from nearly everywhere."""
    ways = {
        (before, after)
        for (before, cause), after in TRANSITIONS.items()
        if cause not in {Cause.ABORT, Cause.RESTART}
    }
    assert ways == FIGURE_3 | BEYOND_IT


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_reached_and_left(state: State) -> None:
    """There is no trap, and nothing superfluous."""
    assert state in {before for before, _ in TRANSITIONS}
    assert state in set(TRANSITIONS.values())


def test_the_table_can_be_printed() -> None:
    """One transition a line."""
    lines = table().splitlines()
    assert len(lines) == len(TRANSITIONS)
    assert lines[0].split() == ["CLOSED", *Cause.ASSOCIATE.value.split(), "COOKIE_WAIT"]
