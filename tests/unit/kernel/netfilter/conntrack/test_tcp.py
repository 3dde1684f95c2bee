# SPDX-License-Identifier: GPL-2.0-only
"""What the table of TCP's states cannot tell: packets refused, timeouts, RST, and ends that know better."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.netfilter.conntrack import tcp
from emu.kernel.netfilter.conntrack.entry import Connection, Status
from emu.kernel.netfilter.conntrack.tcp_table import State
from emu.kernel.netfilter.conntrack.tcp_window import TcpState
from emu.kernel.netfilter.conntrack.tuples import Tuple
from tests.unit.kernel.netfilter.conntrack.middle import Middle, packet, segment

_SCALED: Final = bytes((1, 3, 3, 7))


def opened(**sysctls: int) -> Middle:
    """Return a node whose connection is established: the client sends from 101, the server from 901."""
    middle = Middle(dict(sysctls))
    middle.tcp(">", "S", seq=100)
    middle.tcp("<", "SA", seq=900, ack=101)
    middle.tcp(">", "A", seq=101, ack=901)
    assert middle.state == "ESTABLISHED"
    return middle


class TestPackets:
    """What a segment has to be."""

    @pytest.mark.parametrize("flags", ["", "F", "SF", "SR", "U", "SAU", "RF", "RU", "P", "FP", "SFRPAU"])
    def test_impossible_flags_are_invalid(self, flags: str) -> None:
        """They begin nothing."""
        middle = Middle()
        assert middle.tcp(">", flags, seq=1) == "INVALID"
        assert middle.connection is None

    @pytest.mark.parametrize("flags", ["S", "SU", "SP", "SEC"])
    def test_urg_psh_and_ecn_go_with_a_syn(self, flags: str) -> None:
        """A SYN with them begins a connection."""
        assert Middle().tcp(">", flags, seq=1) == "NEW"

    @pytest.mark.parametrize("length", range(4, 20))
    def test_a_header_that_is_cut_short_is_invalid(self, length: int) -> None:
        """Ports alone do not do."""
        octets = segment(">", "S", seq=1)
        assert Middle().see(packet(">", 6, octets[20 : 20 + length])) == "INVALID"

    @pytest.mark.parametrize("offset", [0, 4, 6, 15])
    def test_a_wrong_data_offset_is_invalid(self, offset: int) -> None:
        """Below 20 octets, or behind the end of the packet."""
        octets = bytearray(segment(">", "S", seq=1)[20:])
        octets[12] = offset << 4
        assert Middle().see(packet(">", 6, bytes(octets)), verify_checksum=False) == "INVALID"

    def test_a_wrong_checksum_is_invalid_where_it_is_looked_at(self) -> None:
        """Packets of this host are believed."""
        octets = bytearray(segment(">", "S", seq=1))
        octets[36] ^= 1
        assert Middle().see(bytes(octets)) == "INVALID"
        assert Middle().see(bytes(octets), verify_checksum=False) == "NEW"

    def test_why_is_noted(self) -> None:
        """A packet's story tells what is wrong with it."""
        middle = Middle()
        middle.tcp(">", "SF", seq=1)
        middle.tcp(">", "SA", seq=1)
        assert middle.reasons == [
            "invalid: invalid tcp flag combination",
            "invalid: it cannot begin a connection",
        ]

    @given(st.binary(max_size=80), st.sampled_from(State), st.booleans())
    def test_no_octets_do_harm_in_any_state(self, octets: bytes, state: State, reply: bool) -> None:  # noqa: FBT001
        """The tracker answers whatever comes."""
        middle = opened()
        assert middle.connection is not None
        tracked = middle.connection.tracker
        assert isinstance(tracked, TcpState)
        tracked.state = state
        ports = b"\0\x50\x9c\x40" if reply else b"\x9c\x40\0\x50"
        answer = middle.see(packet("<" if reply else ">", 6, ports + octets), verify_checksum=False)
        assert answer in {"NEW", "ESTABLISHED", "INVALID"}


