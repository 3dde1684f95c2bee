# SPDX-License-Identifier: GPL-2.0-only
"""The neighbour table by itself: no namespace, packets are words."""

from __future__ import annotations

import errno
import random
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.drops import DropReason
from emu.kernel.neigh import NeighbourTable, Thresholds
from emu.kernel.neighbour import Discard, Send, Solicit, Unreachable
from emu.kernel.nud import CONNECTED, FIXED, TIMED, TRANSITIONS, VALID, Cause, Nud, after
from emu.sim.time import MILLISECOND, SECOND, START, Duration, Instant
from emu.wire.addresses import IpAddress, MacAddress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.neighbour import Action, Neighbour

IP: Final = IpAddress.parse("10.0.0.2")
MAC: Final = MacAddress.parse("02:00:00:00:00:02")
OTHER_MAC: Final = MacAddress.parse("02:00:00:00:00:99")
DEFAULTS: Final = {
    "app_solicit": 0,
    "base_reachable_time_ms": 30000,
    "delay_first_probe_time": 5,
    "gc_stale_time": 60,
    "locktime": 100,
    "mcast_resolicit": 0,
    "mcast_solicit": 3,
    "retrans_time_ms": 1000,
    "ucast_solicit": 3,
    "unres_qlen_bytes": 212992,
}


class Clock:
    """A table with one device, and the virtual time it is asked at."""

    def __init__(self, **parameters: int) -> None:
        self.parameters: Mapping[str, int] = DEFAULTS | parameters
        self.table: NeighbourTable[str] = NeighbourTable(
            lambda _: self.parameters, random.Random(1).randrange
        )
        self.now = START

    def send(self, packet: str, size: int = 832, ip: IpAddress = IP) -> list[Action[str]]:
        """Send `packet` to `ip`, with a new entry if there is none."""
        entry = self.table.get("eth0", ip) or self.table.create("eth0", ip, self.now)
        assert entry is not None
        return self.table.send(entry, packet, size, self.now)

    def hear(self, mac: MacAddress = MAC, **how: bool) -> list[Action[str]]:
        """Hear that IP is at `mac`."""
        return self.table.learn("eth0", IP, mac, self.now, **how)

    def run(self, duration: Duration) -> list[tuple[Duration, Action[str]]]:
        """Let `duration` pass; return what followed, and how long after the beginning."""
        begin, end = self.now, self.now + duration
        followed: list[tuple[Duration, Action[str]]] = []
        while (deadline := self.table.next_deadline) is not None and deadline <= end:
            self.now = deadline
            followed += [(deadline - begin, action) for action in self.table.timeout(deadline)]
        self.now = Instant(end)
        return followed

    @property
    def entry(self) -> Neighbour[str]:
        """The entry of IP."""
        entry = self.table.get("eth0", IP)
        assert entry is not None
        return entry

    def state(self) -> Nud:
        """Return its state."""
        return self.entry.state

    def reachable_time(self, now: Duration) -> Duration:
        """Return how long a confirmation holds, as drawn for the device by `now`."""
        return self.table._resolution.reachable_time("eth0", Instant(now))

    def make(self, state: Nud) -> None:
        """Have the entry of IP in `state`, by the shortest way."""
        if state in {Nud.INCOMPLETE, Nud.FAILED}:
            self.send("p")
            if state is Nud.FAILED:
                self.run(3 * SECOND)
            return
        self.hear(create=True, answered=state is Nud.REACHABLE)
        if state in {Nud.DELAY, Nud.PROBE}:
            self.send("p")
            if state is Nud.PROBE:
                self.run(5 * SECOND)
        if state in FIXED:
            self.table.replace("eth0", IP, MAC, state, self.now)
        assert self.state() is state


# --- resolution ---


def test_a_first_packet_waits_and_the_address_is_asked_for_at_once() -> None:
    """NONE to INCOMPLETE: a broadcast request, and nothing is sent yet."""
    clock = Clock()
    assert clock.send("a") == [Solicit(clock.entry, None, "a")]
    assert clock.state() is Nud.INCOMPLETE


