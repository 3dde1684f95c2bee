# SPDX-License-Identifier: GPL-2.0-only
"""The end of a connection: by the program, by the peer's RST, for want of answers.

Source: RFC 9293 §3.6, RFC 2525 §2.17, net/ipv4/tcp.c `__tcp_close`, `tcp_shutdown`, `tcp_disconnect`.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from emu.kernel.tcp.config import TIME_WAIT_LENGTH
from emu.kernel.tcp.emission import send_reset
from emu.kernel.tcp.output import send_fin
from emu.kernel.tcp.states import Cause, State
from emu.kernel.tcp.timers import expiry
from emu.kernel.tcp.timewait import TimeWait

if TYPE_CHECKING:
    from emu.kernel.tcp.tcb import Tcb
    from emu.sim.time import Duration

SENDING: Final = (State.ESTABLISHED, State.CLOSE_WAIT)
_RESETTABLE: Final = (*SENDING, State.SYN_RECEIVED, State.FIN_WAIT_1, State.FIN_WAIT_2)


def finish(tcb: Tcb, cause: Cause, error: int = 0) -> None:
    """Close the connection; `error` is what the program gets to know. Source: `tcp_done_with_error`."""
    tcb.move(cause)
    tcb.error = error
    tcb.snd.unsent.clear()
    tcb.snd.inflight.clear()
    tcb.timers.stop_all()
    tcb.read_shut = tcb.write_shut = True
    tcb.stirred = True


def peer_reset(tcb: Tcb) -> None:
    """End the connection because of a RST. Source: `tcp_reset`."""
    errors = {State.SYN_SENT: errno.ECONNREFUSED, State.CLOSE_WAIT: errno.EPIPE}
    finish(tcb, Cause.ABORT, errors.get(tcb.state, errno.ECONNRESET))


def shut_writing(tcb: Tcb) -> None:
    """Send FIN behind what is queued."""
    if tcb.write_shut:
        return
    tcb.write_shut = True
    if tcb.state in SENDING:
        tcb.move(Cause.CLOSE)
        send_fin(tcb)


def close(tcb: Tcb, linger: Duration | None) -> None:
    """Give the connection up: FIN, or RST if data was left unread or `linger` is 0."""
    tcb.orphan = True
    unread = bool(tcb.rcv.reading.size)
    tcb.rcv.reading.clear()
    tcb.read_shut = True
    if tcb.remainder is not None or tcb.state is State.CLOSED:
        tcb.write_shut = True
    elif unread:
        send_reset(tcb)
        finish(tcb, Cause.ABORT)
    elif linger == 0:
        disconnect(tcb)
    elif tcb.state is State.SYN_SENT:
        finish(tcb, Cause.CLOSE)
    else:
        tcb.write_shut = True
        if tcb.state in (*SENDING, State.SYN_RECEIVED):
            tcb.move(Cause.CLOSE)
            send_fin(tcb)
        elif tcb.state is State.FIN_WAIT_2:
            wait_as_orphan(tcb)


def wait_as_orphan(tcb: Tcb, *, fin_is_here: bool = False) -> None:
    """Wait for the peer's FIN in FIN-WAIT-2, with nobody to read what comes before it.

    `fin_is_here`: the segment under way carries it; then the full connection is
    still needed to take it.
    """
    excess = tcb.config.fin_timeout - TIME_WAIT_LENGTH
    if excess > 0:
        tcb.timers.keepalive_at = expiry(tcb.now, excess)
    elif fin_is_here:
        tcb.timers.keepalive_at = expiry(tcb.now, tcb.config.fin_timeout)
    else:
        leave_to_remainder(tcb, tcb.config.fin_timeout)


def leave_to_remainder(tcb: Tcb, length: Duration) -> None:
    """Leave the connection, in FIN-WAIT-2 or TIME-WAIT, to a `TimeWait`. Source: `tcp_time_wait`."""
    tcb.remainder = TimeWait(tcb, tcb.state, length)
    tcb.timers.stop_all()
    tcb.read_shut = tcb.write_shut = True
    tcb.stirred = True


def disconnect(tcb: Tcb) -> None:
    """End the connection at once, with RST if the peer knows of it."""
    queued_fin = tcb.snd.nxt != tcb.snd.end and tcb.state in (State.CLOSING, State.LAST_ACK)
    if tcb.state in _RESETTABLE or queued_fin:
        send_reset(tcb)
    finish(tcb, Cause.ABORT, 0 if tcb.orphan else errno.ECONNRESET)