class TestBeginnings:
    """How a connection begins."""

    def test_a_connection_is_opened(self) -> None:
        """SYN, SYN-ACK and ACK make it ESTABLISHED and ASSURED."""
        middle = Middle()
        assert middle.tcp(">", "S", seq=100) == "NEW"
        assert (middle.state, middle.timeout, middle.is_assured) == ("SYN_SENT", 120, False)
        assert middle.tcp("<", "SA", seq=900, ack=101) == "ESTABLISHED"
        assert (middle.state, middle.timeout, middle.is_assured) == ("SYN_RECV", 60, False)
        assert middle.tcp(">", "A", seq=101, ack=901) == "ESTABLISHED"
        assert (middle.state, middle.timeout, middle.is_assured) == ("ESTABLISHED", 432_000, True)

    def test_a_connection_is_picked_up_in_the_middle(self) -> None:
        """An ACK of an unknown connection is NEW; the time is short until the other side answers."""
        middle = Middle()
        assert middle.tcp(">", "A", seq=100, ack=900) == "NEW"
        assert (middle.state, middle.timeout) == ("ESTABLISHED", 300)
        assert middle.tcp("<", "A", seq=900, ack=100) == "ESTABLISHED"
        assert not middle.is_assured
        assert middle.tcp(">", "A", seq=100, ack=900, window=7) == "ESTABLISHED"
        assert (middle.timeout, middle.is_assured) == (432_000, True)

    def test_a_picked_up_connection_is_believed_whatever_it_says(self) -> None:
        """Its windows are not known."""
        middle = Middle()
        middle.tcp(">", "A", seq=100, ack=900)
        assert middle.tcp("<", "PA", seq=900 + 10**6, ack=100 - 10**6, data=5) == "ESTABLISHED"

    def test_without_loose_nothing_is_picked_up(self) -> None:
        """`nf_conntrack_tcp_loose` 0: only a SYN begins a connection."""
        middle = Middle({"tcp_loose": 0})
        assert middle.tcp(">", "A", seq=100, ack=900) == "INVALID"
        assert middle.tcp(">", "S", seq=100) == "NEW"

    @pytest.mark.parametrize("flags", ["SA", "FA", "R", "RA"])
    def test_nothing_else_begins_a_connection(self, flags: str) -> None:
        """Not the answer, not the end."""
        assert Middle().tcp(">", flags, seq=100, ack=1) == "INVALID"

    def test_a_syn_that_is_sent_again_does_not_renew_the_time(self) -> None:
        """Else who tries one port again and again would keep the entry alive."""
        middle = Middle()
        middle.tcp(">", "S", seq=100)
        middle.wait(50)
        assert middle.tcp(">", "S", seq=100) == "NEW"
        assert middle.timeout == 70

    def test_both_sides_may_begin(self) -> None:
        """Two SYNs that cross, each answered, are one connection."""
        middle = Middle()
        middle.tcp(">", "S", seq=100)
        assert middle.tcp("<", "S", seq=900) == "ESTABLISHED"
        assert (middle.state, middle.timeout) == ("SYN_SENT2", 120)
        middle.tcp(">", "SA", seq=100, ack=901)
        assert middle.state == "SYN_RECV"
        assert middle.tcp("<", "A", seq=901, ack=101) == "ESTABLISHED"
        assert middle.state == "ESTABLISHED"

    def test_a_refused_connection_is_forgotten_at_once(self) -> None:
        """A RST that is the only answer deletes the entry."""
        middle = Middle()
        middle.tcp(">", "S", seq=100)
        assert middle.tcp("<", "RA", seq=0, ack=101) == "ESTABLISHED"
        assert middle.connection is None


