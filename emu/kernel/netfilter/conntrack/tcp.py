# SPDX-License-Identifier: GPL-2.0-only
"""The tracker of TCP: a segment moves the state of its connection, if it fits.

What can happen to a segment, in this order: it is no possible segment; it
cannot begin a connection; `tcp_table` calls it invalid or ignores it; a special
case that the table cannot tell (below); `tcp_window` says that it does not fit;
it has its effect.

The special cases: a SYN reopens what was closed; a SYN-ACK that answers a SYN
that was ignored shows that the ends are right and we are wrong; an ACK may
answer a SYN rather than a FIN (RFC 5961 challenge); a RST has to hit the next
expected octet exactly, or the connection stays, for its owner may challenge it.

Source: net/netfilter/nf_conntrack_proto_tcp.c `nf_conntrack_tcp_packet`, Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel.facts import Invalid
from emu.kernel.netfilter.conntrack import tcp_segment, tcp_settings
from emu.kernel.netfilter.conntrack.entry import Direction, Status
from emu.kernel.netfilter.conntrack.protocol import Tracked
from emu.kernel.netfilter.conntrack.tcp_segment import WORD, Offer, Segment, before
from emu.kernel.netfilter.conntrack.tcp_table import IGNORE, TRANSITIONS, Kind, State
from emu.kernel.netfilter.conntrack.tcp_window import Fit, TcpState, fits
from emu.kernel.netfilter.conntrack.timeouts import refresh
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.conntrack.entry import Connection, CtInfo
    from emu.kernel.netfilter.conntrack.tcp_settings import TcpSettings
    from emu.kernel.skb import Skb
    from emu.sim.time import Duration

_SHORT: Final[Duration] = 120 * SECOND

_REPLY: Final = Direction.REPLY
_SEEN_REPLY: Final = Status.SEEN_REPLY
_ASSURED: Final = Status.ASSURED
_BEING_CLOSED: Final = frozenset(
    (State.FIN_WAIT, State.LAST_ACK, State.TIME_WAIT, State.CLOSE, State.CLOSE_WAIT)
)
_BEFORE_ASSURED: Final = frozenset((State.SYN_RECV, State.ESTABLISHED))


def packet(
    net: Namespace, skb: Skb, connection: Connection, info: CtInfo, *, verify_checksum: bool = False
) -> Tracked:
    """Have the segment in `skb` do to `connection` what it does.

    Args:
        net: the namespace.
        skb: the packet.
        connection: what it belongs to; without a `tracker` it begins it.
        info: what it is to `connection`; its direction counts.
        verify_checksum: a wrong checksum makes it invalid.
    """
    segment = tcp_segment.read(skb, verify_checksum=verify_checksum)
    if isinstance(segment, str):
        return _invalid(net, skb, segment)
    tracked = connection.tracker
    if not isinstance(tracked, TcpState):
        begun = _begin(net, segment)
        if begun is None:
            return _invalid(net, skb, "it cannot begin a connection")
        connection.tracker = tracked = begun
    direction = info.direction
    step = _step(net, connection, tracked, direction, segment)
    if isinstance(step, str):
        return _invalid(net, skb, step)
    if step is Tracked.REPEAT:
        net.netfilter.conntrack.delete(connection, net.now)
    if isinstance(step, Tracked):
        return step
    if not step.is_certain:
        fit = fits(tracked, direction, segment)
        if fit is not Fit.YES and not _is_liberal(net, tracked, direction):
            if not fit.is_impossible:
                return Tracked.UNCOUNTED
            _doubt(net, connection, tracked, direction, segment)
            return _invalid(net, skb, fit.value)
    return _move(net, connection, direction, segment, step)


def close(net: Namespace, connection: Connection) -> None:
    """Note that a rule has refused `connection` with a RST. Source: `nf_conntrack_tcp_set_closing`."""
    tracked = connection.tracker
    if not connection.is_confirmed or not isinstance(tracked, TcpState):
        return
    was, tracked.state = tracked.state, State.CLOSE
    if was is not State.CLOSE:
        refresh(net, connection, tcp_settings.read(net.sysctl).lifetimes[State.CLOSE])


def _invalid(net: Namespace, skb: Skb, reason: str) -> Tracked:
    net.note(skb, "conntrack", Invalid(reason))
    return Tracked.INVALID


class _Step(NamedTuple):
    """From one state to another; a step that is certain need not fit the windows."""

    before: State
    after: State
    is_certain: bool = False


def _step(
    net: Namespace, connection: Connection, tracked: TcpState, direction: Direction, segment: Segment
) -> _Step | Tracked | str:
    """Return the step that a segment makes, the answer if it makes none, or why it is invalid."""
    was, kind = tracked.state, segment.kind
    after_it = TRANSITIONS[direction].get((kind, was), State.NONE)
    if after_it is State.NONE:
        return f"{kind.name} in state {was.name}"
    if after_it is State.SYN_SENT and was >= State.TIME_WAIT:
        if _may_reopen(tracked, direction):
            return Tracked.REPEAT
        after_it = IGNORE
    if after_it is IGNORE:
        return _ignore(tracked, direction, segment)
    if kind is Kind.RST:
        return _reset(net, connection, tracked, direction, segment)
    if after_it is State.TIME_WAIT and _is_challenge(tracked, direction, segment):
        tracked.last.challenge_expected = False
        return Tracked.UNCOUNTED
    if after_it is State.SYN_SENT2:
        tracked.last.both_began = True
    if after_it is State.SYN_RECV and direction is _REPLY and kind is Kind.ACK and tracked.last.both_began:
        after_it = State.ESTABLISHED
    return _Step(was, after_it)


def _is_liberal(net: Namespace, tracked: TcpState, direction: Direction) -> bool:
    return tracked.sides[direction].liberal or tcp_settings.read(net.sysctl).liberal


def _begin(net: Namespace, segment: Segment) -> TcpState | None:
    """Return the state before the first segment, None if it can be no first one. Source: `tcp_new`."""
    after_it = TRANSITIONS[Direction.ORIGINAL].get((segment.kind, State.NONE))
    if after_it is None:
        return None
    tracked = TcpState()
    sender = tracked.sides[Direction.ORIGINAL]
    if after_it is State.SYN_SENT:
        sender.begin(segment.end, segment.window, segment.offer())
        return tracked
    if not tcp_settings.read(net.sysctl).loose:
        return None
    sender.begin(segment.end, segment.window, None)
    sender.max_end = (sender.end + sender.max_window) & WORD
    for side in tracked.sides:
        side.liberal = side.sack_permitted = True
    return tracked


def _may_reopen(tracked: TcpState, direction: Direction) -> bool:
    last = tracked.last
    return tracked.close_began or (last.direction is direction and last.kind is Kind.RST)


# --- segments that are let pass ---


def _ignore(tracked: TcpState, direction: Direction, segment: Segment) -> _Step | Tracked:
    last = tracked.last
    if (
        segment.kind is Kind.SYN_ACK
        and last.kind is Kind.SYN
        and last.direction is not direction
        and segment.ack == last.end
    ):
        _trust_the_ends(tracked, direction)
        return _Step(State.SYN_SENT, State.SYN_RECV)
    _remember(tracked, direction, segment)
    return Tracked.UNCOUNTED


def _remember(tracked: TcpState, direction: Direction, segment: Segment) -> None:
    """Note a segment that is ignored: what answers it may show what it was."""
    last = tracked.last
    last.kind, last.direction = segment.kind, direction
    last.seq, last.end, last.window = segment.seq, segment.end, segment.window
    if segment.kind is Kind.SYN and direction is Direction.ORIGINAL:
        last.offer = segment.offer() or Offer()
        last.both_began = False
        last.challenge_expected = tracked.state is State.LAST_ACK
    if segment.kind is Kind.ACK and direction is Direction.REPLY and tracked.state is State.SYN_SENT:
        last.ack = segment.ack


def _trust_the_ends(tracked: TcpState, direction: Direction) -> None:
    """Believe that the SYN that was ignored did begin a connection."""
    last, asker = tracked.last, tracked.sides[1 - direction]
    last.challenge_expected = False
    asker.liberal = False
    asker.begin(last.end, last.window, last.offer)
    tracked.sides[direction].reset()


def _is_challenge(tracked: TcpState, direction: Direction, segment: Segment) -> bool:
    """Return whether an ACK answers a stray SYN, not a FIN. Source: RFC 5961 §4."""
    last = tracked.last
    return (
        tracked.state is State.LAST_ACK
        and segment.kind is Kind.ACK
        and last.direction is not direction
        and last.kind is Kind.SYN
        and last.challenge_expected
    )


# --- RST ---


def _reset(
    net: Namespace, connection: Connection, tracked: TcpState, direction: Direction, segment: Segment
) -> _Step | str:
    """Return the step that a RST makes, or why it is invalid.

    A connection that is being closed may have been replaced by a new one of the
    same ports, whose numbers are not known: there, every RST is believed.
    """
    was, seq, last = tracked.state, segment.seq, tracked.last
    if was in _BEING_CLOSED:
        return _Step(was, State.CLOSE, is_certain=True)
    after_it = State.CLOSE
    expected = tracked.sides[1 - direction].max_ack
    if expected is not None and last.kind is not Kind.SYN:
        is_established = was is State.ESTABLISHED and bool(connection.status & _ASSURED)
        if seq == 0 and not is_established:
            return _Step(was, State.CLOSE)  # most likely the answer to a SYN that was let pass
        if before(seq, expected) and not tcp_settings.read(net.sysctl).ignores_invalid_rst:
            return "RST of data that was acknowledged already"
        is_behind_the_last = last.kind is Kind.ACK and last.direction is direction and seq == last.end
        if not is_established or seq == expected or is_behind_the_last:
            return _Step(was, State.CLOSE)
        after_it = was  # not exactly the next octet: its receiver may challenge it
    return _Step(was, after_it, is_certain=_answers_what_was_ignored(connection, tracked, direction, segment))


def _answers_what_was_ignored(
    connection: Connection, tracked: TcpState, direction: Direction, segment: Segment
) -> bool:
    last, seen = tracked.last, connection.status
    is_syn_answered = bool(seen & _SEEN_REPLY) and last.kind is Kind.SYN
    is_ack_answered = not seen & _ASSURED and last.kind is Kind.ACK
    if last.direction is not direction and (is_syn_answered or is_ack_answered) and segment.ack == last.end:
        return True
    return (
        tracked.state is State.SYN_SENT
        and last.kind is Kind.ACK
        and last.direction is Direction.REPLY
        and segment.seq == last.ack
    )


def _doubt(
    net: Namespace, connection: Connection, tracked: TcpState, direction: Direction, segment: Segment
) -> None:
    """Shorten the life of a connection that both ends seem to close out of its window.

    Source: `nf_tcp_handle_invalid`.
    """
    if not connection.status & _ASSURED or connection.status & Status.FIXED_TIMEOUT:
        return
    closing = (Kind.FIN, Kind.RST)
    if segment.kind not in closing:
        return
    last = tracked.last
    if last.direction is direction or last.kind not in closing:
        last.kind, last.direction = segment.kind, direction
        return
    left = connection.expires - net.now
    shorter = tcp_settings.read(net.sysctl).unacknowledged
    if left >= _SHORT and left > shorter:
        connection.refresh(net.now, shorter)


# --- effects ---


def _move(
    net: Namespace, connection: Connection, direction: Direction, segment: Segment, step: _Step
) -> Tracked:
    tracked = connection.tracker
    assert isinstance(tracked, TcpState)
    last, kind, after_it = tracked.last, segment.kind, step.after
    last.kind, last.direction = kind, direction
    tracked.state = after_it
    if after_it is State.FIN_WAIT and step.before is not State.FIN_WAIT:
        tracked.sides[direction].close_began = True
    settings = tcp_settings.read(net.sysctl)
    lifetime = _lifetime(settings, tracked, kind)
    if not connection.status & _SEEN_REPLY:
        if kind is Kind.RST:
            return Tracked.LAST  # nobody but a RST ever answered
        if kind is Kind.SYN and step.before is State.SYN_SENT:
            return Tracked.UNCOUNTED  # else who takes the same port again and again keeps it alive
        if after_it is State.ESTABLISHED:
            lifetime = min(lifetime, settings.unacknowledged)
    elif after_it is State.ESTABLISHED and step.before in _BEFORE_ASSURED:
        connection.status |= _ASSURED
    refresh(net, connection, lifetime)
    return Tracked.ACCEPT


def _lifetime(settings: TcpSettings, tracked: TcpState, kind: Kind) -> Duration:
    """Return for how long it is remembered from now."""
    usual, retransmitted = settings.lifetimes[tracked.state], settings.retransmitted
    if tracked.retransmissions >= settings.max_retransmissions and usual > retransmitted:
        return retransmitted
    if kind is Kind.RST:
        return settings.lifetimes[State.CLOSE]
    if usual > settings.unacknowledged and tracked.is_unacknowledged:
        return settings.unacknowledged
    if tracked.last.window == 0:
        return min(usual, retransmitted)
    return usual
