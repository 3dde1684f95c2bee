# SPDX-License-Identifier: GPL-2.0-only
"""What a packet does to an association, chunk by chunk.

Source: RFC 9260 §5.2, §8.5.1, §9; net/sctp/sm_statefuns.c, sm_statetable.c.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from emu.errors import HeaderError
from emu.kernel.sctp import setup
from emu.kernel.sctp.config import MAX_INIT_RETRANSMISSIONS, RTO_INITIAL
from emu.kernel.sctp.incoming import Incoming
from emu.kernel.sctp.outgoing import Outgoing
from emu.kernel.sctp.setup import Fit, Packet
from emu.kernel.sctp.states import IN_SETUP, SENDS_DATA, TAKES_DATA, Cause, State
from emu.kernel.tcp.sequence import wire
from emu.wire.sctp import (
    T_BIT,
    CauseCode,
    Chunk,
    ChunkType,
    Data,
    Init,
    Parameter,
    ParameterType,
    Sack,
    abort,
    error,
    read_parameters,
    read_shutdown,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kernel.sctp.association import Association
    from emu.kernel.sctp.cookie import Cookie
    from emu.sim.time import Instant

_TYPES: Final = frozenset(ChunkType)
_SET_UP: Final = frozenset((ChunkType.INIT, ChunkType.INIT_ACK, ChunkType.COOKIE_ECHO, ChunkType.COOKIE_ACK))
_UNKNOWN_PASSED: Final = 0x80
_UNKNOWN_REPORTED: Final = 0x40
_ANY_TAG: Final = frozenset((ChunkType.INIT, ChunkType.COOKIE_ECHO, ChunkType.SHUTDOWN_ACK))
_REFLECTABLE: Final = frozenset((ChunkType.ABORT, ChunkType.SHUTDOWN_COMPLETE))


def receive(tcb: Association, tag: int, chunks: Sequence[Chunk], now: Instant) -> str:
    """Take a packet and return why it, or a part of it, was refused; nothing if it was not.

    Args:
        tcb: the association.
        tag: its verification tag.
        chunks: at least one.
        now: virtual time.
    """
    refusal, had_data = "", False
    for chunk in chunks:
        if tcb.state is State.CLOSED:
            break
        if not _is_tagged_right(tcb, tag, chunk):
            return "the verification tag is wrong"
        had_data |= chunk.type == ChunkType.DATA and tcb.state in TAKES_DATA
        try:
            refusal = _take(tcb, tag, chunk, now) or refusal
        except HeaderError as malformed:
            return str(malformed)
        if chunk.type not in _TYPES and not chunk.type & _UNKNOWN_PASSED:
            break
    if had_data and tcb.incoming is not None:
        tcb.incoming.packet_ends(now)
        if tcb.state is State.SHUTDOWN_SENT:
            tcb.shut_down(now)
    return refusal


def _is_tagged_right(tcb: Association, tag: int, chunk: Chunk) -> bool:
    """Return whether `tag` is one that such a chunk may have. Source: RFC 9260 §8.5.1."""
    if chunk.type in _REFLECTABLE and chunk.flags & T_BIT:
        return bool(tcb.peer_tag) and tag == tcb.peer_tag
    if chunk.type == ChunkType.SHUTDOWN_ACK:
        return tag == tcb.local_tag or tcb.state in IN_SETUP
    return chunk.type in _ANY_TAG or tag == tcb.local_tag


def _take(tcb: Association, tag: int, chunk: Chunk, now: Instant) -> str:
    """Take one chunk and return why it was refused."""
    match chunk.type:
        case ChunkType.DATA:
            return _take_data(tcb, chunk)
        case ChunkType.SACK:
            if tcb.state in SENDS_DATA:
                tcb.outgoing.acknowledge(Sack.parse(chunk.value), now)
                tcb.stirred = True
        case ChunkType.HEARTBEAT:
            if tcb.state is not State.COOKIE_WAIT:
                tcb.send(Chunk(ChunkType.HEARTBEAT_ACK, 0, chunk.value))
        case _ if chunk.type in _SET_UP:
            return _take_set_up(tcb, tag, chunk, now)
        case _ if chunk.type in _TYPES:
            return _take_ending(tcb, tag, chunk, now)
        case _:
            if chunk.type & _UNKNOWN_REPORTED and tcb.is_established:
                tcb.send(error(Parameter(CauseCode.UNRECOGNIZED_CHUNK, chunk.build())))
            return f"a chunk of type {chunk.type}"
    return ""


def _take_set_up(tcb: Association, tag: int, chunk: Chunk, now: Instant) -> str:
    """Take one chunk of those that begin something."""
    match chunk.type:
        case ChunkType.INIT:
            return _take_init(tcb, tag, chunk, now)
        case ChunkType.INIT_ACK:
            return _take_init_ack(tcb, chunk, now)
        case ChunkType.COOKIE_ECHO:
            return _take_cookie(tcb, tag, chunk, now)
        case _:
            if tcb.state is State.COOKIE_ECHOED:
                tcb.establish(Cause.COOKIE_ACK)
    return ""


def _take_ending(tcb: Association, tag: int, chunk: Chunk, now: Instant) -> str:
    """Take one chunk of those that complain or end something."""
    match chunk.type:
        case ChunkType.ERROR:
            _take_error(tcb, chunk, now)
        case ChunkType.ABORT:
            tcb.end(errno.ECONNREFUSED if tcb.state in IN_SETUP else errno.ECONNRESET)
        case ChunkType.SHUTDOWN:
            _take_shutdown(tcb, chunk, now)
        case ChunkType.SHUTDOWN_ACK:
            _take_shutdown_ack(tcb, tag)
        case ChunkType.SHUTDOWN_COMPLETE:
            if tcb.state is State.SHUTDOWN_ACK_SENT:
                tcb.finish(Cause.SHUTDOWN_COMPLETE)
        case _:
            return "a HEARTBEAT ACK, and no HEARTBEAT was sent"
    return ""


def _take_data(tcb: Association, chunk: Chunk) -> str:
    if tcb.state not in TAKES_DATA or tcb.incoming is None:
        return f"DATA in state {tcb.state.value}"
    data = Data.parse(chunk)
    if not data.payload:
        tcb.abort(errno.ECONNRESET, CauseCode.NO_USER_DATA)
        return "DATA without data"
    before = tcb.unread
    if not tcb.incoming.take(data):
        return f"DATA {data.tsn} was received before, or there is no room for it"
    tcb.stirred |= tcb.unread > before
    return ""


def _take_init(tcb: Association, tag: int, chunk: Chunk, now: Instant) -> str:
    """Answer an INIT of a peer that has an association with us. Source: RFC 9260 §5.2.1, §5.2.2."""
    asked = Init.parse(chunk.value)
    if tag or not asked.tag or not asked.inbound or not asked.outbound:
        return "an INIT that asks for nothing"
    if tcb.state is State.SHUTDOWN_ACK_SENT:
        tcb.send(Chunk(ChunkType.SHUTDOWN_ACK))
        return ""
    own, tsn, ties = tcb.local_tag, wire(tcb.first_tsn), (tcb.local_tag, tcb.peer_tag)
    if tcb.state is State.COOKIE_WAIT:
        ties = (0, 0)
    elif tcb.state is not State.COOKIE_ECHOED:
        own, tsn = tcb.draw() or 1, tcb.draw()
    tcb.packets.append(setup.init_ack(asked, tcb.jar, tag=own, tsn=tsn, now=now, ties=ties))
    return ""


def _take_init_ack(tcb: Association, chunk: Chunk, now: Instant) -> str:
    if tcb.state is not State.COOKIE_WAIT:
        return f"an INIT ACK in state {tcb.state.value}"
    answer = Init.parse(chunk.value)
    cookie = answer.parameter(ParameterType.STATE_COOKIE)
    if not answer.tag:
        tcb.end(errno.ECONNREFUSED)
        return "an INIT ACK without a tag"
    if cookie is None or not answer.inbound or not answer.outbound:
        tcb.packets.append(Packet(answer.tag, (abort(Parameter(CauseCode.INVALID_MANDATORY_PARAMETER)),)))
        tcb.end(errno.ECONNREFUSED)
        return "an INIT ACK without a cookie, or without streams"
    tcb.peer_tag, tcb.incoming = answer.tag, Incoming.begin(answer.tsn)
    tcb.outgoing.peer_window = answer.window
    tcb.move(Cause.INIT_ACK)
    packet = Packet(tcb.peer_tag, (Chunk(ChunkType.COOKIE_ECHO, 0, cookie),))
    tcb.repeat(packet, RTO_INITIAL, MAX_INIT_RETRANSMISSIONS, now)
    return ""


def _take_cookie(tcb: Association, tag: int, chunk: Chunk, now: Instant) -> str:
    """Take a cookie though there is an association already. Source: RFC 9260 §5.2.4."""
    cookie = tcb.jar.open(chunk.value)
    if cookie is None or tag != cookie.local_tag:
        return "a cookie that was never given"
    how = setup.fit(cookie, tcb.local_tag, tcb.peer_tag)
    if how is not Fit.AGAIN and cookie.is_stale(now):
        tcb.packets.append(setup.stale_cookie(cookie, now))
        return "a cookie that is too old"
    if how is Fit.RESTART and tcb.state is State.SHUTDOWN_ACK_SENT:
        tcb.send(Chunk(ChunkType.SHUTDOWN_ACK))
    elif how is Fit.RESTART:
        _restart(tcb, cookie)
    elif how is Fit.COLLISION and tcb.state in IN_SETUP:
        tcb.adopt(cookie)
        tcb.establish(Cause.COOKIE_ECHO)
        tcb.send(Chunk(ChunkType.COOKIE_ACK))
    elif how is Fit.AGAIN:
        if tcb.state is State.COOKIE_ECHOED:
            tcb.establish(Cause.COOKIE_ECHO)
        tcb.send(Chunk(ChunkType.COOKIE_ACK))
    else:
        return f"a cookie that does not fit ({how.value})"
    return ""


def _restart(tcb: Association, cookie: Cookie) -> None:
    """Begin anew as the peer has done; what it had not acknowledged is lost."""
    unread = () if tcb.incoming is None else tuple(tcb.incoming.messages)
    tcb.outgoing = Outgoing(tcb.outgoing.mtu, cookie.local_tsn)
    tcb.adopt(cookie)
    assert tcb.incoming is not None, "just adopted"
    tcb.incoming.keep(unread)
    tcb.repeated, tcb.has_ended = None, False
    tcb.move(Cause.RESTART)
    tcb.send(Chunk(ChunkType.COOKIE_ACK))


def _take_error(tcb: Association, chunk: Chunk, now: Instant) -> None:
    """Ask anew if the cookie came too late; other complaints end nothing. Source: RFC 9260 §5.2.6."""
    causes = {cause.type for cause in read_parameters(chunk.value)}
    repeated = tcb.repeated
    if tcb.state is State.COOKIE_ECHOED and CauseCode.STALE_COOKIE in causes and repeated is not None:
        if repeated.count >= repeated.most:
            tcb.end(errno.ETIMEDOUT)
            return
        tcb.move(Cause.STALE_COOKIE)
        tcb.peer_tag, tcb.incoming = 0, None
        tcb.ask(now, count=repeated.count + 1)


def _take_shutdown(tcb: Association, chunk: Chunk, now: Instant) -> None:
    if tcb.state in IN_SETUP or tcb.state is State.SHUTDOWN_ACK_SENT:
        return
    tcb.outgoing.reach(read_shutdown(chunk.value), now)
    if tcb.state is not State.SHUTDOWN_RECEIVED:
        is_answer = tcb.state is State.SHUTDOWN_SENT
        tcb.move(Cause.SHUTDOWN)
        tcb.repeated = None
        tcb.has_ended = tcb.stirred = True
        if is_answer:
            tcb.acknowledge_shutdown(now)


def _take_shutdown_ack(tcb: Association, tag: int) -> None:
    if tcb.state in IN_SETUP:  # it is another association's: RFC 9260 §8.5.1 (E)
        tcb.packets.append(Packet(tag, (Chunk(ChunkType.SHUTDOWN_COMPLETE, T_BIT),)))
    elif tcb.state in {State.SHUTDOWN_SENT, State.SHUTDOWN_ACK_SENT}:
        tcb.send(Chunk(ChunkType.SHUTDOWN_COMPLETE))
        tcb.finish(Cause.SHUTDOWN_ACK)
