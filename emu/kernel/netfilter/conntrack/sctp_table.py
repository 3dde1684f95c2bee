# SPDX-License-Identifier: GPL-2.0-only
"""The states of an SCTP association as one in the middle sees it.

They are named like those of an end, but are the association's: SHUTDOWN_SENT,
the one who began it has sent SHUTDOWN; SHUTDOWN_RECD, the other one has. CLOSED
is what it is after the first INIT, too. HEARTBEAT_SENT is a further path of an
association that began elsewhere.

A chunk that is not below leaves the state as it is, and so does each of those
below in a state that it is not listed with. From NONE and from HEARTBEAT_SENT
other chunks of the ORIGINAL direction lead to CLOSED; those of the REPLY
direction are invalid.

    both      ABORT             any               CLOSED
    both      SHUTDOWN_ACK      SHUTDOWN_SENT     SHUTDOWN_ACK_SENT
    both      SHUTDOWN_ACK      SHUTDOWN_RECD     SHUTDOWN_ACK_SENT
    both      SHUTDOWN_COMPLETE SHUTDOWN_ACK_SENT CLOSED
    both      COOKIE_ECHO       COOKIE_WAIT       COOKIE_ECHOED
    both      COOKIE_ACK        COOKIE_ECHOED     ESTABLISHED
    both      HEARTBEAT         HEARTBEAT_SENT    HEARTBEAT_SENT
    ORIGINAL  INIT              SHUTDOWN_SENT     CLOSED
    ORIGINAL  INIT              SHUTDOWN_RECD     CLOSED
    ORIGINAL  INIT              HEARTBEAT_SENT    COOKIE_WAIT
    ORIGINAL  SHUTDOWN          ESTABLISHED       SHUTDOWN_SENT
    ORIGINAL  SHUTDOWN_ACK      NONE              SHUTDOWN_ACK_SENT
    ORIGINAL  SHUTDOWN_ACK      HEARTBEAT_SENT    SHUTDOWN_ACK_SENT
    ORIGINAL  HEARTBEAT         NONE              HEARTBEAT_SENT
    ORIGINAL  HEARTBEAT_ACK     HEARTBEAT_SENT    HEARTBEAT_SENT
    REPLY     INIT_ACK          CLOSED            COOKIE_WAIT
    REPLY     SHUTDOWN          ESTABLISHED       SHUTDOWN_RECD
    REPLY     ERROR             COOKIE_ECHOED     CLOSED
    REPLY     HEARTBEAT_ACK     HEARTBEAT_SENT    ESTABLISHED

Source: net/netfilter/nf_conntrack_proto_sctp.c, Linux 6.18; RFC 9260.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.conntrack.entry import Direction
from emu.wire.sctp import ChunkType

if TYPE_CHECKING:
    from collections.abc import Mapping


class State(enum.IntEnum):
    """How far an association is; names and numbers are those of `enum sctp_conntrack`."""

    NONE = 0
    CLOSED = 1
    COOKIE_WAIT = 2
    COOKIE_ECHOED = 3
    ESTABLISHED = 4
    SHUTDOWN_SENT = 5
    SHUTDOWN_RECD = 6
    SHUTDOWN_ACK_SENT = 7
    HEARTBEAT_SENT = 8


S, C = State, ChunkType
_BOTH: Final[Mapping[tuple[ChunkType, State], State]] = {
    **{(C.ABORT, state): S.CLOSED for state in S},
    (C.SHUTDOWN_ACK, S.SHUTDOWN_SENT): S.SHUTDOWN_ACK_SENT,
    (C.SHUTDOWN_ACK, S.SHUTDOWN_RECD): S.SHUTDOWN_ACK_SENT,
    (C.SHUTDOWN_COMPLETE, S.SHUTDOWN_ACK_SENT): S.CLOSED,
    (C.COOKIE_ECHO, S.COOKIE_WAIT): S.COOKIE_ECHOED,
    (C.COOKIE_ACK, S.COOKIE_ECHOED): S.ESTABLISHED,
    (C.HEARTBEAT, S.HEARTBEAT_SENT): S.HEARTBEAT_SENT,
}
_ORIGINAL: Final[Mapping[tuple[ChunkType, State], State]] = {
    (C.INIT, S.SHUTDOWN_SENT): S.CLOSED,
    (C.INIT, S.SHUTDOWN_RECD): S.CLOSED,
    (C.INIT, S.HEARTBEAT_SENT): S.COOKIE_WAIT,
    (C.SHUTDOWN, S.ESTABLISHED): S.SHUTDOWN_SENT,
    (C.SHUTDOWN_ACK, S.NONE): S.SHUTDOWN_ACK_SENT,
    (C.SHUTDOWN_ACK, S.HEARTBEAT_SENT): S.SHUTDOWN_ACK_SENT,
    (C.HEARTBEAT, S.NONE): S.HEARTBEAT_SENT,
    (C.HEARTBEAT_ACK, S.HEARTBEAT_SENT): S.HEARTBEAT_SENT,
}
_REPLY: Final[Mapping[tuple[ChunkType, State], State]] = {
    (C.INIT_ACK, S.CLOSED): S.COOKIE_WAIT,
    (C.SHUTDOWN, S.ESTABLISHED): S.SHUTDOWN_RECD,
    (C.ERROR, S.COOKIE_ECHOED): S.CLOSED,
    (C.HEARTBEAT_ACK, S.HEARTBEAT_SENT): S.ESTABLISHED,
}
_OUTSIDE: Final = (S.NONE, S.HEARTBEAT_SENT)
_CHUNKS: Final = frozenset(ChunkType) - {C.DATA, C.SACK}


def step(direction: Direction, chunk: int, state: State) -> State | None:
    """Return the state after a chunk of type `chunk`, None if it is invalid."""
    if chunk not in _CHUNKS:
        return state
    key = (ChunkType(chunk), state)
    own = _ORIGINAL if direction is Direction.ORIGINAL else _REPLY
    if key in own:
        return own[key]
    if state in _OUTSIDE and direction is Direction.REPLY:
        return state if key == (C.HEARTBEAT, S.HEARTBEAT_SENT) else None
    if key in _BOTH:
        return _BOTH[key]
    return S.CLOSED if state in _OUTSIDE else state


def table() -> str:
    """Return what is listed above."""
    lines = [("both", chunk.name, state.name, after.name) for (chunk, state), after in _BOTH.items()]
    lines = [("both", C.ABORT.name, "any", S.CLOSED.name), *(line for line in lines if line[1] != "ABORT")]
    for direction, listed in zip(Direction, (_ORIGINAL, _REPLY), strict=True):
        lines += [
            (direction.name, chunk.name, state.name, after.name) for (chunk, state), after in listed.items()
        ]
    return "\n".join(f"{way:10}{chunk:18}{state:18}{after}" for way, chunk, state, after in lines)
