# SPDX-License-Identifier: GPL-2.0-only
"""The states of a TCP connection as one in the middle sees it.

Who watches from the middle knows neither which segments arrive nor what the
ends think, so these states are named after what passed, not after what an end
is in: FIN_WAIT, one FIN passed; CLOSE_WAIT, an ACK followed it; LAST_ACK, the
second FIN; TIME_WAIT, the ACK of that.

A segment is one of six kinds, and each direction has a table of its own (the
direction is that of the connection: ORIGINAL is the way of its first packet).
`.`: the state stays; `ignore`: the segment passes, and nothing is learned from
it but what it would mean if the ends knew better; `-`: it is invalid.

    ORIGINAL    SYN         SYN_ACK     FIN         ACK         RST         NONE
    NONE        SYN_SENT    -           -           ESTABLISHED -           -
    SYN_SENT    .           -           -           -           CLOSE       -
    SYN_RECV    ignore      .           FIN_WAIT    ESTABLISHED CLOSE       -
    ESTABLISHED ignore      -           FIN_WAIT    .           CLOSE       -
    FIN_WAIT    ignore      -           LAST_ACK    CLOSE_WAIT  CLOSE       -
    CLOSE_WAIT  ignore      -           LAST_ACK    .           CLOSE       -
    LAST_ACK    ignore      -           .           TIME_WAIT   CLOSE       -
    TIME_WAIT   SYN_SENT    -           .           .           CLOSE       -
    CLOSE       SYN_SENT    -           .           .           .           -
    SYN_SENT2   .           SYN_RECV    -           -           CLOSE       -

    REPLY       SYN         SYN_ACK     FIN         ACK         RST         NONE
    NONE        -           -           -           -           -           -
    SYN_SENT    SYN_SENT2   SYN_RECV    -           ignore      CLOSE       -
    SYN_RECV    -           ignore      FIN_WAIT    .           CLOSE       -
    ESTABLISHED -           ignore      FIN_WAIT    .           CLOSE       -
    FIN_WAIT    -           ignore      LAST_ACK    CLOSE_WAIT  CLOSE       -
    CLOSE_WAIT  -           ignore      LAST_ACK    .           CLOSE       -
    LAST_ACK    -           ignore      .           TIME_WAIT   CLOSE       -
    TIME_WAIT   SYN_SENT    ignore      .           .           CLOSE       -
    CLOSE       -           ignore      .           .           .           -
    SYN_SENT2   .           SYN_RECV    -           ignore      CLOSE       -

Source: net/netfilter/nf_conntrack_proto_tcp.c, Linux 6.18.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.conntrack.entry import Direction
from emu.wire.tcp import ACK, FIN, RST, SYN

if TYPE_CHECKING:
    from collections.abc import Mapping


class State(enum.IntEnum):
    """How far a connection is; names and numbers are those of `enum tcp_conntrack`."""

    NONE = 0
    SYN_SENT = 1
    SYN_RECV = 2
    ESTABLISHED = 3
    FIN_WAIT = 4
    CLOSE_WAIT = 5
    LAST_ACK = 6
    TIME_WAIT = 7
    CLOSE = 8
    SYN_SENT2 = 9


class Kind(enum.IntEnum):
    """What a segment does, by its flags; RST goes before SYN, SYN before FIN, FIN before ACK."""

    SYN = 0
    SYN_ACK = 1
    FIN = 2
    ACK = 3
    RST = 4
    NONE = 5

    @classmethod
    def of(cls, flags: int) -> Kind:
        """Return the kind of a segment with `flags`."""
        if flags & RST:
            return cls.RST
        if flags & SYN:
            return cls.SYN_ACK if flags & ACK else cls.SYN
        if flags & FIN:
            return cls.FIN
        return cls.ACK if flags & ACK else cls.NONE


IGNORE: Final = None
"""The segment passes, and the state stays as it is."""

S, K = State, Kind
_CLOSING: Final[Mapping[tuple[Kind, State], State | None]] = {
    (K.FIN, S.SYN_RECV): S.FIN_WAIT,
    (K.FIN, S.ESTABLISHED): S.FIN_WAIT,
    (K.FIN, S.FIN_WAIT): S.LAST_ACK,
    (K.FIN, S.CLOSE_WAIT): S.LAST_ACK,
    (K.FIN, S.LAST_ACK): S.LAST_ACK,
    (K.FIN, S.TIME_WAIT): S.TIME_WAIT,
    (K.FIN, S.CLOSE): S.CLOSE,
    (K.ACK, S.ESTABLISHED): S.ESTABLISHED,
    (K.ACK, S.FIN_WAIT): S.CLOSE_WAIT,
    (K.ACK, S.CLOSE_WAIT): S.CLOSE_WAIT,
    (K.ACK, S.LAST_ACK): S.TIME_WAIT,
    (K.ACK, S.TIME_WAIT): S.TIME_WAIT,
    (K.ACK, S.CLOSE): S.CLOSE,
    **{(K.RST, state): S.CLOSE for state in S if state is not S.NONE},
}
"""What is the same both ways."""

TRANSITIONS: Final[Mapping[Direction, Mapping[tuple[Kind, State], State | None]]] = {
    Direction.ORIGINAL: {
        **_CLOSING,
        **{(K.SYN, state): IGNORE for state in S},
        (K.SYN, S.NONE): S.SYN_SENT,
        (K.SYN, S.SYN_SENT): S.SYN_SENT,
        (K.SYN, S.TIME_WAIT): S.SYN_SENT,
        (K.SYN, S.CLOSE): S.SYN_SENT,
        (K.SYN, S.SYN_SENT2): S.SYN_SENT2,
        (K.SYN_ACK, S.SYN_RECV): S.SYN_RECV,
        (K.SYN_ACK, S.SYN_SENT2): S.SYN_RECV,
        (K.ACK, S.NONE): S.ESTABLISHED,
        (K.ACK, S.SYN_RECV): S.ESTABLISHED,
    },
    Direction.REPLY: {
        **_CLOSING,
        **{(K.SYN_ACK, state): IGNORE for state in S if state is not S.NONE},
        (K.SYN_ACK, S.SYN_SENT): S.SYN_RECV,
        (K.SYN_ACK, S.SYN_SENT2): S.SYN_RECV,
        (K.SYN, S.SYN_SENT): S.SYN_SENT2,
        (K.SYN, S.SYN_SENT2): S.SYN_SENT2,
        (K.SYN, S.TIME_WAIT): S.SYN_SENT,
        (K.ACK, S.SYN_SENT): IGNORE,
        (K.ACK, S.SYN_SENT2): IGNORE,
        (K.ACK, S.SYN_RECV): S.SYN_RECV,
    },
}
"""The state after a segment; a segment that is not here is invalid."""


def table() -> str:
    """Return the transitions as they are drawn above."""
    return "\n\n".join(_grid(direction) for direction in Direction)


def _grid(direction: Direction) -> str:
    lines = [[direction.name, *(kind.name for kind in Kind)]]
    lines += [[state.name, *(_cell(direction, kind, state) for kind in Kind)] for state in State]
    return "\n".join("".join(f"{word:12}" for word in line).rstrip() for line in lines)


def _cell(direction: Direction, kind: Kind, state: State) -> str:
    after = TRANSITIONS[direction].get((kind, state), S.NONE)  # nothing leads to NONE
    if after is IGNORE:
        return "ignore"
    if after is S.NONE:
        return "-"
    return "." if after is state else after.name
