# SPDX-License-Identifier: GPL-2.0-only
"""The bridge's forwarding database, as found on Linux 6.18."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from emu.kernel.link.fdb import Fdb, FdbState, FdbWrite, Learned
from emu.sim.time import SECOND, START, Instant
from emu.wire.addresses import ZERO_MAC, MacAddress

if TYPE_CHECKING:
    from emu.kernel.link.bridge import Port

A = MacAddress.parse("0a:00:00:00:00:01")
B = MacAddress.parse("0a:00:00:00:00:02")
PERMANENT, STATIC, DYNAMIC = FdbState.PERMANENT, FdbState.STATIC, FdbState.DYNAMIC


@pytest.fixture
def p1(ports: dict[str, Port]) -> Port:
    """Return a port."""
    return ports["v1"]


@pytest.fixture
def p2(ports: dict[str, Port]) -> Port:
    """Return another port."""
    return ports["v2"]


def seconds(number: float) -> Instant:
    """Return the instant `number` seconds after the start."""
    return Instant(round(number * SECOND))


def port_of(fdb: Fdb, mac: bytes, now: Instant = START) -> Port | None:
    """Return the port of an address that has an entry."""
    entry = fdb.lookup(mac, now)
    assert entry is not None
    return entry.port


def test_a_learned_address_is_known_for_the_ageing_time(p1: Port) -> None:
    """After 300 s without a frame from it the address is gone."""
    fdb = Fdb()
    assert fdb.learn(A, p1, START) is Learned.NEW
    assert port_of(fdb, A, seconds(299.999)) is p1
    assert fdb.lookup(A, seconds(300)) is None
    assert fdb.entries(seconds(300)) == []


def test_each_frame_makes_an_address_young_again(p1: Port) -> None:
    """The age counts from the last frame, not the first."""
    fdb = Fdb()
    fdb.learn(A, p1, START)
    assert fdb.learn(A, p1, seconds(200)) is Learned.KNOWN
    assert port_of(fdb, A, seconds(499)) is p1


def test_an_address_moves_at_once(p1: Port, p2: Port) -> None:
    """The last port it was heard on is the one it is behind."""
    fdb = Fdb()
    fdb.learn(A, p1, START)
    assert fdb.learn(A, p2, START) is Learned.MOVED
    assert port_of(fdb, A) is p2


def test_without_ageing_time_nothing_is_learned(p1: Port) -> None:
    """`ageing 0` makes a hub of the bridge."""
    fdb = Fdb(ageing_time=0)
    fdb.learn(A, p1, START)
    assert fdb.entries(START) == []


def test_the_addresses_of_this_host_are_never_learned_elsewhere(p1: Port, p2: Port) -> None:
    """A frame that claims to come from a port's own address teaches nothing."""
    fdb = Fdb()
    fdb.add_local(A, p1)
    assert fdb.learn(A, p2, START) is Learned.OURS
    assert port_of(fdb, A) is p1


def test_a_static_entry_does_not_age_but_moves(p1: Port, p2: Port) -> None:
    """Without `sticky`, an entry made by hand follows the address."""
    fdb = Fdb()
    fdb.write(A, p1, STATIC, START, FdbWrite.ADD)
    assert port_of(fdb, A, seconds(10_000)) is p1
    fdb.learn(A, p2, seconds(10_000))
    entry = fdb.lookup(A, seconds(20_000))
    assert entry is not None
    assert (entry.port, entry.state) == (p2, STATIC)


def test_a_dynamic_entry_made_by_hand_ages(p1: Port) -> None:
    """`bridge fdb add ... dynamic` is like one that was learned."""
    fdb = Fdb()
    fdb.write(A, p1, DYNAMIC, START, FdbWrite.ADD)
    assert fdb.lookup(A, seconds(300)) is None


