# SPDX-License-Identifier: GPL-2.0-only
"""The states of TCP: the table, and a way into each of its cells."""

from __future__ import annotations

import textwrap
from typing import Final

import pytest

from emu.kernel.netfilter.conntrack import sctp_table, tcp_table
from emu.kernel.netfilter.conntrack.entry import Direction
from emu.kernel.netfilter.conntrack.tcp_table import IGNORE, TRANSITIONS, Kind, State
from emu.kernel.netfilter.conntrack.tcp_window import TcpState
from tests.unit.kernel.netfilter.conntrack.middle import Middle

_SETUP: Final = (">S seq=100", "<SA seq=900 ack=101")
_WAYS: Final[dict[State, tuple[str, ...]]] = {
    State.NONE: (),
    State.SYN_SENT: (">S seq=100",),
    State.SYN_RECV: _SETUP,
    State.ESTABLISHED: (*_SETUP, ">A seq=101 ack=901"),
    State.FIN_WAIT: (*_SETUP, ">A seq=101 ack=901", ">FA seq=101 ack=901"),
    State.CLOSE_WAIT: (*_SETUP, ">A seq=101 ack=901", ">FA seq=101 ack=901", "<A seq=901 ack=102"),
    State.LAST_ACK: (*_SETUP, ">A seq=101 ack=901", ">FA seq=101 ack=901", "<FA seq=901 ack=102"),
    State.TIME_WAIT: (
        *_SETUP,
        ">A seq=101 ack=901",
        ">FA seq=101 ack=901",
        "<FA seq=901 ack=102",
        ">A seq=102 ack=902",
    ),
    State.CLOSE: (*_SETUP, ">A seq=101 ack=901", "<R seq=901"),
    State.SYN_SENT2: (">S seq=100", "<S seq=900"),
}
"""Segments that take a connection to each state."""
_FLAGS: Final = {Kind.SYN: "S", Kind.SYN_ACK: "SA", Kind.FIN: "FA", Kind.ACK: "A", Kind.RST: "R"}
_REOPENS: Final = ((">", State.TIME_WAIT), ("<", State.TIME_WAIT), (">", State.CLOSE))


def play(middle: Middle, told: str) -> str:
    """Let the segment pass that is told as in `_WAYS`, and return what it was."""
    flags, *numbers = told[1:].split()
    words = dict(word.split("=") for word in numbers)
    return middle.tcp(told[0], flags, **{key: int(value) for key, value in words.items()})


def reach(state: State) -> Middle:
    """Return a node whose connection is in `state`."""
    middle = Middle()
    for told in _WAYS[state]:
        assert play(middle, told) != "INVALID"
    assert middle.state == ("" if state is State.NONE else state.name)
    return middle


def test_the_drawing_is_the_table() -> None:
    """What stands at the head of the module is what the code goes by."""
    assert textwrap.indent(tcp_table.table(), "    ") in (tcp_table.__doc__ or "")


def test_the_list_of_sctp_is_the_table() -> None:
    """So for SCTP."""
    assert textwrap.indent(sctp_table.table(), "    ") in (sctp_table.__doc__ or "")


@pytest.mark.parametrize("state", State)
def test_each_state_is_reached(state: State) -> None:
    """Ordinary segments lead to all of them."""
    reach(state)


@pytest.mark.parametrize("state", [state for state in State if state is not State.NONE])
@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.NONE])
@pytest.mark.parametrize("way", "><")
def test_a_segment_in_its_window_moves_the_state_as_the_table_says(
    way: str, kind: Kind, state: State
) -> None:
    """The next segment that is expected has the effect that stands in the table."""
    middle = reach(state)
    direction = Direction.ORIGINAL if way == ">" else Direction.REPLY
    connection = middle.connection
    assert connection is not None
    tracked = connection.tracker
    assert isinstance(tracked, TcpState)
    sender, receiver = tracked.sides[direction], tracked.sides[1 - direction]
    after = TRANSITIONS[direction].get((kind, state), State.NONE)
    seq = sender.end - (kind is Kind.SYN and state is State.SYN_SENT2)
    ack = receiver.end if kind in {Kind.SYN_ACK, Kind.FIN, Kind.ACK} else 0
    answer = middle.tcp(way, _FLAGS[kind], seq=seq, ack=ack)
    if after is State.NONE:
        assert (answer, middle.state) == ("INVALID", state.name)
    elif kind is Kind.SYN and (way, state) in _REOPENS and state is State.TIME_WAIT:
        assert (answer, middle.state) == ("NEW", "SYN_SENT")
        assert middle.connection is not connection
    elif after is IGNORE or (kind is Kind.SYN and state is State.CLOSE):
        assert (answer, middle.state) == ("ESTABLISHED", state.name)  # an answer, or behind one
    elif kind is Kind.RST and state is State.SYN_SENT and way == ">":
        assert (answer, middle.connection) == ("NEW", None)  # nobody ever answered
    elif kind is Kind.RST and state is State.SYN_SENT:
        assert (answer, middle.connection) == ("ESTABLISHED", None)
    else:
        assert (answer, middle.state) == (
            "NEW" if state is State.SYN_SENT and way == ">" else "ESTABLISHED",
            after.name,
        )
