# SPDX-License-Identifier: GPL-2.0-only
"""What ICMP answers; asked of Linux 6.18 with the same packets."""

from __future__ import annotations

from typing import Final

import pytest

from emu.kernel.drops import DropReason
from emu.sim.time import EPOCH, MILLISECOND, SECOND, Instant
from emu.wire import icmp
from emu.wire.addresses import BROADCAST_MAC, IpAddress
from emu.wire.icmp import ECHO, ECHO_REPLY, PARAMETER_PROBLEM, TIMESTAMP, TIMESTAMP_REPLY, UNREACHABLE
from emu.wire.ipv4 import ICMP, build
from tests.unit.kernel.router import FAR, ROUTER, SENDER, Router, echo

ELSEWHERE: Final = IpAddress.parse("192.0.2.1")
SUBNET_BROADCAST: Final = IpAddress.parse("10.0.0.255")
NOON: Final = Instant(12 * 3600 * SECOND - EPOCH % (86400 * SECOND))


@pytest.fixture
def router() -> Router:
    """The router, at noon."""
    router = Router()
    router.now = NOON
    return router


def message(kind: int, data: bytes = b"", *, code: int = 0, dst: IpAddress = ROUTER, tos: int = 0) -> bytes:
    """Return a packet with an ICMP message."""
    return build(ICMP, SENDER, dst, icmp.build(kind, code, data, word1=7, word2=9), tos=tos)


class TestReplies:
    """Questions that are answered."""

    @pytest.mark.parametrize("code", [0, 5])
    def test_an_echo_comes_back_with_its_code(self, router: Router, code: int) -> None:
        """So do its identifier, its sequence number, its data and the packet's TOS."""
        (sent,) = router.receive(message(ECHO, b"data", code=code, tos=0x2B))
        assert sent.icmp[:2] == (ECHO_REPLY, code)
        assert sent.icmp[3:] == (7, 9)
        assert (sent.packet[28:], sent.header.tos, sent.src) == (b"data", 0x2B, ROUTER)

    @pytest.mark.parametrize("beyond", [b"", bytes(8), b"and more behind the times"])
    def test_a_timestamp_is_answered_by_the_time_of_receipt_and_of_sending(
        self, router: Router, beyond: bytes
    ) -> None:
        """Both are the present one, in milliseconds since midnight; the sender's own comes back."""
        router.now = Instant(NOON + 5 * MILLISECOND)
        (sent,) = router.receive(message(TIMESTAMP, b"time" + beyond, code=3))
        assert sent.icmp[:2] == (TIMESTAMP_REPLY, 0)
        assert sent.icmp[3:] == (7, 9)
        assert sent.packet[28:] == b"time" + 2 * (12 * 3600 * 1000 + 5).to_bytes(4, "big")

    def test_a_timestamp_needs_room(self, router: Router) -> None:
        """Without the sender's time it is dropped."""
        assert router.drops(message(TIMESTAMP, bytes(3))) == [DropReason.PKT_TOO_SMALL]

    @pytest.mark.parametrize("kind", [ECHO, TIMESTAMP])
    def test_what_is_asked_of_all_is_answered_if_the_setting_says_so(self, router: Router, kind: int) -> None:
        """`icmp_echo_ignore_broadcasts` is for both questions; the answer comes from the host's address."""
        packet = message(kind, bytes(12), dst=SUBNET_BROADCAST)
        assert router.receive(packet, to=BROADCAST_MAC) == []
        router.set("icmp_echo_ignore_broadcasts", 0)
        (sent,) = router.receive(packet, to=BROADCAST_MAC)
        assert (sent.src, sent.dst) == (ROUTER, SENDER)

    @pytest.mark.parametrize("kind", [1, 2, 9, 10, 14, 15, 16, 17, 18, 19, 42])
    def test_other_questions_have_no_answer(self, router: Router, kind: int) -> None:
        """Information and address mask requests, router solicitations, probes and what nobody knows."""
        assert router.receive(message(kind, bytes(12))) == []


class TestLimits:
    """How often a sender is told."""

    def test_without_a_limit_errors_still_take_from_those_about_routes(self, router: Router) -> None:
        """With `icmp_ratelimit` 0 each error empties the bucket that the others need a second of."""
        router.set("icmp_ratelimit", 0)
        (sent,) = router.receive(echo(ELSEWHERE))
        assert sent.icmp.type == UNREACHABLE
        (sent,) = router.receive(echo(FAR, options=b"\x1e\x09\0\0"))
        assert sent.icmp.type == PARAMETER_PROBLEM
        assert router.receive(echo(ELSEWHERE)) == []
        router.now = Instant(NOON + SECOND)
        (sent,) = router.receive(echo(ELSEWHERE))
        assert sent.icmp.type == UNREACHABLE
