# SPDX-License-Identifier: GPL-2.0-only
"""Whatever happens in whatever order, neighbours move as the printed table says and lose no packet."""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.kernel.neigh import NeighbourTable
from emu.kernel.neighbour import Discard, Neighbour, Send, Unreachable
from emu.kernel.nud import CONNECTED, FIXED, TIMED, TRANSITIONS, VALID, Cause, Nud
from emu.sim.time import MILLISECOND, SECOND, START, Instant, later
from emu.testing.doings import actions
from emu.testing.lab import Lab
from emu.testing.networks import networks
from emu.wire.addresses import IpAddress, MacAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.neighbour import Action

Move = tuple[Nud, Nud]
SENDING: Final = frozenset((Cause.PACKET, Cause.UNASKABLE))
TIME: Final = frozenset(Cause) - SENDING - {Cause.ANSWERED, Cause.HEARD}
ADDRESSES: Final = [IpAddress(bytes((10, 0, 0, host))) for host in (1, 2, 3)]
STATIONS: Final = [MacAddress(bytes((2, 0, 0, 0, 0, host))) for host in (1, 2)]
SETTLED: Final = 3600 * SECOND  # after which nothing more happens by itself
PARAMETERS: Final = {
    "app_solicit": 0,
    "base_reachable_time_ms": 30_000,
    "delay_first_probe_time": 5,
    "gc_stale_time": 60,
    "locktime": 100,
    "mcast_resolicit": 0,
    "retrans_time_ms": 1000,
    "ucast_solicit": 3,
    "unres_qlen_bytes": 2000,
}


class Doing(NamedTuple):
    """Something happens to the entry of `ip`, `pause` ns after what was before."""

    what: str
    ip: IpAddress
    mac: MacAddress
    pause: int
    answered: bool
    state: Nud


def doings() -> st.SearchStrategy[list[Doing]]:
    """Draw packets, answers, administration, and pauses around the times that count."""
    seconds = st.sampled_from((0, 0, 1, 5, 20, 46)).map(lambda count: count * SECOND)
    doing = st.builds(
        Doing,
        st.sampled_from(("send", "send", "hear", "hear", "probe", "confirm", "replace", "delete", "flush")),
        st.sampled_from(ADDRESSES),
        st.sampled_from(STATIONS),
        seconds | st.integers(0, 6000).map(lambda count: count * MILLISECOND),
        st.booleans(),
        st.sampled_from([state for state in Nud if state is not Nud.NONE]),
    )
    return st.lists(doing, min_size=10, max_size=60)


@contextmanager
def watched() -> Iterator[list[Move]]:
    """Take down every change of state while the block runs."""
    moves: list[Move] = []
    enter = Neighbour.enter

    def watch(entry: Neighbour[object], state: Nud, mac: MacAddress) -> None:
        moves.append((entry.state, state))
        enter(entry, state, mac)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Neighbour, "enter", watch)
        yield moves


def allowed(causes: frozenset[Cause]) -> set[Move]:
    """Return the moves that the table has for `causes`; to stay is always allowed."""
    moves = {(state, state) for state in Nud}
    return moves | {(state, then) for (state, cause), then in TRANSITIONS.items() if cause in causes}


