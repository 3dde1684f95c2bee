# SPDX-License-Identifier: GPL-2.0-only
"""Whether a TCP segment fits the windows that the two ends have told each other.

From the middle one cannot know what an end has received, only what it could
have sent and what it said. So four bounds are kept from what passes, with
`sack` for the right end of all that a segment acknowledges:

    seq   must not be over    sender.max_end                       (what its peer's window allows)
    end   must not be under   sender.end - receiver.max_window     (older than any window)
    sack  must not be over    receiver.end                         (what its peer has sent)
    sack  must not be under   receiver.end - max(sender.max_window, 66000)

A segment that is over is INVALID; one that is under is late, and passes. One
that goes a little over its peer's window while everything else fits is let pass,
too: some stacks do so. A side that is `liberal` (it was picked up in the middle
of a connection) is believed whatever it says; so are all with
`net.netfilter.nf_conntrack_tcp_be_liberal`.

Not modelled: sequence numbers adjusted by helpers that rewrite payload (FTP and the like).

Source: net/netfilter/nf_conntrack_proto_tcp.c `tcp_in_window`, Linux 6.18, after Guido van Rooij,
"Real Stateful TCP Packet Filtering in IP Filter".
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.conntrack.entry import Direction
from emu.kernel.netfilter.conntrack.tcp_segment import WORD, Offer, Segment, after, before
from emu.kernel.netfilter.conntrack.tcp_table import Kind, State
from emu.wire.tcp import ACK, RST, SYN

if TYPE_CHECKING:
    from collections.abc import Sequence

_MIN_ACK_WINDOW: Final = 66000


class Fit(enum.Enum):
    """How a segment fits."""

    YES = "it fits"
    SLIGHTLY_OVER = "it has more octets than the window of the receiver"
    SEQ_OVER = "SEQ is over the window of the receiver"
    ACK_OVER = "ACK is of data that was not seen yet"
    SEQ_UNDER = "SEQ is of data that was acknowledged already"
    ACK_UNDER = "ACK is overly delayed"

    @property
    def is_impossible(self) -> bool:
        """Whether it cannot belong to the connection; what else does not fit passes and changes nothing."""
        return self is Fit.SEQ_OVER or self is Fit.ACK_OVER


class Side:
    """What was seen of one end.

    Attributes:
        end: the highest sequence number behind what it sent.
        max_end: how far its peer has allowed it to send.
        max_window: the greatest window that it offered; 0 if nothing was seen of it.
        max_ack: the highest acknowledgement that it sent, None if it sent none.
        scale: the shift of its windows.
        scaling: it offered to scale windows.
        sack_permitted: it understands SACK.
        close_began: its FIN was the first.
        liberal: its windows are not known, it is believed.
        unacknowledged: it sent what was not acknowledged yet.
    """

    __slots__ = (
        "close_began",
        "end",
        "liberal",
        "max_ack",
        "max_end",
        "max_window",
        "sack_permitted",
        "scale",
        "scaling",
        "unacknowledged",
    )

    def __init__(self) -> None:
        self.liberal = False
        self.reset()

    def reset(self) -> None:
        """Forget all but that it is believed. Source: `nf_ct_tcp_state_reset`."""
        self.end = 0
        self.max_end = 0
        self.max_window = 0
        self.scale = 0
        self._forget()

    def _forget(self) -> None:
        self.max_ack: int | None = None
        self.scaling = False
        self.sack_permitted = False
        self.close_began = False
        self.unacknowledged = False

    def begin(self, end: int, window: int, offer: Offer | None) -> None:
        """Take up what a SYN says; one without any options leaves what older ones have set."""
        self.end = self.max_end = end
        self.max_window = window or 1
        if offer is not None:
            self._forget()
            self.scaling = offer.scale is not None
            self.scale = offer.scale or 0
            self.sack_permitted = offer.sack_permitted


class Last:
    """The last segment that had a say, and what a SYN that was ignored had offered.

    Attributes:
        direction: its direction.
        kind: what it did.
        seq: its sequence number.
        ack: what it acknowledged.
        end: the sequence number behind it.
        window: its window, not scaled.
        offer: what the SYN offered that was ignored in the original direction.
        challenge_expected: that SYN came while the last ACK was awaited: the
            ACK that answers it is no acknowledgement of a FIN (RFC 5961 §4.2).
        both_began: both ends have sent a SYN.
    """

    __slots__ = (
        "ack",
        "both_began",
        "challenge_expected",
        "direction",
        "end",
        "kind",
        "offer",
        "seq",
        "window",
    )

    def __init__(self) -> None:
        self.direction = Direction.ORIGINAL
        self.kind = Kind.NONE
        self.seq = 0
        self.ack = 0
        self.end = 0
        self.window = 0
        self.offer = Offer()
        self.challenge_expected = False
        self.both_began = False


class TcpState:
    """What is known of a connection.

    Attributes:
        state: how far it is.
        sides: its two ends, by the direction in which they send.
        last: see `Last`.
        retransmissions: how often the last ACK was repeated.
    """

    __slots__ = ("last", "retransmissions", "sides", "state")

    def __init__(self, state: State = State.NONE) -> None:
        self.state = state
        self.sides: Sequence[Side] = (Side(), Side())
        self.last = Last()
        self.retransmissions = 0

    @property
    def name(self) -> str:
        """The name of its state."""
        return self.state.name

    @property
    def is_unacknowledged(self) -> bool:
        """Whether one end sent what the other has not acknowledged."""
        return self.sides[0].unacknowledged or self.sides[1].unacknowledged

    @property
    def close_began(self) -> bool:
        """Whether a FIN was the first to end it."""
        return self.sides[0].close_began or self.sides[1].close_began


def fits(tracked: TcpState, direction: Direction, segment: Segment) -> Fit:
    """Return how `segment` fits, and note what it tells if it does.

    Args:
        tracked: the connection, its state that before the segment.
        direction: the way of the segment.
        segment: it.
    """
    sender, receiver = tracked.sides[direction], tracked.sides[1 - direction]
    seq, end, ack = segment.seq, segment.end, segment.ack
    sack = segment.highest_sack() if receiver.sack_permitted else ack
    is_first = sender.max_window == 0 or segment.flags & SYN
    if is_first and _opens(tracked, direction, segment, sack):
        return Fit.YES
    if not segment.flags & ACK or (segment.flags & RST and ack == 0):
        ack = sack = receiver.end
    if segment.flags & RST and seq == 0 and tracked.state is State.SYN_SENT:
        seq = end = sender.end  # the answer to a SYN
    fit = _judge(sender, receiver, seq, end, sack)
    if fit is Fit.SLIGHTLY_OVER:
        sender.end = end  # its peer may take it, and acknowledge it
        sender.unacknowledged = True
    if fit is not Fit.YES:
        return fit
    _learn(sender, receiver, segment, (end, ack, sack))
    if segment.kind is Kind.ACK:
        _count_repetitions(tracked, direction, segment, (seq, end, ack))
    return Fit.YES


def _opens(tracked: TcpState, direction: Direction, segment: Segment, sack: int) -> bool:
    """Take up what the first segment of a side says; return whether nothing is left to be judged."""
    sender, receiver = tracked.sides[direction], tracked.sides[1 - direction]
    end = segment.end
    if sender.max_window == 0:
        if segment.flags & SYN:
            _begin(sender, receiver, segment, direction)
            return not segment.flags & ACK  # both have sent a SYN
        sender.end = end
        sender.max_window = (segment.window << sender.scale) or 1
        sender.max_end = (end + sender.max_window) & WORD
        if receiver.max_window == 0:
            receiver.end = receiver.max_end = sack
        elif sack == (receiver.end + 1) & WORD:
            receiver.end = sack  # the answer to a keepalive
    elif segment.flags & SYN and after(end, sender.end) and tracked.state in {State.SYN_SENT, State.SYN_RECV}:
        _begin(sender, receiver, segment, direction)
        return direction is Direction.REPLY and not segment.flags & ACK
    return False


def _begin(sender: Side, receiver: Side, segment: Segment, direction: Direction) -> None:
    sender.begin(segment.end, segment.window, segment.offer())
    if direction is Direction.REPLY and not (sender.scaling and receiver.scaling):
        sender.scale = receiver.scale = 0  # RFC 7323 §2.2: both or none


def _judge(sender: Side, receiver: Side, seq: int, end: int, sack: int) -> Fit:
    window = receiver.max_window
    is_recent = after(end, sender.end - window - 1)
    is_ack_recent = after(sack, receiver.end - max(sender.max_window, _MIN_ACK_WINDOW) - 1)
    is_ack_known = before(sack, receiver.end + 1)
    if not before(seq, sender.max_end + 1):
        excess = (end - sender.max_end + 1) & WORD
        if window and is_recent and is_ack_recent and excess <= window and is_ack_known:
            return Fit.SLIGHTLY_OVER
        return Fit.SEQ_OVER
    if not is_ack_known:
        return Fit.ACK_OVER
    if window and not is_recent:
        return Fit.SEQ_UNDER
    return Fit.YES if is_ack_recent else Fit.ACK_UNDER


def _learn(sender: Side, receiver: Side, segment: Segment, numbers: tuple[int, int, int]) -> None:
    end, ack, sack = numbers
    window = segment.window if segment.flags & SYN else (segment.window << sender.scale) & WORD
    sender.max_window = max(sender.max_window, (window + sack - ack) & WORD)
    if after(end, sender.end):
        sender.end = end
        sender.unacknowledged = True
    if segment.flags & ACK and (sender.max_ack is None or after(ack, sender.max_ack)):
        sender.max_ack = ack
    if receiver.max_window and after(end, sender.max_end):
        receiver.max_window = (receiver.max_window + end - sender.max_end) & WORD
    if after(sack + window, receiver.max_end - 1):
        receiver.max_end = (sack + (window or 1)) & WORD
    if ack == receiver.end:
        receiver.unacknowledged = False


def _count_repetitions(
    tracked: TcpState, direction: Direction, segment: Segment, numbers: tuple[int, int, int]
) -> None:
    last = tracked.last
    if (last.direction, last.seq, last.end, last.ack, last.window) == (direction, *numbers, segment.window):
        tracked.retransmissions = (tracked.retransmissions + 1) & 0xFF  # an octet, as in Linux
        return
    last.direction = direction
    last.seq, last.end, last.ack = numbers
    last.window = segment.window
    tracked.retransmissions = 0
