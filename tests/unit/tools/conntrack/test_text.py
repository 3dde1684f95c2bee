# SPDX-License-Identifier: GPL-2.0-only
"""Lines of `conntrack`, read and written: both judged by what the real tool printed."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.errors import RulesError
from emu.kernel.netfilter.conntrack.entry import Status
from emu.kernel.netfilter.conntrack.table import Event, EventKind
from emu.kernel.netfilter.conntrack.tuples import Tuple
from emu.sim.time import SECOND, Instant
from emu.tools.conntrack import reading, text
from emu.tools.conntrack.text import Form
from tests.unit.tools.conntrack.cases import lines

_NOW: Final = Instant(5 * SECOND)
_LINE: Final = (
    "udp      17 29 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 "
    "src=10.0.0.2 dst=10.0.0.1 sport=2 dport=1 mark=0 use=1"
)


def again(line: str, form: Form) -> str:
    """Return `line` as we write what we read in it."""
    entry = reading.parse(line)[0]
    return text.line(entry.connection(entry.number or 1, _NOW), _NOW, form)


class TestLines:
    """One line a connection."""

    @pytest.mark.parametrize("line", lines("table"))
    def test_what_is_read_is_written_as_linux_does(self, line: str) -> None:
        """A recorded line comes back as it was, whatever the protocol, zone and translation."""
        assert again(line, Form()) == line

    @pytest.mark.parametrize("line", lines("extended"))
    def test_families_counters_and_numbers_are_written_as_linux_does(self, line: str) -> None:
        """So does one with all the extras."""
        assert again(line, Form(extended=True, identified=True, counted=True)) == line

    @pytest.mark.parametrize("line", lines("events"))
    def test_events_are_written_as_linux_does(self, line: str) -> None:
        """A recorded event comes back as it was: marks of 0 and what is over are not told."""
        kind, rest = EventKind(line[:9].strip(" []")), line[10:]
        entry = reading.parse(rest)[0]
        happened = Event(_NOW, kind, entry.connection(1, _NOW))
        assert text.event(happened, Form(counted=True), epoch=0) == line

    def test_an_event_can_tell_the_time_of_day(self) -> None:
        """`-o timestamp` puts seconds and microseconds in front."""
        happened = Event(_NOW, EventKind.NEW, reading.parse(_LINE)[0].connection(3, _NOW))
        told = text.event(happened, Form(timestamped=True, identified=True), epoch=1_795_191_362_478_553_000)
        assert told.startswith("[1795191367.478553]\t    [NEW] udp      17 29 src=10.0.0.1 ")
        assert told.endswith(" id=3")

    def test_statistics_are_one_line_for_the_one_cpu(self) -> None:
        """Counters of which nothing was counted are 0."""
        assert text.statistics({"invalid": 2}) == (
            "cpu=0   \tfound=0 invalid=2 insert=0 insert_failed=0 drop=0 early_drop=0 error=0 "
            "search_restart=0 clash_resolve=0 chaintoolong=0 \n"
        )


class TestReading:
    """A dump of a real node, read."""

    def test_a_line_becomes_an_entry(self) -> None:
        """Tuples, state, flags, time and mark are values."""
        entry = reading.parse(lines("table")[1])[0]
        assert entry.original == Tuple(bytes((1, 2, 3, 4)), bytes((5, 6, 7, 8)), 6, 10, 20)
        assert entry.reply == entry.original.invert()
        assert (entry.state, entry.left, entry.mark) == ("ESTABLISHED", 99, 0)
        assert entry.flags == {"ASSURED"}

    def test_an_entry_becomes_a_connection(self) -> None:
        """It is confirmed, its status follows from flags and tuples, its time counts from now."""
        connection = reading.parse(lines("table")[5])[0].connection(7, _NOW)
        assert connection.number == 7
        assert connection.expires == _NOW + 99 * SECOND
        assert connection.status & Status.CONFIRMED
        assert connection.status & Status.DST_NAT
        assert not connection.status & Status.SRC_NAT
        assert not connection.status & Status.SEEN_REPLY

    def test_what_others_print_is_read_too(self) -> None:
        """IPv6 and remarks are passed over; `/proc` and time stamps are understood."""
        entries = reading.parse("\n".join(lines("foreign")))
        assert [entry.original.protocol for entry in entries] == [47, 6]
        assert entries[1].packets == (3, 1)
        assert entries[1].flags == {"ASSURED"}

    def test_all_faults_are_told_with_their_lines(self) -> None:
        """Not only the first."""
        faulty = [
            _LINE,
            _LINE.replace("udp      17 29", "tcp 6 9 SLEEPING"),
            "nonsense",
            _LINE.replace("dst=10.0.0.2 sport", "dst=10.0.0.256 sport"),
            _LINE.replace("sport=1 ", ""),
            _LINE.replace("mark=0", "mark=-1"),
            _LINE.replace("src=10.0.0.2 dst=10.0.0.1 sport=2 dport=1", ""),
            _LINE.replace("mark=0", "[PURPLE] mark=0"),
            _LINE.replace("sport=1 ", "sport=70000 "),
            _LINE.replace("dst=10.0.0.2 ", ""),
            _LINE.replace("17", "300"),
        ]
        with pytest.raises(RulesError) as caught:
            reading.parse("\n".join(faulty))
        assert [complaint.line for complaint in caught.value.complaints] == list(range(2, 12))
        assert "tcp has no state SLEEPING" in str(caught.value)
        assert "line 5: sport= is missing" in str(caught.value)

    @given(st.text(alphabet="tcpudsrcdsot=0123456789. []\nAEIMNUZ", max_size=200))
    def test_any_text_is_read_or_refused(self, written: str) -> None:
        """Nothing but `RulesError` comes out of it."""
        with suppress(RulesError):
            assert len(reading.parse(written)) <= len(written.splitlines())