@attrs.define
class Run:
    """A table, its clock, and where each packet is."""

    table: NeighbourTable[int]
    now: Instant = START
    sent: int = 0
    ended: list[int] = attrs.field(factory=list)

    def take(self, actions: list[Action[int]]) -> None:
        """Note the packets that leave the table."""
        for action in actions:
            if isinstance(action, Send):
                entry = action.neighbour
                entry.remember(entry.mac + b"and the rest")  # as `emu.kernel.arp` does
            if isinstance(action, Send | Unreachable | Discard):
                self.ended += [packet for packet in action.packets if isinstance(packet, int)]

    def pass_time(self, until: Instant) -> None:
        """Let the timers run out that are due by `until`."""
        while (due := self.table.next_deadline) is not None and due <= until:
            self.now = due
            self.take(self.table.timeout(due))
        self.now = until

    def do(self, doing: Doing) -> None:
        """Let something happen now."""
        table, entry = self.table, self.table.get("eth0", doing.ip)
        match doing.what:
            case "send":
                self.sent += 1
                entry = entry or table.create("eth0", doing.ip, self.now)
                assert entry is not None
                self.take(table.send(entry, self.sent, 768, self.now))
            case "probe" if entry is not None:
                self.take(table.probe(entry, self.now))
            case "confirm":
                table.confirm("eth0", doing.ip, self.now)
            case "hear":
                self.take(
                    table.learn(
                        "eth0",
                        doing.ip,
                        doing.mac,
                        self.now,
                        answered=doing.answered,
                        override=doing.mac == STATIONS[0],
                        create=True,
                    )
                )

    def administer(self, doing: Doing) -> None:
        """Do as `ip neigh` does."""
        match doing.what:
            case "replace":
                self.take(self.table.replace("eth0", doing.ip, doing.mac, doing.state, self.now))
            case "delete" if self.table.get("eth0", doing.ip) is not None:
                self.take(self.table.delete("eth0", doing.ip, self.now))
            case "flush":
                self.take(self.table.flush("eth0", self.now))

    def fixed(self) -> dict[IpAddress, tuple[Nud, MacAddress]]:
        """Return state and address of the entries that only an administrator changes."""
        return {entry.ip: (entry.state, entry.mac) for entry in self.table if entry.state in FIXED}

    def waiting(self) -> list[int]:
        """Return the packets that wait in the table."""
        return [packet for entry in self.table for packet, _ in entry.waiting]


def check(run: Run) -> None:
    """Assert what holds of every entry at any time."""
    for entry in run.table:
        assert not entry.waiting or entry.state is Nud.INCOMPLETE
        assert not entry.header or (entry.state in CONNECTED and entry.header.startswith(entry.mac))
        assert entry.is_valid is (entry.state in VALID)
        if entry.state in TIMED and entry.state is not Nud.INCOMPLETE:
            assert entry.deadline is not None
        elif entry.state not in TIMED:
            assert entry.deadline is None
        due = run.table.next_deadline
        assert entry.deadline is None or (due is not None and due <= entry.deadline)
    assert sorted(run.ended + run.waiting()) == list(range(1, run.sent + 1))


def causes(doing: Doing) -> frozenset[Cause]:
    """Return what may make entries move when `doing` happens; an answer lets packets go at once."""
    if doing.what != "hear":
        return SENDING
    return SENDING | {Cause.ANSWERED if doing.answered else Cause.HEARD}


@given(doings(), st.sampled_from((3, 1, 0)))
def test_entries_move_as_the_table_says_and_lose_no_packet(sequence: list[Doing], requests: int) -> None:
    """Packets, answers and time each cause what TRANSITIONS has for them; each packet ends exactly once."""
    parameters = PARAMETERS | {"mcast_solicit": requests}
    run = Run(NeighbourTable(lambda _: parameters, random.Random(1).randrange))
    with watched() as moves:
        for doing in sequence:
            run.pass_time(later(run.now, doing.pause))
            assert set(moves) <= allowed(TIME)
            moves.clear()
            fixed = run.fixed()
            run.do(doing)
            assert set(moves) <= allowed(causes(doing))
            assert run.fixed() == fixed
            run.administer(doing)
            moves.clear()
            check(run)
        run.pass_time(later(run.now, SETTLED))
        assert set(moves) <= allowed(TIME)
        check(run)
    assert all(entry.deadline is None for entry in run.table)


@settings(max_examples=max(settings().max_examples // 8, 5))
@given(st.data())
def test_neighbours_on_any_network_move_as_the_table_says(data: st.DataObject) -> None:
    """ARP of all kinds, right and wrong, asked and unasked, from real stations and from none."""
    document = data.draw(networks(fewest=3), "network")
    steps = data.draw(actions(document, fewest=2), "actions")
    with watched() as moves:
        lab = Lab(document)
        for step in steps:
            process = lab.begin(step.action)
            if not step.background:
                lab.finish(process)
        lab.rest()
    assert set(moves) <= allowed(frozenset(Cause))
