# SPDX-License-Identifier: GPL-2.0-only
"""The timers of a connection, and when Linux's timer wheel lets them fire.

The wheel counts jiffies, 250 a second in the kernel that emu follows. It never
fires early: a timer is put off to the next slot of its level, and the levels
grow coarser with the distance. So 40 ms become 40 to 44, one second 1.000 to
1.032, and sixteen up to 16.256 seconds. Captures show it, so it is modelled; virtual
time begins with jiffy 0.

Source: kernel/time/timer.c `calc_wheel_index`.
"""

from __future__ import annotations

import enum
from typing import Final

from emu.sim.time import MILLISECOND, SECOND, Duration, Instant

JIFFY: Final[Duration] = SECOND // 250
LEAST_TIMEOUT: Final[Duration] = 2 * MILLISECOND  # TCP_TIMEOUT_MIN_US
_LEVEL_SLOTS: Final = 63
_LEVEL_SHIFT: Final = 3


def round_up(duration: Duration) -> Duration:
    """Return `duration` in whole jiffies, rounded up. Source: `usecs_to_jiffies`."""
    return -(-duration // JIFFY) * JIFFY


def expiry(now: Instant, delay: Duration) -> Instant:
    """Return when a timer fires that is set to `delay` from `now`."""
    clock = now // JIFFY
    ticks = -(-delay // JIFFY)
    shift = 0
    while ticks >= _LEVEL_SLOTS << shift:
        shift += _LEVEL_SHIFT
    return Instant(((clock + ticks >> shift) + 1 << shift) * JIFFY)


class Purpose(enum.Enum):
    """What the one timer for sending is set for."""

    RETRANSMIT = "send again what is not acknowledged"
    LOSS_PROBE = "provoke an ACK for the tail"
    REORDERING = "take for lost what is still not acknowledged"
    ZERO_WINDOW = "ask whether the window has opened"


class Timers:
    """The deadlines of a connection; None where none is set.

    Attributes:
        purpose: what `send_at` is for.
        send_at: retransmission, loss probe, reordering or window probe.
        ack_at: a delayed ACK.
        ack_nominal: when it was meant to go, before the wheel put it off.
        compressed_ack_at: an ACK with SACK that was held back (a precise timer).
        narrow_at: a narrower path, reported while the program held the connection.
        keepalive_at: keepalive probes, or the end of FIN-WAIT-2.
    """

    __slots__ = (
        "ack_at",
        "ack_nominal",
        "compressed_ack_at",
        "keepalive_at",
        "narrow_at",
        "purpose",
        "send_at",
    )

    def __init__(self) -> None:
        self.purpose: Purpose | None = None
        self.send_at: Instant | None = None
        self.ack_at: Instant | None = None
        self.ack_nominal: Instant | None = None
        self.compressed_ack_at: Instant | None = None
        self.narrow_at: Instant | None = None
        self.keepalive_at: Instant | None = None

    def set_send(self, purpose: Purpose, now: Instant, delay: Duration) -> None:
        """Set the timer for sending anew."""
        self.purpose = purpose
        self.send_at = expiry(now, delay)

    def stop_send(self) -> None:
        """Stop the timer for sending."""
        self.purpose = None
        self.send_at = None

    def set_ack(self, now: Instant, nominal: Instant) -> None:
        """Have a delayed ACK sent at `nominal`, as the wheel allows."""
        self.ack_nominal = nominal
        self.ack_at = expiry(now, nominal - now)

    def stop_acks(self) -> None:
        """Forget delayed ACKs of both kinds: one was just sent."""
        self.ack_nominal = None
        self.ack_at = None
        self.compressed_ack_at = None

    def stop_all(self) -> None:
        """Stop every timer: the connection is closed."""
        self.stop_send()
        self.stop_acks()
        self.narrow_at = None
        self.keepalive_at = None

    @property
    def next(self) -> Instant | None:
        """The earliest deadline."""
        set_ones = [
            at
            for at in (self.send_at, self.ack_at, self.compressed_ack_at, self.narrow_at, self.keepalive_at)
            if at is not None
        ]
        return min(set_ones) if set_ones else None
