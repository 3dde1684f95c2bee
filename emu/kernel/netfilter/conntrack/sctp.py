# SPDX-License-Identifier: GPL-2.0-only
"""The tracker of SCTP: chunks move the state of an association, tags show that they belong to it.

The tag in a packet is the one that its receiver chose in its INIT or INIT ACK,
so what one side says in those is what the other direction has to carry.

Source: net/netfilter/nf_conntrack_proto_sctp.c, Linux 6.18; RFC 9260 §8.4, §8.5.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel.facts import Invalid
from emu.kernel.netfilter.conntrack.entry import Direction, Status
from emu.kernel.netfilter.conntrack.protocol import Tracked
from emu.kernel.netfilter.conntrack.sctp_table import State, step
from emu.kernel.netfilter.conntrack.timeouts import refresh, timeout
from emu.wire.crc32c import sctp_checksum
from emu.wire.sctp import ChunkType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.conntrack.entry import Connection, CtInfo
    from emu.kernel.skb import Skb

HEADER_LENGTH: Final = 12
_CHUNK: Final = struct.Struct("!BBH")
_INIT_LENGTH: Final = 16
_PEERS_TAG: Final = 1  # the flag T
_TIMEOUTS: Final[Mapping[State, str]] = {
    State.NONE: "net.netfilter.nf_conntrack_sctp_timeout_closed",
    State.CLOSED: "net.netfilter.nf_conntrack_sctp_timeout_closed",
    State.COOKIE_WAIT: "net.netfilter.nf_conntrack_sctp_timeout_cookie_wait",
    State.COOKIE_ECHOED: "net.netfilter.nf_conntrack_sctp_timeout_cookie_echoed",
    State.ESTABLISHED: "net.netfilter.nf_conntrack_sctp_timeout_established",
    State.SHUTDOWN_SENT: "net.netfilter.nf_conntrack_sctp_timeout_shutdown_sent",
    State.SHUTDOWN_RECD: "net.netfilter.nf_conntrack_sctp_timeout_shutdown_recd",
    State.SHUTDOWN_ACK_SENT: "net.netfilter.nf_conntrack_sctp_timeout_shutdown_ack_sent",
    State.HEARTBEAT_SENT: "net.netfilter.nf_conntrack_sctp_timeout_heartbeat_sent",
}
_ALONE: Final = frozenset((ChunkType.INIT, ChunkType.INIT_ACK, ChunkType.SHUTDOWN_COMPLETE))
_FIRST: Final = frozenset((ChunkType.COOKIE_ACK, ChunkType.COOKIE_ECHO))
_BEGINS_NOTHING: Final = frozenset((ChunkType.ABORT, ChunkType.SHUTDOWN_COMPLETE, ChunkType.COOKIE_ACK))
_HEARTBEATS: Final = frozenset((ChunkType.HEARTBEAT, ChunkType.HEARTBEAT_ACK))
_TAGGED_OTHERWISE: Final = frozenset(
    (
        ChunkType.INIT,
        ChunkType.SHUTDOWN_COMPLETE,
        ChunkType.COOKIE_ECHO,
        ChunkType.ABORT,
        ChunkType.SHUTDOWN_ACK,
        ChunkType.HEARTBEAT,
        ChunkType.HEARTBEAT_ACK,
    )
)


class SctpState:
    """What is known of an association.

    Attributes:
        state: how far it is.
        tags: the verification tag of each direction, 0 while it is not known.
        began: whether an INIT was seen in each direction since it was last established.
        foreign_heartbeat: the direction in which a HEARTBEAT with a foreign tag was
            seen last, None if it was cleared up.
    """

    __slots__ = ("began", "foreign_heartbeat", "state", "tags")

    def __init__(self) -> None:
        self.state = State.NONE
        self.tags = [0, 0]
        self.began = [False, False]
        self.foreign_heartbeat: Direction | None = None

    @property
    def name(self) -> str:
        """The name of its state."""
        return self.state.name


class _Seen(NamedTuple):
    """One chunk, and the initiate tag of an INIT or INIT ACK (None if it is cut short)."""

    kind: int
    flags: int
    length: int
    tag: int | None


class _Packet(NamedTuple):
    """A packet's verification tag, its chunks and their kinds."""

    tag: int
    chunks: tuple[_Seen, ...]
    kinds: frozenset[int]


