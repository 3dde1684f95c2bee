# SPDX-License-Identifier: GPL-2.0-only
"""The states of an association and every way from one to another (RFC 9260 §4).

There is no state for a listener's half of a set-up: until the COOKIE ECHO comes,
all that it knows is in the cookie, and the cookie is with the peer.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class State(enum.Enum):
    """State of an association; the value is what `ss -S` prints."""

    CLOSED = "CLOSED"
    COOKIE_WAIT = "COOKIE_WAIT"
    COOKIE_ECHOED = "COOKIE_ECHOED"
    ESTABLISHED = "ESTABLISHED"
    SHUTDOWN_PENDING = "SHUTDOWN_PENDING"
    SHUTDOWN_SENT = "SHUTDOWN_SENT"
    SHUTDOWN_RECEIVED = "SHUTDOWN_RECEIVED"
    SHUTDOWN_ACK_SENT = "SHUTDOWN_ACK_SENT"


class Cause(enum.Enum):
    """What makes an association change its state."""

    ASSOCIATE = "the program connects"
    INIT_ACK = "an INIT ACK arrives"
    COOKIE_ECHO = "a COOKIE ECHO with a cookie of ours arrives"
    COOKIE_ACK = "a COOKIE ACK arrives"
    STALE_COOKIE = "the peer finds its cookie too old"
    RESTART = "the peer begins anew"
    SHUT = "the program closes"
    SHUTDOWN = "a SHUTDOWN arrives"
    ACKNOWLEDGED = "all data is acknowledged"
    SHUTDOWN_ACK = "a SHUTDOWN ACK arrives"
    SHUTDOWN_COMPLETE = "a SHUTDOWN COMPLETE arrives"
    ABORT = "ABORT, an error, or time is up"


S, C = State, Cause
TRANSITIONS: Final[Mapping[tuple[State, Cause], State]] = {
    (S.CLOSED, C.ASSOCIATE): S.COOKIE_WAIT,
    (S.CLOSED, C.COOKIE_ECHO): S.ESTABLISHED,
    (S.COOKIE_WAIT, C.INIT_ACK): S.COOKIE_ECHOED,
    (S.COOKIE_WAIT, C.COOKIE_ECHO): S.ESTABLISHED,
    (S.COOKIE_ECHOED, C.COOKIE_ECHO): S.ESTABLISHED,
    (S.COOKIE_ECHOED, C.COOKIE_ACK): S.ESTABLISHED,
    (S.COOKIE_ECHOED, C.STALE_COOKIE): S.COOKIE_WAIT,
    (S.ESTABLISHED, C.SHUT): S.SHUTDOWN_PENDING,
    (S.ESTABLISHED, C.SHUTDOWN): S.SHUTDOWN_RECEIVED,
    (S.SHUTDOWN_PENDING, C.ACKNOWLEDGED): S.SHUTDOWN_SENT,
    (S.SHUTDOWN_PENDING, C.SHUTDOWN): S.SHUTDOWN_RECEIVED,
    (S.SHUTDOWN_SENT, C.SHUTDOWN): S.SHUTDOWN_ACK_SENT,
    (S.SHUTDOWN_SENT, C.SHUTDOWN_ACK): S.CLOSED,
    (S.SHUTDOWN_RECEIVED, C.ACKNOWLEDGED): S.SHUTDOWN_ACK_SENT,
    (S.SHUTDOWN_ACK_SENT, C.SHUTDOWN_ACK): S.CLOSED,
    (S.SHUTDOWN_ACK_SENT, C.SHUTDOWN_COMPLETE): S.CLOSED,
    **{
        (state, C.RESTART): S.ESTABLISHED
        for state in (
            S.COOKIE_ECHOED,
            S.ESTABLISHED,
            S.SHUTDOWN_PENDING,
            S.SHUTDOWN_SENT,
            S.SHUTDOWN_RECEIVED,
        )
    },
    **{(state, C.ABORT): S.CLOSED for state in S if state is not S.CLOSED},
}

IN_SETUP: Final = frozenset((S.COOKIE_WAIT, S.COOKIE_ECHOED))
TAKES_DATA: Final = frozenset((S.COOKIE_ECHOED, S.ESTABLISHED, S.SHUTDOWN_PENDING, S.SHUTDOWN_SENT))
"""States in which DATA is received; in all others it is discarded."""
SENDS_DATA: Final = frozenset((S.ESTABLISHED, S.SHUTDOWN_PENDING, S.SHUTDOWN_RECEIVED))
"""States in which DATA that waits is sent, and may be acknowledged."""


def table() -> str:
    """Return the transitions as text, one a line, in the order of the states."""
    order = list(State)
    lines = sorted(TRANSITIONS.items(), key=lambda item: order.index(item[0][0]))
    return "\n".join(f"{before.name:18} {cause.value:44} {after.name}" for (before, cause), after in lines)
