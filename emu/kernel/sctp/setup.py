# SPDX-License-Identifier: GPL-2.0-only
"""The set-up of an association: INIT, INIT ACK, and which cookie begins what.

       client                                     server
    COOKIE_WAIT   INIT  tag 0           ----->
                  <-----  tag of INIT   INIT ACK  cookie     remembers nothing
    COOKIE_ECHOED COOKIE ECHO           ----->    cookie     ESTABLISHED
    ESTABLISHED           <-----        COOKIE ACK

Source: RFC 9260 §5.1, §5.2.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel.sctp.config import INBOUND_STREAMS, OUTBOUND_STREAMS, RECEIVE_WINDOW
from emu.kernel.sctp.cookie import Cookie, CookieJar
from emu.wire.sctp import (
    CauseCode,
    Chunk,
    ChunkType,
    Init,
    Parameter,
    ParameterType,
    error,
)

if TYPE_CHECKING:
    from emu.sim.time import Instant

_IPV4_ALONE: Final = Parameter(ParameterType.SUPPORTED_ADDRESS_TYPES, b"\0\5")
_KNOWN: Final = frozenset(ParameterType)
_IS_REPORTED: Final = 0x4000
_IS_PASSED: Final = 0x8000


class Packet(NamedTuple):
    """A packet to be sent, but for addresses and ports: its verification tag and its chunks."""

    tag: int
    chunks: tuple[Chunk, ...]


def init(tag: int, tsn: int) -> Chunk:
    """Return the INIT that asks for an association."""
    parameters = (_IPV4_ALONE,)
    return Init(tag, RECEIVE_WINDOW, OUTBOUND_STREAMS, INBOUND_STREAMS, tsn, parameters).chunk(ChunkType.INIT)


def init_ack(
    asked: Init, jar: CookieJar, *, tag: int, tsn: int, now: Instant, ties: tuple[int, int] = (0, 0)
) -> Packet:
    """Return the answer to an INIT.

    Args:
        asked: the INIT.
        jar: makes the cookie.
        tag: ours.
        tsn: number of our first DATA.
        now: virtual time.
        ties: our tag and the peer's in the association that is there already.
    """
    streams = min(OUTBOUND_STREAMS, asked.inbound)
    cookie = Cookie(now, tag, asked.tag, tsn, asked.tsn, asked.window, streams, *ties)
    parameters = (Parameter(ParameterType.STATE_COOKIE, jar.seal(cookie)), *_unrecognized(asked))
    answer = Init(tag, RECEIVE_WINDOW, streams, INBOUND_STREAMS, tsn, parameters)
    return Packet(asked.tag, (answer.chunk(ChunkType.INIT_ACK),))


def _unrecognized(asked: Init) -> list[Parameter]:
    """Return what to say about parameters that are not known. Source: RFC 9260 §3.2.1."""
    found = []
    for parameter in asked.parameters:
        if parameter.type in _KNOWN:
            continue
        if parameter.type & _IS_REPORTED:
            found.append(Parameter(ParameterType.UNRECOGNIZED, parameter.build()))
        if not parameter.type & _IS_PASSED:
            break
    return found


def stale_cookie(cookie: Cookie, now: Instant) -> Packet:
    """Return the complaint about a cookie that is too old."""
    staleness = min(cookie.staleness(now), 0xFFFFFFFF).to_bytes(4, "big")
    return Packet(cookie.peer_tag, (error(Parameter(CauseCode.STALE_COOKIE, staleness)),))


class Fit(enum.Enum):
    """How a cookie fits an association that is there; the letters are those of RFC 9260 §5.2.4."""

    RESTART = "A"
    COLLISION = "B"
    LATE = "C"
    AGAIN = "D"
    STRANGE = "-"


def fit(cookie: Cookie, local_tag: int, peer_tag: int) -> Fit:
    """Return how `cookie` fits the association with these tags. Source: RFC 9260 §5.2.4, table 12."""
    is_ours, is_peers = cookie.local_tag == local_tag, cookie.peer_tag == peer_tag
    ties = cookie.tie_local, cookie.tie_peer
    if is_ours:
        return Fit.AGAIN if is_peers else Fit.COLLISION
    if is_peers:
        return Fit.LATE if ties == (0, 0) else Fit.STRANGE
    return Fit.RESTART if ties == (local_tag, peer_tag) else Fit.STRANGE