def test_a_local_address_replaces_what_was_learned(p1: Port, p2: Port) -> None:
    """A port that joins with an address heard before owns it from then on."""
    fdb = Fdb()
    fdb.learn(A, p2, START)
    fdb.add_local(A, p1)
    entry = fdb.lookup(A, START)
    assert entry is not None
    assert (entry.port, entry.is_local) == (p1, True)


def test_of_ports_with_one_address_the_first_owns_it(p1: Port, p2: Port) -> None:
    """The entry passes to the other when the first one goes."""
    fdb = Fdb()
    fdb.add_local(A, p1)
    fdb.add_local(A, p2)
    assert port_of(fdb, A) is p1
    fdb.remove_local(A, p1, [(A, p2), (B, None)])
    assert port_of(fdb, A) is p2
    fdb.remove_local(A, p2, [(B, None)])
    assert fdb.lookup(A, START) is None


def test_a_local_entry_made_by_hand_stays_when_the_address_changes(p1: Port) -> None:
    """Only what the bridge found out by itself goes by itself."""
    fdb = Fdb()
    fdb.write(A, p1, PERMANENT, START, FdbWrite.ADD)
    fdb.remove_local(A, p1, [])
    assert port_of(fdb, A) is p1


def test_add_refuses_what_is_there_and_the_others_change_it(p1: Port, p2: Port) -> None:
    """EEXIST for `add`; `append` and `replace` move the entry and set its state."""
    fdb = Fdb()
    fdb.write(A, p1, DYNAMIC, START, FdbWrite.ADD)
    with pytest.raises(FileExistsError):
        fdb.write(A, p2, DYNAMIC, START, FdbWrite.ADD)
    fdb.write(A, p2, DYNAMIC, seconds(10), FdbWrite.APPEND)
    assert port_of(fdb, A, seconds(309)) is p2
    fdb.write(A, p2, STATIC, seconds(10), FdbWrite.REPLACE)
    assert port_of(fdb, A, seconds(10_000)) is p2


@pytest.mark.parametrize(
    ("address", "state"),
    [(ZERO_MAC, PERMANENT), (A, STATIC), (A, DYNAMIC)],
    ids=["zero", "static", "dynamic"],
)
def test_the_bridge_itself_takes_permanent_entries_only(address: MacAddress, state: FdbState) -> None:
    """EINVAL for other states, and for the zero address in any case."""
    with pytest.raises(OSError, match="Invalid argument") as caught:
        Fdb().write(address, None, state, START, FdbWrite.ADD)
    assert caught.value.errno == errno.EINVAL


def test_delete_needs_the_right_port(p1: Port, p2: Port) -> None:
    """ENOENT for an address that is unknown or behind another port."""
    fdb = Fdb()
    fdb.learn(A, p1, START)
    for address, port in ((A, p2), (B, p1)):
        with pytest.raises(FileNotFoundError):
            fdb.delete(address, port, START)
    fdb.delete(A, p1, START)
    assert fdb.entries(START) == []


def test_flush_forgets_what_was_learned_behind_one_port(p1: Port, p2: Port) -> None:
    """Permanent and static entries stay, and so does what is behind other ports."""
    fdb = Fdb()
    fdb.add_local(b"\x02\0\0\0\0\1", p1)
    fdb.write(A, p1, STATIC, START, FdbWrite.ADD)
    fdb.learn(B, p1, START)
    fdb.learn(b"\x0a\0\0\0\0\3", p2, START)
    fdb.flush(p1)
    assert [entry.mac[-1] for entry in fdb.entries(START)] == [1, 1, 3]


def test_forget_takes_all_that_is_behind_a_port_that_leaves(p1: Port, p2: Port) -> None:
    """Whatever made the entries; an address that another port has too passes to it."""
    fdb = Fdb()
    fdb.add_local(A, p1)
    fdb.write(B, p1, PERMANENT, START, FdbWrite.ADD)
    fdb.learn(b"\x0a\0\0\0\0\3", p1, START)
    fdb.forget(p1, [(A, p2)])
    assert [(entry.mac, entry.port) for entry in fdb.entries(START)] == [(A, p2)]
