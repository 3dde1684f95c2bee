# SPDX-License-Identifier: GPL-2.0-only
"""An association without any I/O: packets in, packets out, time is an argument.

`incoming` and `outgoing` carry the data, `input` says what a packet does; here is
the rest: set-up, shutdown, ABORT, and the timers of these. After each call `take_packets` gives
what is to be sent, `take_error` and `take_stir` what the program is to be told.

Not modelled: several addresses of one host (and with them HEARTBEATs of our
own: those of a peer are answered), congestion control beyond the initial window,
fast retransmission, ECN, partial reliability, authentication, a changed set of
addresses or streams, sending on a stream other than 0.

Source: RFC 9260 §5, §6, §8, §9; net/sctp/sm_statefuns.c.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import attrs

from emu.kernel.sctp import setup
from emu.kernel.sctp.config import MAX_INIT_RETRANSMISSIONS, MAX_RETRANSMISSIONS, RTO_INITIAL, RTO_MAX
from emu.kernel.sctp.incoming import Incoming
from emu.kernel.sctp.input import receive
from emu.kernel.sctp.outgoing import Outgoing
from emu.kernel.sctp.setup import Packet
from emu.kernel.sctp.states import IN_SETUP, SENDS_DATA, TAKES_DATA, TRANSITIONS, Cause, State
from emu.kernel.tcp.sequence import wire
from emu.sim.time import Instant, later
from emu.wire.sctp import (
    CauseCode,
    Chunk,
    ChunkType,
    Parameter,
    abort,
    shutdown,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emu.kernel.sctp.cookie import Cookie, CookieJar
    from emu.sim.time import Duration


@attrs.define
class Repeated:
    """A chunk that is sent until it is answered: T1-init, T1-cookie, T2-shutdown.

    Attributes:
        packet: what is sent.
        deadline: when it is sent again.
        timeout: how long was waited for this deadline.
        most: how often it is sent again before the association is given up.
        count: how often it was.
    """

    packet: Packet
    deadline: Instant
    timeout: Duration
    most: int
    count: int = 0


@attrs.define(eq=False)
class Association:
    """One association, as this side knows it.

    Attributes:
        jar: signs the cookies for this peer.
        draw: gives 32 random bits.
        local_tag: our tag, which the peer's packets carry.
        peer_tag: the peer's, 0 as long as it is not known.
        outgoing: data to the peer.
        incoming: data from the peer, None before its first TSN is known.
        state: where it stands.
        has_ended: the peer sends no more.
        orphan: no program holds it any more.
        first_tsn: number of our first DATA.
        repeated: what is sent until it is answered.
        packets: what is to be sent.
        stirred: a program that waits may find something changed.
    """

    jar: CookieJar
    draw: Callable[[], int]
    local_tag: int
    outgoing: Outgoing
    peer_tag: int = 0
    incoming: Incoming | None = None
    state: State = State.CLOSED
    has_ended: bool = False
    orphan: bool = False
    first_tsn: int = 0
    repeated: Repeated | None = None
    packets: list[Packet] = attrs.field(factory=list)
    _error: int = 0
    stirred: bool = False

    # --- begin ---

    @classmethod
    def open(cls, jar: CookieJar, draw: Callable[[], int], mtu: int, now: Instant) -> Association:
        """Return an association that asks for itself by an INIT."""
        tag, tsn = draw() or 1, draw()
        made = cls(jar, draw, tag, Outgoing(mtu, tsn), first_tsn=tsn)
        made.move(Cause.ASSOCIATE)
        made.ask(now, count=0)
        return made

    @classmethod
    def accepted(cls, cookie: Cookie, jar: CookieJar, draw: Callable[[], int], mtu: int) -> Association:
        """Return the association that `cookie` stands for."""
        made = cls(jar, draw, cookie.local_tag, Outgoing(mtu, cookie.local_tsn))
        made.adopt(cookie)
        made.move(Cause.COOKIE_ECHO)
        made.send(Chunk(ChunkType.COOKIE_ACK))
        return made

    def ask(self, now: Instant, *, count: int) -> None:
        """Send INIT, and again until it is answered; `count` times it was already."""
        packet = Packet(0, (setup.init(self.local_tag, wire(self.first_tsn)),))
        self.repeat(packet, RTO_INITIAL, MAX_INIT_RETRANSMISSIONS, now, count=count)

    def adopt(self, cookie: Cookie) -> None:
        """Take over what `cookie` remembers."""
        self.local_tag, self.peer_tag = cookie.local_tag, cookie.peer_tag
        self.first_tsn = cookie.local_tsn
        self.outgoing.peer_window = cookie.window
        self.incoming = Incoming.begin(cookie.peer_tsn)

    # --- what the program does ---

    @property
    def is_established(self) -> bool:
        """Whether the set-up is done, and nothing has ended it since."""
        return self.state is not State.CLOSED and self.state not in IN_SETUP

    @property
    def is_gone(self) -> bool:
        """Whether it is over."""
        return self.state is State.CLOSED

    @property
    def unread(self) -> int:
        """Messages that wait to be read."""
        return len(self.incoming.messages) if self.incoming is not None else 0

    def write(self, message: bytes, now: Instant) -> None:
        """Send a message."""
        self.outgoing.write(message)
        self.flush(now)

    def read(self, size: int, now: Instant) -> bytes:
        """Return the oldest message, or its first `size` octets."""
        assert self.incoming is not None, "something waits"
        message = self.incoming.read(size)
        if self.state in TAKES_DATA:
            self.flush(now)
        return message

    def shut(self, now: Instant) -> None:
        """Send no more; the association ends once all is acknowledged. Before it stands it ends at once."""
        if self.state in IN_SETUP:
            self.end(0)
        elif self.state is State.ESTABLISHED:
            self.move(Cause.SHUT)
            self.flush(now)

    def abort(self, number: int = 0, cause: CauseCode = CauseCode.USER_ABORT) -> None:
        """End at once, and say so to the peer; the program is told errno `number`."""
        if self.is_established:
            self.packets.append(Packet(self.peer_tag, (abort(Parameter(cause)),)))
        self.end(number)

    def unreachable(self) -> None:
        """Give a set-up up: the peer's host has no SCTP."""
        if self.state is State.COOKIE_WAIT:
            self.end(errno.ECONNREFUSED)

    # --- what the network does ---

    def receive(self, tag: int, chunks: Sequence[Chunk], now: Instant) -> str:
        """Take a packet and return why it, or a part of it, was refused; nothing if it was not.

        Args:
            tag: its verification tag.
            chunks: at least one.
            now: virtual time.
        """
        refusal = receive(self, tag, chunks, now)
        self.flush(now)
        return refusal

    # --- state ---

    def move(self, cause: Cause) -> None:
        """Change the state for `cause`."""
        self.state = TRANSITIONS[self.state, cause]

    def establish(self, cause: Cause) -> None:
        """Take the set-up for done."""
        self.move(cause)
        self.repeated = None
        self.stirred = True

    def finish(self, cause: Cause) -> None:
        """End in good order."""
        self.move(cause)
        self._clear()

    def end(self, number: int) -> None:
        """End, with an error for the program, or without."""
        if self.state is not State.CLOSED:
            self.move(Cause.ABORT)
        self._error = number
        self._clear()

    def _clear(self) -> None:
        self.repeated = None
        self.outgoing.purge()
        if self.incoming is not None:
            self.incoming.sack_at, self.incoming.wants_sack = None, False
        self.has_ended = self.stirred = True

    # --- sending ---

    def send(self, *chunks: Chunk) -> None:
        """Send `chunks` in a packet."""
        self.packets.append(Packet(self.peer_tag, chunks))

    def repeat(self, packet: Packet, timeout: Duration, most: int, now: Instant, *, count: int = 0) -> None:
        """Send `packet`, and again, `most` times at most, until it is answered."""
        self.packets.append(packet)
        self.repeated = Repeated(packet, later(now, timeout), timeout, most, count)

    def flush(self, now: Instant) -> None:
        """Send what there is to be sent now: a SACK that is owed, data, the next step of the shutdown."""
        if self.state in SENDS_DATA:
            for chunks in self.outgoing.packets(now, small=self.state is not State.ESTABLISHED):
                sack = self._owed_sack()
                if sum(chunk.size for chunk in (*sack, *chunks)) > self.outgoing.room:
                    self.send(*sack)
                    sack = ()
                self.send(*sack, *chunks)
        if self.incoming is not None and self.incoming.wants_sack and self.state in TAKES_DATA:
            self.send(self.incoming.sack().chunk())
        if self.outgoing.is_idle and self.state is State.SHUTDOWN_PENDING:
            self.move(Cause.ACKNOWLEDGED)
            self.shut_down(now)
        elif self.outgoing.is_idle and self.state is State.SHUTDOWN_RECEIVED:
            self.move(Cause.ACKNOWLEDGED)
            self.acknowledge_shutdown(now)

    def _owed_sack(self) -> tuple[Chunk, ...]:
        """Return the SACK that may travel with data, if one is owed."""
        incoming = self.incoming
        if incoming is None or self.state not in TAKES_DATA:
            return ()
        is_owed = incoming.wants_sack or incoming.sack_at is not None
        return (incoming.sack().chunk(),) if is_owed else ()

    def shut_down(self, now: Instant) -> None:
        """Send SHUTDOWN, and again until it is answered."""
        assert self.incoming is not None, "it stands"
        packet = Packet(self.peer_tag, (shutdown(wire(self.incoming.cumulative)),))
        self.repeat(packet, self.outgoing.rto.value, MAX_RETRANSMISSIONS, now)

    def acknowledge_shutdown(self, now: Instant) -> None:
        """Send SHUTDOWN ACK, and again until it is answered."""
        packet = Packet(self.peer_tag, (Chunk(ChunkType.SHUTDOWN_ACK),))
        self.repeat(packet, self.outgoing.rto.value, MAX_RETRANSMISSIONS, now)

    # --- time ---

    @property
    def next_deadline(self) -> Instant | None:
        """When `timeout` is to be called."""
        deadlines = [self.outgoing.expires_at]
        if self.repeated is not None:
            deadlines.append(self.repeated.deadline)
        if self.incoming is not None:
            deadlines.append(self.incoming.sack_at)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def timeout(self, now: Instant) -> None:
        """Do what is due."""
        if self.incoming is not None:
            self.incoming.timeout(now)
        repeated = self.repeated
        if repeated is not None and repeated.deadline <= now:
            if repeated.count >= repeated.most:
                self.abort(errno.ETIMEDOUT, CauseCode.PROTOCOL_VIOLATION)
                return
            repeated.count += 1
            repeated.timeout = min(2 * repeated.timeout, RTO_MAX)
            repeated.deadline = later(now, repeated.timeout)
            self.packets.append(repeated.packet)
        for chunks in self.outgoing.timeout(now):
            self.send(*chunks)
        if self.outgoing.errors > MAX_RETRANSMISSIONS:
            self.abort(errno.ETIMEDOUT, CauseCode.PROTOCOL_VIOLATION)
            return
        self.flush(now)

    # --- what follows from it ---

    def take_packets(self) -> list[Packet]:
        """Return what is to be sent."""
        packets, self.packets = self.packets, []
        return packets

    def take_error(self) -> int:
        """Return the errno that the program is to be told, 0 for none."""
        number, self._error = self._error, 0
        return number

    def take_stir(self) -> bool:
        """Return whether a program that waits may find something changed."""
        stirred, self.stirred = self.stirred, False
        return stirred