def packet(
    net: Namespace, skb: Skb, connection: Connection, info: CtInfo, *, verify_checksum: bool = False
) -> Tracked:
    """Have the packet in `skb` do to `connection` what it does; the arguments are those of `tcp.packet`."""
    read = _read(skb, verify_checksum=verify_checksum)
    if isinstance(read, str):
        return _invalid(net, skb, read)
    tracked = connection.tracker
    if not isinstance(tracked, SctpState):
        begun = _begin(read)
        if begun is None:
            return _invalid(net, skb, "it cannot begin an association")
        connection.tracker = tracked = begun
    direction = info.direction
    if not read.kinds & _TAGGED_OTHERWISE and read.tag != tracked.tags[direction]:
        return _invalid(net, skb, "the verification tag is wrong")
    lives = _walk(connection, tracked, direction, read)
    if lives is None:
        return _invalid(net, skb, f"a chunk that does not fit state {tracked.name}")
    if not lives:
        return Tracked.UNCOUNTED
    refresh(net, connection, timeout(net, _TIMEOUTS[tracked.state]))
    return Tracked.ACCEPT


def _invalid(net: Namespace, skb: Skb, reason: str) -> Tracked:
    net.note(skb, "conntrack", Invalid(reason))
    return Tracked.INVALID


# --- reading ---


def _read(skb: Skb, *, verify_checksum: bool) -> _Packet | str:
    """Return the packet in `skb`, or what is wrong with it. Source: `sctp_error`, `do_basic_checks`."""
    octets = skb.payload
    if len(octets) < HEADER_LENGTH:
        return "short packet"
    if verify_checksum and octets[8:12] != sctp_checksum(octets):
        return "bad CRC"
    chunks: list[_Seen] = []
    is_alone = False
    for chunk in _chunks(octets):
        is_alone = is_alone or chunk.kind in _ALONE
        if not chunk.length or (chunks and (is_alone or chunk.kind in _FIRST)):
            return "chunks that cannot stand together"
        chunks.append(chunk)
    if not chunks:
        return "no chunk"
    tag = int.from_bytes(octets[4:8], "big")
    return _Packet(tag, tuple(chunks), frozenset(chunk.kind for chunk in chunks))


def _chunks(octets: bytes) -> Iterator[_Seen]:
    at = HEADER_LENGTH
    while at + _CHUNK.size <= len(octets):
        kind, flags, length = _CHUNK.unpack_from(octets, at)
        init = octets[at + _CHUNK.size : at + _CHUNK.size + _INIT_LENGTH]
        tag = int.from_bytes(init[:4], "big") if len(init) == _INIT_LENGTH else None
        yield _Seen(kind, flags, length, tag)
        at += max((length + 3) & ~3, _CHUNK.size)


# --- effects ---


def _begin(read: _Packet) -> SctpState | None:
    """Return the state before a first packet, None if it can be no first one. Source: `sctp_new`."""
    if read.kinds & _BEGINS_NOTHING:
        return None
    tracked = SctpState()
    for chunk in read.chunks:
        if step(Direction.ORIGINAL, chunk.kind, State.NONE) in {None, State.NONE}:
            return None
        if chunk.kind == ChunkType.INIT:
            if read.tag or chunk.tag is None:
                return None
            tracked.tags[Direction.REPLY] = chunk.tag
        elif chunk.kind == ChunkType.HEARTBEAT:
            tracked.tags[Direction.ORIGINAL] = read.tag
        elif chunk.kind == ChunkType.SHUTDOWN_ACK:
            tracked.tags[Direction.REPLY] = read.tag  # the answer carries it back, RFC 9260 §8.4 (5)
    return tracked


