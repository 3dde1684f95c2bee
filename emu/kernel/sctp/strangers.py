# SPDX-License-Identifier: GPL-2.0-only
"""Packets that belong to no association: what is answered, and how ("out of the blue", RFC 9260 §8.4).

Source: net/sctp/input.c `sctp_rcv_ootb`, net/sctp/sm_statefuns.c `sctp_sf_ootb`,
`sctp_sf_tabort_8_4_8`, `sctp_sf_shut_8_4_5`.
"""

from __future__ import annotations

from typing import Final

from emu.errors import HeaderError
from emu.kernel.sctp.setup import Packet
from emu.wire.sctp import T_BIT, CauseCode, Chunk, ChunkType, Init, abort, read_parameters

_UNANSWERED: Final = frozenset((ChunkType.ABORT, ChunkType.SHUTDOWN_COMPLETE, ChunkType.COOKIE_ACK))


def answer(received: Packet) -> Packet | None:
    """Return the answer to a packet of a stranger, None if it gets none."""
    tag, chunks = received
    if not chunks or any(chunk.type in _UNANSWERED or _tells_stale_cookie(chunk) for chunk in chunks):
        return None
    first = chunks[0]
    if first.type == ChunkType.INIT:
        return _refusal(first)
    if any(chunk.type == ChunkType.INIT for chunk in chunks):
        return None
    if any(chunk.type == ChunkType.SHUTDOWN_ACK for chunk in chunks):
        return Packet(tag, (Chunk(ChunkType.SHUTDOWN_COMPLETE, T_BIT),))
    return Packet(tag, (abort(tag_reflected=True),))


def _refusal(chunk: Chunk) -> Packet | None:
    """Return the ABORT for an INIT: with the tag that it asks for."""
    try:
        asked = Init.parse(chunk.value)
    except HeaderError:
        return None
    return Packet(asked.tag, (abort(),)) if asked.tag else None


def _tells_stale_cookie(chunk: Chunk) -> bool:
    if chunk.type != ChunkType.ERROR:
        return False
    try:
        return any(cause.type == CauseCode.STALE_COOKIE for cause in read_parameters(chunk.value))
    except HeaderError:
        return True