def test_the_answer_lets_the_packets_go_in_order() -> None:
    """INCOMPLETE to REACHABLE sends what waited, the oldest first."""
    clock = Clock()
    for packet in "abcde":
        clock.send(packet)
    assert clock.hear(answered=True) == [Send(clock.entry, tuple("abcde"))]
    assert clock.state() is Nud.REACHABLE
    assert clock.entry.mac == MAC
    assert clock.send("f") == [Send(clock.entry, ("f",))]


def test_three_unanswered_requests_a_second_apart_make_it_fail_after_the_third() -> None:
    """Requests at 0, 1 and 2 s; at 3 s all that wait are reported, and no fourth is sent."""
    clock = Clock()
    clock.send("a")
    clock.send("b")
    entry = clock.entry
    assert clock.run(60 * SECOND) == [
        (1 * SECOND, Solicit(entry, None, "b")),
        (2 * SECOND, Solicit(entry, None, "b")),
        (3 * SECOND, Unreachable(entry, ("a", "b"))),
    ]
    assert clock.state() is Nud.FAILED


def test_a_failed_address_is_asked_for_again_at_the_next_packet() -> None:
    """There is no time of grace: FAILED to INCOMPLETE with a request at once, then as before."""
    clock = Clock()
    clock.make(Nud.FAILED)
    assert clock.send("b") == [Solicit(clock.entry, None, "b")]
    assert [at for at, _ in clock.run(10 * SECOND)] == [1 * SECOND, 2 * SECOND, 3 * SECOND]