def _walk(connection: Connection, tracked: SctpState, direction: Direction, read: _Packet) -> bool | None:
    """Let each chunk have its effect; return whether the association lives on by it, None if it is invalid.

    What the chunks before an invalid one did stays done, as in Linux.
    """
    lives = True
    for chunk in read.chunks:
        if not _is_tagged_right(tracked, direction, read, chunk):
            return None
        if chunk.kind == ChunkType.COOKIE_ACK:
            tracked.began = [False, False]
        elif chunk.kind in _HEARTBEATS:
            is_own = _probe(tracked, direction, read, chunk, is_first=lives)
            if is_own is None:
                return None
            if not is_own:
                lives = False
                continue
        was = tracked.state
        after_it = step(direction, chunk.kind, was)
        if after_it is None or not _take_tag(tracked, direction, chunk, was):
            return None
        if chunk.kind == ChunkType.INIT and was is after_it is State.CLOSED and connection.is_confirmed:
            lives = False  # else who takes the same port again and again keeps it alive
        tracked.state = after_it
        if after_it is State.ESTABLISHED and was is not after_it:
            connection.status |= Status.ASSURED
    return lives


def _is_tagged_right(tracked: SctpState, direction: Direction, read: _Packet, chunk: _Seen) -> bool:
    """Return whether the verification tag is the one that such a chunk needs. Source: RFC 9260 §8.5.1."""
    match chunk.kind:
        case ChunkType.INIT:
            return read.tag == 0
        case ChunkType.ABORT | ChunkType.SHUTDOWN_COMPLETE:
            is_peers = bool(chunk.flags & _PEERS_TAG)
            return read.tag == tracked.tags[1 - direction if is_peers else direction]
        case ChunkType.COOKIE_ECHO:
            return read.tag == tracked.tags[direction]
        case _:
            return True


def _probe(
    tracked: SctpState, direction: Direction, read: _Packet, chunk: _Seen, *, is_first: bool
) -> bool | None:
    """Return whether a heartbeat has the tag of its path; None if it is invalid.

    A foreign tag in a HEARTBEAT may be that of a restarted association: if the
    other side answers, it is believed. `is_first`: no other heartbeat of the
    packet had a foreign tag.
    """
    known = tracked.tags[direction]
    if known in {0, read.tag}:
        tracked.tags[direction] = read.tag
        if known:
            tracked.foreign_heartbeat = None
        return True
    if ChunkType.DATA in read.kinds or not is_first:
        return None
    if chunk.kind == ChunkType.HEARTBEAT:
        tracked.foreign_heartbeat = direction
        return False
    if tracked.foreign_heartbeat is None or tracked.foreign_heartbeat is direction:
        return None
    tracked.foreign_heartbeat = None
    tracked.tags[direction] = read.tag
    tracked.tags[1 - direction] = 0
    return True


def _take_tag(tracked: SctpState, direction: Direction, chunk: _Seen, was: State) -> bool:
    """Note the tag that an INIT or INIT ACK brings; return whether it may be.

    Two sides that begin at once must not answer with tags other than those in their INITs.
    """
    other = 1 - direction
    known, began = tracked.tags[other], tracked.began
    if chunk.kind == ChunkType.INIT:
        if chunk.tag is None:
            return False
        if was is State.NONE or known != chunk.tag:  # not one that was sent again
            if began[direction]:
                began[other] = False
            began[direction] = True
        tracked.tags[other] = chunk.tag
    elif chunk.kind == ChunkType.INIT_ACK:
        if chunk.tag is None:
            return False
        if known != chunk.tag and ((not began[other] and known) or (began[direction] and began[other])):
            return False
        tracked.tags[other] = chunk.tag
    return True