class TestEnds:
    """How a connection ends."""

    def test_a_connection_is_closed(self) -> None:
        """FIN, ACK, FIN, ACK: each state has its time."""
        middle, seen = opened(), []
        for way, flags, seq, ack in (
            (">", "FA", 101, 901),
            ("<", "A", 901, 102),
            ("<", "FA", 901, 102),
            (">", "A", 102, 902),
        ):
            assert middle.tcp(way, flags, seq=seq, ack=ack) == "ESTABLISHED"
            seen.append((middle.state, middle.timeout))
        assert seen == [("FIN_WAIT", 120), ("CLOSE_WAIT", 60), ("LAST_ACK", 30), ("TIME_WAIT", 120)]

    def test_a_rst_closes(self) -> None:
        """The entry stays for ten seconds."""
        middle = opened()
        assert middle.tcp("<", "R", seq=901) == "ESTABLISHED"
        assert (middle.state, middle.timeout, middle.is_assured) == ("CLOSE", 10, True)

    def test_a_rst_behind_the_expected_octet_leaves_it_open(self) -> None:
        """Its receiver may challenge it; if it was right, the entry goes soon."""
        middle = opened()
        assert middle.tcp("<", "R", seq=950) == "ESTABLISHED"
        assert (middle.state, middle.timeout) == ("ESTABLISHED", 10)

    def test_a_rst_behind_data_of_the_same_side_closes(self) -> None:
        """Data and RST sent back to back are one train."""
        middle = opened()
        middle.tcp("<", "PA", seq=901, ack=101, data=20)
        middle.tcp("<", "R", seq=921)
        assert middle.state == "CLOSE"

    def test_an_old_rst_is_invalid(self) -> None:
        """It lies before what was acknowledged."""
        middle = opened()
        assert middle.tcp("<", "R", seq=900) == "INVALID"
        assert middle.state == "ESTABLISHED"

    def test_an_old_rst_may_be_let_pass(self) -> None:
        """`nf_conntrack_tcp_ignore_invalid_rst`."""
        middle = opened(tcp_ignore_invalid_rst=1)
        assert middle.tcp("<", "R", seq=900) == "ESTABLISHED"

    def test_any_rst_is_believed_while_it_is_being_closed(self) -> None:
        """Its ports may belong to a new connection whose numbers nobody knows."""
        middle = opened()
        middle.tcp(">", "FA", seq=101, ack=901)
        assert middle.tcp("<", "R", seq=5) == "ESTABLISHED"
        assert middle.state == "CLOSE"

    @pytest.mark.parametrize("way", "><")
    def test_a_syn_reopens_what_was_closed(self, way: str) -> None:
        """From TIME_WAIT a new connection begins, even the other way round."""
        middle = opened()
        middle.tcp(">", "FA", seq=101, ack=901)
        middle.tcp("<", "FA", seq=901, ack=102)
        middle.tcp(">", "A", seq=102, ack=902)
        before = middle.connection
        assert middle.tcp(way, "S", seq=5000) == "NEW"
        assert middle.connection is not before
        assert middle.state == "SYN_SENT"

    def test_the_one_who_aborted_may_begin_anew(self) -> None:
        """A SYN behind one's own RST."""
        middle = opened()
        middle.tcp(">", "R", seq=101)
        before = middle.connection
        assert middle.tcp(">", "S", seq=5000) == "NEW"
        assert middle.connection is not before

    def test_the_other_may_not(self) -> None:
        """A SYN behind the other's RST is let pass, and nothing is learned from it."""
        middle = opened()
        middle.tcp("<", "R", seq=901)
        assert middle.tcp(">", "S", seq=5000) == "ESTABLISHED"
        assert middle.state == "CLOSE"

    def test_a_rule_may_close_it(self) -> None:
        """`REJECT --reject-with tcp-reset` leaves it CLOSE for ten seconds."""
        middle = opened()
        assert middle.connection is not None
        tcp.close(middle.net, middle.connection)
        assert (middle.state, middle.timeout) == ("CLOSE", 10)

    def test_only_what_is_confirmed_and_tcp_is_closed(self) -> None:
        """A packet that begins a connection and is rejected leaves no trace."""
        middle = Middle()
        young = Connection(1, Tuple(b"", b"", 6), Tuple(b"", b"", 6))
        young.tracker = TcpState(State.SYN_SENT)
        tcp.close(middle.net, young)
        assert young.tracker.state is State.SYN_SENT