def test_the_parameters_say_how_often_and_how_fast_one_asks() -> None:
    """`mcast_solicit` requests, `retrans_time_ms` apart, but never less than 10 ms."""
    clock = Clock(mcast_solicit=5, retrans_time_ms=200)
    clock.send("a")
    assert [at // MILLISECOND for at, _ in clock.run(SECOND * 9)] == [200, 400, 600, 800, 1000]
    clock = Clock(mcast_solicit=2, retrans_time_ms=0)
    clock.send("a")
    assert [at // MILLISECOND for at, _ in clock.run(SECOND)] == [10, 20]


def test_requests_of_a_daemon_are_counted_though_nobody_sends_them() -> None:
    """With `app_solicit` 2 the first two of five attempts send nothing."""
    clock = Clock(app_solicit=2)
    assert clock.send("a") == []
    followed = clock.run(9 * SECOND)
    assert [at // SECOND for at, _ in followed] == [2, 3, 4, 5]
    assert isinstance(followed[-1][1], Unreachable)


def test_where_no_request_may_be_sent_a_packet_is_lost_in_silence() -> None:
    """With `mcast_solicit` 0 the packet is dropped as NEIGH_FAILED; nobody is told."""
    clock = Clock(mcast_solicit=0)
    assert clock.send("a") == [Discard("eth0", ("a",), DropReason.NEIGH_FAILED)]
    assert clock.state() is Nud.FAILED
    assert clock.table.next_deadline is None


def test_the_oldest_packets_make_room_for_new_ones() -> None:
    """The queue holds `unres_qlen_bytes` octets, as charged; the oldest go first."""
    clock = Clock(unres_qlen_bytes=2500)
    for packet in "abc":
        clock.send(packet)
    assert clock.send("d") == [Discard("eth0", ("a",), DropReason.NEIGH_QUEUEFULL)]
    assert clock.send("E", size=2304) == [Discard("eth0", tuple("bcd"), DropReason.NEIGH_QUEUEFULL)]
    assert clock.hear(answered=True) == [Send(clock.entry, ("E",))]


def test_a_packet_larger_than_the_queue_waits_alone() -> None:
    """The limit pushes others out, never the packet that comes."""
    clock = Clock(unres_qlen_bytes=0)
    clock.send("a")
    assert clock.send("b") == [Discard("eth0", ("a",), DropReason.NEIGH_QUEUEFULL)]
    assert clock.hear(answered=True) == [Send(clock.entry, ("b",))]


def test_256_small_datagrams_wait_by_default() -> None:
    """832 octets each make 256 in 212,992, as counted on Linux."""
    clock = Clock()
    lost = [action for number in range(300) for action in clock.send(str(number))[:1]]
    assert sum(isinstance(action, Discard) for action in lost) == 300 - 256


def test_a_probe_without_a_packet_asks_too() -> None:
    """`probe` begins resolution with nothing to send, and does nothing while it is under way."""
    clock = Clock()
    entry = clock.table.create("eth0", IP, clock.now)
    assert entry is not None
    assert clock.table.probe(entry, clock.now) == [Solicit(entry, None, None)]
    assert clock.table.probe(entry, clock.now) == []
    assert clock.hear(answered=True) == []
    assert clock.table.probe(entry, clock.now) == []


# --- doubt ---


def test_an_address_that_was_heard_of_is_verified_after_its_first_use() -> None:
    """STALE is used at once, DELAY for 5 s, then PROBE: three unicast requests, then FAILED."""
    clock = Clock()
    clock.make(Nud.STALE)
    entry = clock.entry
    assert clock.table.next_deadline is None
    assert clock.send("a") == [Send(entry, ("a",))]
    assert clock.state() is Nud.DELAY
    followed = clock.run(60 * SECOND)
    assert followed == [(at * SECOND, Solicit(entry, MAC, None)) for at in (5, 6, 7)]
    assert clock.state() is Nud.FAILED


def test_packets_flow_while_the_address_is_verified() -> None:
    """In DELAY and PROBE packets are sent, not queued."""
    clock = Clock()
    clock.make(Nud.PROBE)
    assert clock.send("b") == [Send(clock.entry, ("b",))]
    assert clock.state() is Nud.PROBE


def test_with_mcast_resolicit_all_are_asked_after_the_unicast_requests() -> None:
    """The requests by broadcast come last, and make FAILED later."""
    clock = Clock(mcast_resolicit=1)
    clock.make(Nud.DELAY)
    followed = clock.run(60 * SECOND)
    assert [action for _, action in followed] == [Solicit(clock.entry, MAC, None)] * 3 + [
        Solicit(clock.entry, None, None)
    ]
    assert followed[-1][0] == 8 * SECOND


def test_progress_of_tcp_spares_the_probe() -> None:
    """DELAY with a confirmation after it began is REACHABLE when the delay is over."""
    clock = Clock()
    clock.make(Nud.DELAY)
    clock.run(2 * SECOND)
    clock.table.confirm("eth0", IP, clock.now)
    assert clock.run(3 * SECOND) == []
    assert clock.state() is Nud.REACHABLE


def test_a_confirmation_holds_for_half_to_one_and_a_half_of_the_base_time() -> None:
    """REACHABLE becomes STALE after `reachable_time`; a confirmation in between prolongs it."""
    clock = Clock()
    clock.make(Nud.REACHABLE)
    reachable = clock.reachable_time(clock.now)
    assert 15 * SECOND <= reachable < 45 * SECOND
    clock.run(reachable - SECOND)
    clock.table.confirm("eth0", IP, clock.now)
    clock.run(reachable - 1)
    assert clock.state() is Nud.REACHABLE
    clock.run(1)
    assert clock.state() is Nud.STALE
    assert clock.table.next_deadline is None


def test_an_entry_in_use_goes_from_reachable_to_delay() -> None:
    """With a `delay_first_probe_time` longer than the confirmation holds, STALE is passed over."""
    clock = Clock(delay_first_probe_time=60)
    clock.make(Nud.REACHABLE)
    clock.run(clock.reachable_time(clock.now))
    assert clock.state() is Nud.DELAY


def test_reachable_times_are_drawn_again_after_five_minutes_or_a_change() -> None:
    """Each device keeps its draw for 300 s, unless `base_reachable_time_ms` changes."""
    clock = Clock()
    first = clock.reachable_time(START)
    assert clock.reachable_time(300 * SECOND) == first
    assert clock.reachable_time(301 * SECOND) != first
    clock.parameters = DEFAULTS | {"base_reachable_time_ms": 100}
    assert clock.reachable_time(301 * SECOND) < 150 * MILLISECOND
    clock.parameters = DEFAULTS | {"base_reachable_time_ms": 0}
    assert clock.reachable_time(START) == 0


# --- learning ---


def test_who_is_heard_of_first_becomes_a_stale_neighbour_only_on_demand() -> None:
    """Without `create` an unknown address leaves no trace."""
    clock = Clock()
    assert clock.hear() == []
    assert len(clock.table) == 0
    clock.hear(create=True)
    assert clock.state() is Nud.STALE


def test_a_request_of_the_neighbour_we_wait_for_lets_the_packets_go_too() -> None:
    """INCOMPLETE, heard of: the packets go, and that use makes the STALE entry DELAY."""
    clock = Clock()
    clock.send("a")
    assert clock.hear() == [Send(clock.entry, ("a",))]
    assert clock.state() is Nud.DELAY
    assert clock.run(5 * SECOND) == [(5 * SECOND, Solicit(clock.entry, MAC, None))]


@pytest.mark.parametrize("state", [Nud.REACHABLE, Nud.STALE, Nud.DELAY, Nud.PROBE])
def test_hearing_the_known_address_again_changes_nothing(state: Nud) -> None:
    """Only an answer confirms; the mention of a known address does not."""
    clock = Clock()
    clock.make(state)
    confirmed = clock.entry.confirmed
    assert clock.hear() == []
    assert clock.state() is state
    assert clock.entry.confirmed == confirmed


@pytest.mark.parametrize("state", [Nud.REACHABLE, Nud.STALE, Nud.DELAY, Nud.PROBE])
def test_another_address_is_taken_over_only_with_override(state: Nud) -> None:
    """A new address makes the entry STALE; without `override` the old one stays."""
    clock = Clock()
    clock.make(state)
    clock.hear(OTHER_MAC, override=False)
    assert (clock.state(), clock.entry.mac) == (state, MAC)
    clock.hear(OTHER_MAC)
    assert (clock.state(), clock.entry.mac) == (Nud.STALE, OTHER_MAC)


@pytest.mark.parametrize("state", [Nud.PERMANENT, Nud.NOARP])
def test_nothing_that_is_heard_moves_a_permanent_entry(state: Nud) -> None:
    """PERMANENT and NOARP are the administrator's."""
    clock = Clock()
    clock.make(state)
    assert clock.hear(OTHER_MAC, answered=True) == []
    assert (clock.state(), clock.entry.mac) == (state, MAC)
    assert clock.send("a") == [Send(clock.entry, ("a",))]


def test_of_several_answers_the_first_one_holds_for_locktime() -> None:
    """`locktime` counts hundredths of a second from the last change."""
    clock = Clock()
    clock.make(Nud.REACHABLE)
    assert clock.table.is_locked(clock.entry, Instant(clock.now + SECOND))
    assert not clock.table.is_locked(clock.entry, Instant(clock.now + SECOND + 1))


# --- the fast path ---


def test_a_remembered_header_is_offered_only_while_connected() -> None:
    """`header` is what the fast path looks at: empty means ask the table."""
    clock = Clock()
    clock.make(Nud.REACHABLE)
    clock.entry.remember(MAC + b"source and type")
    assert clock.entry.header == MAC + b"source and type"
    clock.hear(OTHER_MAC)
    assert clock.entry.header == b""
    clock.hear(OTHER_MAC, answered=True)
    assert clock.entry.header == OTHER_MAC + b"source and type"


@pytest.mark.parametrize("state", list(Nud))
def test_the_groups_of_states_agree_with_each_other(state: Nud) -> None:
    """Connected is valid; fixed is connected and has no timer."""
    assert state not in CONNECTED or state in VALID
    assert state not in FIXED or (state in CONNECTED and state not in TIMED)


# --- administration ---


def test_ip_neigh_add_refuses_what_is_there_and_change_what_is_not() -> None:
    """EEXIST and ENOENT, as rtnetlink says."""
    clock = Clock()
    with pytest.raises(OSError, match="No such file") as missing:
        clock.table.change("eth0", IP, MAC, Nud.PERMANENT, clock.now)
    assert missing.value.errno == errno.ENOENT
    clock.table.add("eth0", IP, MAC, Nud.PERMANENT, clock.now)
    with pytest.raises(OSError, match="File exists") as double:
        clock.table.add("eth0", IP, MAC, Nud.PERMANENT, clock.now)
    assert double.value.errno == errno.EEXIST
    clock.table.change("eth0", IP, None, Nud.STALE, clock.now)
    assert (clock.state(), clock.entry.mac) == (Nud.STALE, MAC)
    with pytest.raises(OSError, match="No such file"):
        clock.table.delete("eth0", IpAddress.parse("10.0.0.7"), clock.now)


def test_a_usable_state_needs_an_address() -> None:
    """EINVAL, and no entry is made."""
    clock = Clock()
    with pytest.raises(OSError, match="Invalid argument"):
        clock.table.replace("eth0", IP, None, Nud.STALE, clock.now)
    assert len(clock.table) == 0


@pytest.mark.parametrize("state", [Nud.DELAY, Nud.PROBE])
def test_an_entry_set_to_delay_or_probe_is_probed_at_once(state: Nud) -> None:
    """The timer of such an entry runs out the moment it is set."""
    clock = Clock()
    clock.table.replace("eth0", IP, MAC, state, clock.now)
    assert clock.run(SECOND - 1) == [(0, Solicit(clock.entry, MAC, None))]
    assert clock.state() is Nud.PROBE


def test_an_entry_set_to_incomplete_waits_for_ever() -> None:
    """It has no timer; a packet for it is queued and no request sent."""
    clock = Clock()
    clock.table.replace("eth0", IP, None, Nud.INCOMPLETE, clock.now)
    assert clock.send("a") == []
    assert clock.table.next_deadline is None


def test_deleting_an_entry_reports_what_waits_for_it() -> None:
    """`ip neigh del` makes it fail first."""
    clock = Clock()
    clock.send("a")
    entry = clock.entry
    assert clock.table.delete("eth0", IP, clock.now) == [Unreachable(entry, ("a",))]
    assert entry.state is Nud.FAILED
    assert clock.table.get("eth0", IP) is None
    assert clock.run(60 * SECOND) == []


def test_a_flush_spares_what_was_entered_by_hand() -> None:
    """`ip neigh flush dev` keeps PERMANENT and NOARP entries and those of other devices."""
    clock = Clock()
    clock.make(Nud.REACHABLE)
    kept = IpAddress.parse("10.0.0.3")
    clock.table.add("eth0", kept, MAC, Nud.PERMANENT, clock.now)
    clock.table.add("eth1", IP, MAC, Nud.REACHABLE, clock.now)
    clock.table.flush("eth0", clock.now)
    assert [(entry.device, entry.ip) for entry in clock.table] == [("eth0", kept), ("eth1", IP)]


@pytest.mark.parametrize(("keep_permanent", "left"), [(True, 1), (False, 0)])
def test_a_device_takes_its_neighbours_along(keep_permanent: bool, left: int) -> None:  # noqa: FBT001 - a case
    """Carrier loss spares PERMANENT entries, going down does not; what waits is dropped in silence."""
    clock = Clock()
    clock.send("a")
    clock.table.add("eth0", IpAddress.parse("10.0.0.3"), MAC, Nud.PERMANENT, clock.now)
    clock.table.proxies.add(("eth0", IP))
    actions = clock.table.forget_device("eth0", keep_permanent=keep_permanent)
    assert actions == [Discard("eth0", ("a",), DropReason.QUEUE_PURGE)]
    assert len(clock.table) == len(clock.table.proxies) == left


# --- how large it may become ---


def fill(clock: Clock, count: int, state: Nud = Nud.STALE) -> None:
    """Enter `count` more neighbours."""
    for number in range(len(clock.table), len(clock.table) + count):
        ip = IpAddress.from_int(0x0A010000 + number)
        clock.table.replace("eth0", ip, MAC, state, clock.now)


def test_below_the_first_threshold_nothing_is_ever_collected() -> None:
    """127 stale entries stay, and no timer runs for them."""
    clock = Clock()
    fill(clock, 127)
    assert clock.table.next_deadline is None


def test_from_the_first_threshold_on_idle_entries_are_collected_after_gc_stale_time() -> None:
    """Every 15 s a look, and after 60 s without use they are gone; PERMANENT ones stay."""
    clock = Clock()
    fill(clock, 100)
    fill(clock, 50, Nud.PERMANENT)
    clock.run(59 * SECOND)
    assert len(clock.table) == 150
    clock.run(2 * SECOND)
    assert len(clock.table) == 50
    assert clock.table.next_deadline is None


def test_a_failed_entry_is_collected_at_the_next_look() -> None:
    """FAILED needs no time to become dispensable."""
    clock = Clock()
    fill(clock, 127)
    clock.send("a")
    clock.run(15 * SECOND)
    assert clock.table.get("eth0", IP) is None
    assert len(clock.table) == 127


def test_a_full_table_makes_room_by_what_is_old_or_failed() -> None:
    """From `gc_thresh2` on old entries go when a new one comes."""
    clock = Clock()
    clock.table.thresholds = Thresholds(keep=128, force=10, most=20)
    fill(clock, 12)
    clock.now = Instant(6 * SECOND)
    clock.send("a")
    assert len(clock.table) == 11


def test_a_table_full_of_fresh_neighbours_takes_no_more() -> None:
    """*neighbour: arp_cache: neighbor table overflow!* ENOBUFS for an administrator, None for a packet."""
    clock = Clock()
    clock.table.thresholds = Thresholds(keep=128, force=10, most=20)
    fill(clock, 20, Nud.REACHABLE)
    assert clock.table.create("eth0", IP, clock.now) is None
    assert clock.hear(create=True) == []
    with pytest.raises(OSError, match="No buffer space"):
        clock.table.replace("eth0", IP, MAC, Nud.STALE, clock.now)


def test_permanent_entries_do_not_count() -> None:
    """A node of a large cluster has thousands (one a node, by flannel) and still learns others."""
    clock = Clock()
    clock.table.thresholds = Thresholds(keep=128, force=10, most=20)
    fill(clock, 500, Nud.PERMANENT)
    clock.send("a")
    assert clock.state() is Nud.INCOMPLETE


# --- the state machine as a whole ---


def test_every_transition_is_taken_from_the_printable_table() -> None:
    """What is not in the table changes nothing, and nothing in it leads to or from the fixed states."""
    assert after(Nud.PERMANENT, Cause.ANSWERED) is Nud.PERMANENT
    states = {state for state, _ in TRANSITIONS} | set(TRANSITIONS.values())
    assert states == set(Nud) - FIXED
    assert all(state is not following for (state, _), following in TRANSITIONS.items())


def test_states_are_spelled_as_ip_neigh_spells_them() -> None:
    """Text comes in small or capital letters."""
    assert Nud.parse("permanent") is Nud.PERMANENT
    with pytest.raises(ValueError, match="SLEEPY"):
        Nud.parse("sleepy")


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["send", "heard", "moved", "answered", "confirm", "delete", "flush", "down"]),
        st.integers(0, 40_000),
    ),
    max_size=40,
)


