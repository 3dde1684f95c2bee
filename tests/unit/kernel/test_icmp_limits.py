# SPDX-License-Identifier: GPL-2.0-only
"""Token buckets for ICMP; the sequences are those counted on Linux 6.18."""

from __future__ import annotations

import random
from typing import Final

from emu.kernel.icmp_limits import IcmpLimits
from emu.sim.time import MILLISECOND, SECOND, START, Instant

PEER: Final = b"\x0a\0\0\1"
OTHER: Final = b"\x0a\0\0\2"


def at(seconds: float) -> Instant:
    """Return the instant `seconds` after the start."""
    return Instant(round(seconds * SECOND))


class TestPeers:
    """What one address may be told."""

    def test_six_at_once_after_a_rest_then_one_each_interval(self) -> None:
        """Unused tokens are saved up, six at most."""
        limits = IcmpLimits()
        assert [limits.allow_peer(PEER, START, SECOND) for _ in range(8)] == [True] * 6 + [False] * 2
        assert not limits.allow_peer(PEER, at(0.9), SECOND)
        assert limits.allow_peer(PEER, at(1), SECOND)
        assert not limits.allow_peer(PEER, at(1), SECOND)

    def test_a_long_rest_saves_no_more_than_six(self) -> None:
        """An hour is worth as much as six seconds."""
        limits = IcmpLimits()
        limits.allow_peer(PEER, START, SECOND)
        assert sum(limits.allow_peer(PEER, at(3600), SECOND) for _ in range(20)) == 6

    def test_each_address_has_a_bucket_of_its_own(self) -> None:
        """What one was told takes nothing from another."""
        limits = IcmpLimits()
        for _ in range(7):
            limits.allow_peer(PEER, START, SECOND)
        assert limits.allow_peer(OTHER, START, SECOND)

    def test_an_error_about_a_route_takes_from_the_bucket_twice(self) -> None:
        """A fresh sender gets two at once: it has five for them, and each costs one more on its way out."""
        limits = IcmpLimits()
        told = [limits.allow_route_error(PEER, START) and limits.allow_peer(PEER, START, SECOND)] * 1
        told += [
            limits.allow_route_error(PEER, START) and limits.allow_peer(PEER, START, SECOND) for _ in range(3)
        ]
        assert told == [True, True, False, False]


class TestRedirects:
    """How often a sender is told of a better gateway."""

    def test_a_sender_that_goes_on_is_told_ever_more_rarely(self) -> None:
        """With a packet each 0.1 s it hears of it at 0, 0.1, 0.2, 0.4, 0.8, 1.5 and 2.8 s."""
        limits = IcmpLimits()
        told = [tenth / 10 for tenth in range(30) if limits.allow_redirect(PEER, at(tenth / 10))]
        assert told == [0, 0.1, 0.2, 0.4, 0.8, 1.5, 2.8]

    def test_nine_times_are_the_end_until_it_is_silent(self) -> None:
        """20.48 s without a packet, and it is told again."""
        limits = IcmpLimits()
        told = sum(limits.allow_redirect(PEER, at(20 * turn)) for turn in range(15))
        assert told == 9
        assert not limits.allow_redirect(PEER, at(300))
        assert limits.allow_redirect(PEER, at(321))


class TestEverybody:
    """What all peers together may be told."""

    def test_a_burst_and_then_what_a_second_allows(self) -> None:
        """`icmp_msgs_burst` at once; each message takes none, one or two, so that nobody can count them."""
        limits, stream = IcmpLimits(), random.Random(1)
        sent = 0
        while limits.allow_message(START, per_second=1000, burst=50):
            limits.consume(stream)
            sent += 1
        assert 25 <= sent <= 100
        assert not limits.allow_message(Instant(19 * MILLISECOND), per_second=1000, burst=50)
        assert limits.allow_message(Instant(20 * MILLISECOND), per_second=1000, burst=50)

    def test_none_a_second_is_none_at_all(self) -> None:
        """`icmp_msgs_per_sec` 0 silences the host."""
        assert not IcmpLimits().allow_message(START, per_second=0, burst=50)
