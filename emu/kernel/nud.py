# SPDX-License-Identifier: GPL-2.0-only
"""How sure a neighbour entry is: neighbour unreachability detection, which ARP shares with RFC 4861 §7.3.

                        a packet              an answer
    NONE, FAILED -----------------> INCOMPLETE ----------> REACHABLE <-------------+
         ^                              |                    |   ^                 |
         |                              |     reachable_time |   |                 |
         +------------------------------+                    v   |                 |
         |    mcast_solicit requests                       STALE |                 |
         |                                                   |   | TCP made        | an
         |                                          a packet |   | progress        | answer
         |                                                   v   |                 |
         |                                                 DELAY-+                 |
         |                                                   |                     |
         |                            delay_first_probe_time |                     |
         |    ucast_solicit requests                         v                     |
         +------------------------------------------------ PROBE ------------------+

The name beside an arrow says what time or how many unanswered requests it takes.
An address that is merely heard of (the sender of a request for us, a broadcast
reply) makes an entry STALE: usable, and to be verified after its first use.

Source: net/core/neighbour.c, Linux 6.18.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Nud(enum.Enum):
    """How sure an entry is, as `ip neigh` prints it. NONE: made this moment, nothing is known."""

    NONE = "NONE"
    INCOMPLETE = "INCOMPLETE"
    REACHABLE = "REACHABLE"
    STALE = "STALE"
    DELAY = "DELAY"
    PROBE = "PROBE"
    FAILED = "FAILED"
    NOARP = "NOARP"
    PERMANENT = "PERMANENT"

    @classmethod
    def parse(cls, text: str) -> Nud:
        """Return the state that `text` names, in small or capital letters.

        Raises:
            ValueError: there is no such state.
        """
        return cls(text.upper())


class Cause(enum.Enum):
    """What moves an entry from state to state."""

    PACKET = "a packet is to be sent"
    UNASKABLE = "a packet is to be sent, and no request may be (mcast_solicit and app_solicit are 0)"
    ANSWERED = "the neighbour replied to us"
    HEARD = "the address, or a new one, was heard of"
    EXPIRED = "not confirmed for reachable_time"
    EXPIRED_IN_USE = "not confirmed for reachable_time, but used within delay_first_probe_time"
    PROGRESS = "confirmed within the last delay_first_probe_time"
    NO_PROGRESS = "not confirmed within the last delay_first_probe_time"
    UNANSWERED = "the last request had no answer"


TRANSITIONS: Final[Mapping[tuple[Nud, Cause], Nud]] = {
    (Nud.NONE, Cause.PACKET): Nud.INCOMPLETE,
    (Nud.NONE, Cause.UNASKABLE): Nud.FAILED,
    (Nud.NONE, Cause.ANSWERED): Nud.REACHABLE,
    (Nud.NONE, Cause.HEARD): Nud.STALE,
    (Nud.INCOMPLETE, Cause.ANSWERED): Nud.REACHABLE,
    (Nud.INCOMPLETE, Cause.HEARD): Nud.STALE,
    (Nud.INCOMPLETE, Cause.UNANSWERED): Nud.FAILED,
    (Nud.REACHABLE, Cause.HEARD): Nud.STALE,
    (Nud.REACHABLE, Cause.EXPIRED): Nud.STALE,
    (Nud.REACHABLE, Cause.EXPIRED_IN_USE): Nud.DELAY,
    (Nud.STALE, Cause.PACKET): Nud.DELAY,
    (Nud.STALE, Cause.ANSWERED): Nud.REACHABLE,
    (Nud.DELAY, Cause.ANSWERED): Nud.REACHABLE,
    (Nud.DELAY, Cause.HEARD): Nud.STALE,
    (Nud.DELAY, Cause.PROGRESS): Nud.REACHABLE,
    (Nud.DELAY, Cause.NO_PROGRESS): Nud.PROBE,
    (Nud.PROBE, Cause.ANSWERED): Nud.REACHABLE,
    (Nud.PROBE, Cause.HEARD): Nud.STALE,
    (Nud.PROBE, Cause.UNANSWERED): Nud.FAILED,
    (Nud.FAILED, Cause.PACKET): Nud.INCOMPLETE,
    (Nud.FAILED, Cause.ANSWERED): Nud.REACHABLE,
    (Nud.FAILED, Cause.HEARD): Nud.STALE,
}
"""Every change of state that traffic and time make; what is not listed changes nothing.

HEARD counts only with an address that the entry does not have yet. PERMANENT
and NOARP are not in it: an administrator alone, who may set any state, enters
and leaves them.
"""

CONNECTED: Final = frozenset({Nud.REACHABLE, Nud.PERMANENT, Nud.NOARP})
"""Packets may be sent without a thought."""

VALID: Final = CONNECTED | {Nud.STALE, Nud.DELAY, Nud.PROBE}
"""The MAC address is known."""

TIMED: Final = frozenset({Nud.INCOMPLETE, Nud.REACHABLE, Nud.DELAY, Nud.PROBE})
"""A timer runs."""

FIXED: Final = frozenset({Nud.PERMANENT, Nud.NOARP})
"""Nothing that is heard or answered changes it."""


def after(state: Nud, cause: Cause) -> Nud:
    """Return the state that follows `state` when `cause` happens."""
    return TRANSITIONS.get((state, cause), state)
