# SPDX-License-Identifier: GPL-2.0-only
"""UDP, UDP-Lite, ICMP, GRE and the rest: who answered, and how long ago.

Which datagrams are right is compared with Linux in `tests/kernel`.
"""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.netfilter.conntrack.entry import Status
from emu.wire import icmp, udp
from tests.unit.kernel.netfilter.conntrack.middle import CLIENT, SERVER, Middle, packet

_UDP_LITE: Final = 136
_GRE: Final = 47


def datagram(way: str, protocol: int = 17) -> bytes:
    """Return a UDP datagram, or one of UDP-Lite with the checksum that Linux wants to see."""
    ends = ((CLIENT, SERVER), (1000, 53)) if way == ">" else ((SERVER, CLIENT), (53, 1000))
    return packet(way, protocol, udp.build(*ends[0], *ends[1], b"data"))


class TestUdp:
    """A flow of datagrams."""

    def test_an_unanswered_datagram_is_remembered_for_half_a_minute(self) -> None:
        """`nf_conntrack_udp_timeout`."""
        middle = Middle()
        assert middle.see(datagram(">")) == "NEW"
        assert (middle.timeout, middle.is_assured) == (30, False)

    def test_an_answer_alone_makes_no_stream(self) -> None:
        """Question and answer: 30 s, not ASSURED."""
        middle = Middle()
        middle.see(datagram(">"))
        assert middle.see(datagram("<")) == "ESTABLISHED"
        assert (middle.timeout, middle.is_assured) == (30, False)

    @pytest.mark.parametrize(("after", "is_stream"), [(2, False), (2.001, True)])
    def test_a_flow_in_use_for_more_than_two_seconds_is_a_stream(self, after: float, is_stream: bool) -> None:  # noqa: FBT001
        """Then it has two minutes and is ASSURED."""
        middle = Middle()
        middle.see(datagram(">"))
        middle.see(datagram("<"))
        middle.wait(after)
        middle.see(datagram(">"))
        assert (middle.timeout, middle.is_assured) == (120 if is_stream else 30, is_stream)

    def test_questions_without_answers_make_no_stream(self) -> None:
        """However long they go on."""
        middle = Middle()
        for _ in range(5):
            assert middle.see(datagram(">")) == "NEW"
            middle.wait(10)
        assert not middle.is_assured

    def test_one_that_clashed_is_never_assured(self) -> None:
        """It is to be forgotten soon."""
        middle = Middle()
        middle.see(datagram(">"))
        middle.see(datagram("<"))
        assert middle.connection is not None
        middle.connection.status |= Status.UNTRACKED
        middle.wait(3)
        middle.see(datagram(">"))
        assert (middle.timeout, middle.is_assured) == (120, False)

    def test_a_fixed_end_stays(self) -> None:
        """FIXED_TIMEOUT: no packet renews the time."""
        middle = Middle()
        middle.see(datagram(">"))
        assert middle.connection is not None
        middle.connection.status |= Status.FIXED_TIMEOUT
        middle.wait(10)
        middle.see(datagram(">"))
        assert middle.timeout == 20

    def test_udp_lite_is_a_stream_with_its_first_answer(self) -> None:
        """It does not wait for two seconds."""
        middle = Middle()
        middle.see(datagram(">", _UDP_LITE))
        assert middle.timeout == 30
        assert middle.see(datagram("<", _UDP_LITE)) == "ESTABLISHED"
        middle.see(datagram(">", _UDP_LITE))
        assert (middle.timeout, middle.is_assured) == (120, True)


class TestIcmp:
    """Questions by ICMP."""

    def test_an_echo_is_remembered_for_half_a_minute(self) -> None:
        """The reply renews it, any number of times."""
        middle = Middle()
        assert middle.see(packet(">", 1, icmp.build(8, 0, b"", word1=7))) == "NEW"
        middle.wait(20)
        for _ in range(2):
            assert middle.see(packet("<", 1, icmp.build(0, 0, b"", word1=7))) == "ESTABLISHED"
            assert middle.timeout == 30
        assert not middle.is_assured

    def test_another_identifier_is_another_connection(self) -> None:
        """A reply to nothing is invalid."""
        middle = Middle()
        middle.see(packet(">", 1, icmp.build(8, 0, b"", word1=7)))
        assert middle.see(packet("<", 1, icmp.build(0, 0, b"", word1=8))) == "INVALID"


class TestOthers:
    """Protocols without a tracker of their own."""

    def test_any_protocol_is_tracked_by_its_addresses(self) -> None:
        """For ten minutes, never ASSURED."""
        middle = Middle()
        assert [middle.see(packet(way, 50, b"")) for way in "><>"] == ["NEW", "ESTABLISHED", "ESTABLISHED"]
        assert (middle.timeout, middle.is_assured) == (600, False)

    def test_a_tunnel_of_gre_has_times_of_its_own(self) -> None:
        """Half a minute, three once it was answered."""
        middle = Middle()
        middle.see(packet(">", _GRE, bytes(4)))
        assert middle.timeout == 30
        middle.see(packet("<", _GRE, bytes(4)))
        middle.see(packet(">", _GRE, bytes(4)))
        assert (middle.timeout, middle.is_assured) == (180, True)

    def test_a_tunnel_keeps_the_times_of_its_beginning(self) -> None:
        """Settings that are changed later reach the next one."""
        middle = Middle()
        middle.see(packet(">", _GRE, bytes(4)))
        middle.net.sysctl.set("net.netfilter.nf_conntrack_gre_timeout", 5)
        middle.see(packet(">", _GRE, bytes(4)))
        assert middle.timeout == 30

    @given(st.sampled_from((1, 2, 17, 47, 50, 132, 136)), st.lists(st.binary(max_size=60), max_size=4))
    def test_no_octets_do_harm(self, protocol: int, payloads: list[bytes]) -> None:
        """Whatever comes is answered, with checksums and without."""
        middle = Middle()
        for number, octets in enumerate(payloads):
            for verify in (True, False):
                assert middle.see(packet("><"[number % 2], protocol, octets), verify_checksum=verify)
