# SPDX-License-Identifier: GPL-2.0-only
"""The states of a connection by protocol, and for how long each is remembered.

A letter says what a segment is: for TCP its strongest flag, for SCTP its first
chunk. The tables are printed as Linux has them: a row for each event, a column
for each state that the connection has, and there the one that it gets.

Source: ip_vs_proto_tcp.c `tcp_states`, ip_vs_proto_sctp.c `sctp_states`, ip_vs_proto_udp.c.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.sim.time import SECOND
from emu.wire.ipv4 import TCP, UDP
from emu.wire.sctp import PROTOCOL as SCTP
from emu.wire.sctp import ChunkType
from emu.wire.tcp import ACK, FIN, RST, SYN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.sim.time import Duration


class Way(enum.IntEnum):
    """Which way a packet goes."""

    IN = 0
    OUT = 1


class State(enum.Enum):
    """The state of a connection, as `ipvsadm -Lnc` writes it."""

    NONE = "NONE"
    ESTABLISHED = "ESTABLISHED"
    SYN_SENT = "SYN_SENT"
    SYN_RECV = "SYN_RECV"
    FIN_WAIT = "FIN_WAIT"
    TIME_WAIT = "TIME_WAIT"
    CLOSE = "CLOSE"
    CLOSE_WAIT = "CLOSE_WAIT"
    LAST_ACK = "LAST_ACK"
    LISTEN = "LISTEN"
    SYNACK = "SYNACK"
    UDP = "UDP"
    INIT1 = "INIT1"
    INIT = "INIT"
    COOKIE_SENT = "C-SENT"
    COOKIE_REPLIED = "C-REPLIED"
    COOKIE_WAIT = "C-WAIT"
    COOKIE = "COOKIE"
    COOKIE_ECHOED = "C-ECHOED"
    SHUTDOWN_SENT = "S-SENT"
    SHUTDOWN_RECEIVED = "S-RECEIVED"
    SHUTDOWN_ACK_SENT = "S-ACK-SENT"
    REJECTED = "REJECTED"
    CLOSED = "CLOSED"
    ASSURED = "ASSURED"
    """Of a client that stays: one of its connections has stood."""


_TCP_ORDER: Final = (
    State.NONE,
    State.ESTABLISHED,
    State.SYN_SENT,
    State.SYN_RECV,
    State.FIN_WAIT,
    State.TIME_WAIT,
    State.CLOSE,
    State.CLOSE_WAIT,
    State.LAST_ACK,
    State.LISTEN,
    State.SYNACK,
)
_TCP_NAMES: Final = "NO ES SS SR FW TW CL CW LA LI SA"
_TCP_TABLE: Final = {
    Way.IN: """
    S  SR ES ES SR SR SR SR SR SR SR SR
    F  CL CW SS TW TW TW CL CW LA LI TW
    A  ES ES SS ES FW TW CL CW CL LI ES
    R  CL CL CL SR CL CL CL CL LA LI SR
    """,
    Way.OUT: """
    S  SS ES SS SR SS SS SS SS SS LI SR
    F  TW FW SS TW FW TW CL TW LA LI TW
    A  ES ES SS ES FW TW CL CW LA ES ES
    R  CL CL SS CL CL TW CL CL CL CL CL
    """,
}
_SCTP_ORDER: Final = (
    State.NONE,
    State.INIT1,
    State.INIT,
    State.COOKIE_SENT,
    State.COOKIE_REPLIED,
    State.COOKIE_WAIT,
    State.COOKIE,
    State.COOKIE_ECHOED,
    State.ESTABLISHED,
    State.SHUTDOWN_SENT,
    State.SHUTDOWN_RECEIVED,
    State.SHUTDOWN_ACK_SENT,
    State.REJECTED,
    State.CLOSED,
)
_SCTP_NAMES: Final = "NO I1 IN CS CR CW CO CE ES SS SR SA RJ CL"
_SCTP_TABLE: Final = {
    Way.IN: """
    data              ES I1 IN CS CR CW CO CE ES SS SR SA RJ CL
    init              I1 IN IN CS CR CW CO CE ES SS SR SA IN IN
    init_ack          CW CW CW CS CR CO CO CE ES SS SR SA RJ CL
    cookie_echo       CR IN IN CR CR CW CO CE ES SS SR SA RJ CL
    cookie_ack        ES I1 IN CS CR CW CO ES ES SS SR SA RJ CL
    shutdown          SR I1 IN CS CR CW CO CE SR SS SR SA RJ CL
    shutdown_ack      CL IN IN CS CR CW CO CE ES CL SR CL RJ CL
    shutdown_complete CL CL CL CS CR CW CO CE ES SS SR CL RJ CL
    error             CL I1 IN CS CR CW CO CL ES SS SR SA RJ CL
    abort             CL CL CL CL CL RJ CL CL CL CL CL CL CL CL
    """,
    Way.OUT: """
    data              ES I1 IN CS CR CW CO CE ES SS SR SA RJ CL
    init              CW CW CW CW CW CW CW CW ES CW CW CW CW CW
    init_ack          CS CS CS CS CR CW CO CE ES SS SR SA RJ CL
    cookie_echo       CE CE CE CE CE CE CE CE ES SS SR SA RJ CL
    cookie_ack        ES ES ES ES ES ES ES ES ES SS SR SA RJ CL
    shutdown          SS SS SS SS SS SS SS SS SS SS SR SA RJ CL
    shutdown_ack      SA SA SA SA SA CW CO CE ES SA SA SA RJ CL
    shutdown_complete CL I1 IN CS CR CW CO CE ES SS SR SA RJ CL
    error             CL CL CL CL CL CW CO CE ES SS SR SA RJ CL
    abort             CL RJ CL CL CL CL CL CL CL CL CL CL CL CL
    """,
}
_CHUNKS: Final = {
    ChunkType.INIT: "init",
    ChunkType.INIT_ACK: "init_ack",
    ChunkType.COOKIE_ECHO: "cookie_echo",
    ChunkType.COOKIE_ACK: "cookie_ack",
    ChunkType.SHUTDOWN: "shutdown",
    ChunkType.SHUTDOWN_ACK: "shutdown_ack",
    ChunkType.SHUTDOWN_COMPLETE: "shutdown_complete",
    ChunkType.ERROR: "error",
    ChunkType.ABORT: "abort",
}


class _Step(NamedTuple):
    way: Way
    event: str
    state: State


def _read(table: Mapping[Way, str], names: str, order: tuple[State, ...]) -> dict[_Step, State]:
    words = dict(zip(names.split(), order, strict=True))
    steps: dict[_Step, State] = {}
    for way, rows in table.items():
        for row in rows.strip().splitlines():
            event, *cells = row.split()
            for state, cell in zip(order, cells, strict=True):
                steps[_Step(way, event, state)] = words[cell]
    return steps


_TCP_STEPS: Final = _read(_TCP_TABLE, _TCP_NAMES, _TCP_ORDER)
_SCTP_STEPS: Final = _read(_SCTP_TABLE, _SCTP_NAMES, _SCTP_ORDER)

FIRST: Final[Mapping[int, State]] = {TCP: State.NONE, UDP: State.UDP, SCTP: State.NONE}
"""The state that a connection begins in, by protocol."""

ACTIVE: Final = frozenset((State.ESTABLISHED, State.SYN_SENT, State.SYN_RECV, State.SYNACK))
"""Those of TCP that count as active connections (`tcp_state_active_table`); SCTP has one."""

_MAX_RTO: Final = 61 * SECOND
TIMEOUTS: Final[Mapping[tuple[int, State], Duration]] = {
    (TCP, State.NONE): 2 * SECOND,
    (TCP, State.ESTABLISHED): 900 * SECOND,
    (TCP, State.SYN_SENT): 120 * SECOND,
    (TCP, State.SYN_RECV): 60 * SECOND,
    (TCP, State.FIN_WAIT): 120 * SECOND,
    (TCP, State.TIME_WAIT): 120 * SECOND,
    (TCP, State.CLOSE): 10 * SECOND,
    (TCP, State.CLOSE_WAIT): 60 * SECOND,
    (TCP, State.LAST_ACK): 30 * SECOND,
    (TCP, State.LISTEN): 120 * SECOND,
    (TCP, State.SYNACK): 120 * SECOND,
    (UDP, State.UDP): 300 * SECOND,
    **{(SCTP, state): _MAX_RTO for state in _SCTP_ORDER},
    (SCTP, State.NONE): 2 * SECOND,
    (SCTP, State.INIT1): 4 * SECOND,
    (SCTP, State.ESTABLISHED): 900 * SECOND,
    (SCTP, State.REJECTED): 4 * SECOND,
}
"""For how long a connection is remembered, by protocol and state."""


def next_state(protocol: int, state: State, way: Way, payload: bytes) -> State:
    """Return the state that a packet brings a connection to.

    Args:
        protocol: number of the IP protocol.
        state: the state that it has.
        way: which way the packet goes.
        payload: what follows the IP header.
    """
    if protocol == TCP:
        event = _segment(payload)
        return _TCP_STEPS[_Step(way, event, state)] if event else State.CLOSE
    if protocol == SCTP:
        chunk = _chunk(payload)
        return _SCTP_STEPS[_Step(way, chunk, state)] if chunk else state
    return State.UDP


def is_active(protocol: int, state: State) -> bool:
    """Return whether a connection in `state` counts as active."""
    return state in ACTIVE if protocol == TCP else state is State.ESTABLISHED


def _segment(payload: bytes) -> str:
    """Return the flag that counts. Source: `tcp_state_idx`."""
    flags = payload[13]
    for flag, event in ((RST, "R"), (SYN, "S"), (FIN, "F"), (ACK, "A")):
        if flags & flag:
            return event
    return ""


_SCTP_HEADER: Final = 12
_CHUNK_HEADER: Final = 4


def _chunk(payload: bytes) -> str:
    """Return the chunk that counts, an ABORT rather than the cookie before it. Source: `set_sctp_state`."""
    if len(payload) < _SCTP_HEADER + _CHUNK_HEADER:
        return ""
    kind = payload[_SCTP_HEADER]
    if kind in (ChunkType.COOKIE_ECHO, ChunkType.COOKIE_ACK):
        length = int.from_bytes(payload[_SCTP_HEADER + 2 : _SCTP_HEADER + 4], "big")
        behind = _SCTP_HEADER + (length + 3) // 4 * 4
        if length >= _CHUNK_HEADER and payload[behind : behind + 1] == bytes((ChunkType.ABORT,)):
            kind = ChunkType.ABORT
    return next((word for chunk, word in _CHUNKS.items() if chunk == kind), "data")