@given(steps=STEPS)
def test_every_packet_is_sent_reported_or_dropped_exactly_once(steps: list[tuple[str, int]]) -> None:
    """Whatever happens, no packet is lost or doubled, and time always comes to rest."""
    clock = Clock(unres_qlen_bytes=2500)
    sent: list[str] = []
    ended: list[str] = []

    def note(actions: list[Action[str]]) -> None:
        for action in actions:
            if isinstance(action, Send | Unreachable | Discard):
                ended.extend(str(packet) for packet in action.packets)

    for step, milliseconds in steps:
        match step:
            case "send":
                sent.append(str(len(sent)))
                note(clock.send(sent[-1]))
            case "heard" | "answered":
                note(clock.hear(create=True, answered=step == "answered"))
            case "moved":
                note(clock.hear(OTHER_MAC))
            case "confirm":
                clock.table.confirm("eth0", IP, clock.now)
            case "delete" if clock.table.get("eth0", IP) is not None:
                note(clock.table.delete("eth0", IP, clock.now))
            case "flush":
                note(clock.table.flush("eth0", clock.now))
            case "down":
                note(clock.table.forget_device("eth0", keep_permanent=False))
        note([action for _, action in clock.run(milliseconds * MILLISECOND)])
        entry = clock.table.get("eth0", IP)
        assert entry is None or (entry.deadline is not None) == (entry.state in TIMED)
        assert entry is None or entry.state is Nud.INCOMPLETE or not entry.waiting
    note([action for _, action in clock.run(600 * SECOND)])
    assert sorted(ended) == sorted(sent)
    assert clock.table.next_deadline is None
