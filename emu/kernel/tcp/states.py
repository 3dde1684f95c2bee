# SPDX-License-Identifier: GPL-2.0-only
"""The states of a connection and every way from one to another (RFC 9293 §3.3.2).

A segment may be the cause of two steps: one with FIN that acknowledges our FIN
takes FIN-WAIT-1 by FIN-WAIT-2 to TIME-WAIT, as in Linux.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class State(enum.Enum):
    """State of a connection; the value is what `ss` prints."""

    CLOSED = "UNCONN"
    LISTEN = "LISTEN"
    SYN_SENT = "SYN-SENT"
    SYN_RECEIVED = "SYN-RECV"
    ESTABLISHED = "ESTAB"
    FIN_WAIT_1 = "FIN-WAIT-1"
    FIN_WAIT_2 = "FIN-WAIT-2"
    CLOSE_WAIT = "CLOSE-WAIT"
    CLOSING = "CLOSING"
    LAST_ACK = "LAST-ACK"
    TIME_WAIT = "TIME-WAIT"


class Cause(enum.Enum):
    """What makes a connection change its state."""

    ACTIVE_OPEN = "the program connects"
    PASSIVE_OPEN = "the program listens"
    SYN = "a SYN arrives"
    SYN_ACK = "a SYN that acknowledges ours arrives"
    ACK_OF_SYN = "our SYN is acknowledged"
    CLOSE = "the program closes"
    FIN = "a FIN arrives"
    ACK_OF_FIN = "our FIN is acknowledged"
    ABORT = "RST, an error, or time is up"


S, C = State, Cause
TRANSITIONS: Final[Mapping[tuple[State, Cause], State]] = {
    (S.CLOSED, C.ACTIVE_OPEN): S.SYN_SENT,
    (S.CLOSED, C.PASSIVE_OPEN): S.LISTEN,
    (S.LISTEN, C.SYN): S.SYN_RECEIVED,
    (S.LISTEN, C.CLOSE): S.CLOSED,
    (S.SYN_SENT, C.SYN): S.SYN_RECEIVED,
    (S.SYN_SENT, C.SYN_ACK): S.ESTABLISHED,
    (S.SYN_SENT, C.CLOSE): S.CLOSED,
    (S.SYN_RECEIVED, C.ACK_OF_SYN): S.ESTABLISHED,
    (S.SYN_RECEIVED, C.CLOSE): S.FIN_WAIT_1,
    (S.ESTABLISHED, C.CLOSE): S.FIN_WAIT_1,
    (S.ESTABLISHED, C.FIN): S.CLOSE_WAIT,
    (S.FIN_WAIT_1, C.ACK_OF_FIN): S.FIN_WAIT_2,
    (S.FIN_WAIT_1, C.FIN): S.CLOSING,
    (S.FIN_WAIT_2, C.FIN): S.TIME_WAIT,
    (S.CLOSING, C.ACK_OF_FIN): S.TIME_WAIT,
    (S.CLOSE_WAIT, C.CLOSE): S.LAST_ACK,
    (S.LAST_ACK, C.ACK_OF_FIN): S.CLOSED,
    **{(state, C.ABORT): S.CLOSED for state in S if state not in (S.CLOSED, S.LISTEN)},
}


def table() -> str:
    """Return the transitions as text, one a line, in the order of the states."""
    order = list(State)
    lines = sorted(TRANSITIONS.items(), key=lambda item: order.index(item[0][0]))
    return "\n".join(f"{before.name:12} {cause.value:36} {after.name}" for (before, cause), after in lines)