class TestEndsThatKnowBetter:
    """Segments that show that the entry is out of date."""

    def test_a_syn_in_an_open_connection_is_let_pass(self) -> None:
        """Its receiver decides."""
        middle = opened()
        assert middle.tcp(">", "S", seq=5000) == "ESTABLISHED"
        assert middle.state == "ESTABLISHED"

    def test_a_syn_ack_to_it_shows_that_it_was_right(self) -> None:
        """Both ends have begun anew, so has the entry."""
        middle = opened()
        middle.tcp(">", "S", seq=5000, options=_SCALED)
        assert middle.tcp("<", "SA", seq=7000, ack=5001, options=_SCALED) == "ESTABLISHED"
        assert (middle.state, middle.timeout) == ("SYN_RECV", 60)
        assert middle.tcp(">", "A", seq=5001, ack=7001) == "ESTABLISHED"
        assert middle.state == "ESTABLISHED"

    def test_a_rst_to_it_shows_that_the_connection_is_dead(self) -> None:
        """It acknowledges the SYN that was ignored."""
        middle = opened()
        middle.tcp(">", "S", seq=5000)
        assert middle.tcp("<", "RA", seq=0, ack=5001) == "ESTABLISHED"
        assert middle.state == "CLOSE"

    def test_a_challenge_is_no_acknowledgement_of_a_fin(self) -> None:
        """An ACK that answers a stray SYN in LAST_ACK changes nothing; the next one does."""
        middle = opened()
        middle.tcp(">", "FA", seq=101, ack=901)
        middle.tcp("<", "FA", seq=901, ack=102)
        middle.tcp(">", "S", seq=5000)
        middle.tcp("<", "A", seq=902, ack=102)
        assert middle.state == "LAST_ACK"
        middle.tcp("<", "A", seq=902, ack=102)
        assert middle.state == "TIME_WAIT"

    def test_an_ack_to_a_first_syn_is_let_pass(self) -> None:
        """The server holds a half-open connection; its client's RST to it deletes the entry's claim."""
        middle = Middle()
        middle.tcp(">", "S", seq=100)
        assert middle.tcp("<", "A", seq=900, ack=7000) == "ESTABLISHED"
        assert middle.state == "SYN_SENT"
        assert middle.tcp(">", "R", seq=7000) == "ESTABLISHED"
        assert (middle.state, middle.timeout) == ("CLOSE", 10)


class TestTime:
    """How long a connection is remembered."""

    def test_data_that_is_not_acknowledged_shortens_the_time(self) -> None:
        """Five minutes until the ACK."""
        middle = opened()
        middle.tcp(">", "PA", seq=101, ack=901, data=10)
        assert middle.timeout == 300
        middle.tcp("<", "A", seq=901, ack=111)
        assert middle.timeout == 432_000

    def test_segments_that_are_repeated_shorten_the_time(self) -> None:
        """From the fourth on: `nf_conntrack_tcp_max_retrans` and the timeout of that name."""
        middle = opened(tcp_timeout_max_retrans=77)
        times = []
        for _ in range(5):
            middle.tcp("<", "A", seq=901, ack=101)
            times.append(middle.timeout)
        assert times == [432_000, 432_000, 432_000, 77, 77]

    def test_a_closed_window_shortens_the_time(self) -> None:
        """Who does not read may be gone."""
        middle = opened()
        middle.tcp(">", "A", seq=101, ack=901, window=0)
        assert middle.timeout == 300

    def test_settings_are_obeyed_at_once(self) -> None:
        """The next segment takes the new time."""
        middle = opened()
        middle.net.sysctl.set("net.netfilter.nf_conntrack_tcp_timeout_established", 1000)
        middle.tcp(">", "A", seq=101, ack=901, window=9)
        assert middle.timeout == 1000

    def test_a_fixed_end_stays(self) -> None:
        """FIXED_TIMEOUT: no packet renews the time."""
        middle = opened()
        assert middle.connection is not None
        middle.connection.status |= Status.FIXED_TIMEOUT
        middle.wait(100)
        middle.tcp(">", "A", seq=101, ack=901, window=9)
        assert middle.timeout == 432_000 - 100

    def test_two_closings_out_of_the_window_shorten_the_time(self) -> None:
        """Both ends seem to be done, though nothing fits: the entry does not stay for days."""
        middle = opened()
        middle.wait(10)
        assert middle.tcp(">", "FA", seq=101 + 10**6, ack=901) == "INVALID"
        assert middle.timeout == 432_000 - 10
        assert middle.tcp("<", "FA", seq=901 + 10**6, ack=101) == "INVALID"
        assert (middle.state, middle.timeout) == ("ESTABLISHED", 300)
