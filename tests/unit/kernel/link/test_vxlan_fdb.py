# SPDX-License-Identifier: GPL-2.0-only
"""The forwarding database of a VXLAN device, as found on Linux 6.18."""

from __future__ import annotations

import errno

import pytest

from emu.kernel.link.fdb import FdbState, FdbWrite, Learned
from emu.kernel.link.vxlan_fdb import Remote, RemoteFdb
from emu.sim.time import SECOND, START, Instant
from emu.wire.addresses import BROADCAST_MAC, ZERO_MAC, IpAddress, MacAddress

A = MacAddress.parse("02:aa:00:00:00:01")
PERMANENT, STATIC, DYNAMIC = FdbState.PERMANENT, FdbState.STATIC, FdbState.DYNAMIC


def host(number: int) -> IpAddress:
    """Return an underlay address."""
    return IpAddress(bytes((192, 168, 0, number)))


def enter(fdb: RemoteFdb, mac: MacAddress, *numbers: int, state: FdbState = PERMANENT) -> None:
    """Append remotes to an entry."""
    for number in numbers:
        fdb.write(mac, Remote(host(number)), state, START, FdbWrite.APPEND)


def hosts(fdb: RemoteFdb, mac: bytes, now: Instant = START) -> list[int]:
    """Return where a frame for `mac` goes, by last octet."""
    return [remote.dst[-1] for remote in fdb.remotes_for(mac, now)]


def test_the_first_remote_is_sent_to_last() -> None:
    """The copies go to the others in the order in which they were entered, then to it."""
    fdb = RemoteFdb()
    enter(fdb, ZERO_MAC, 2, 3, 4)
    assert hosts(fdb, BROADCAST_MAC) == [3, 4, 2]


def test_what_has_no_entry_goes_where_the_zero_address_says() -> None:
    """Unknown unicast and groups alike; without that entry, nowhere."""
    fdb = RemoteFdb()
    assert hosts(fdb, A) == []
    enter(fdb, ZERO_MAC, 2)
    assert hosts(fdb, A) == [2]
    enter(fdb, A, 3)
    assert hosts(fdb, A) == [3]
    assert hosts(fdb, BROADCAST_MAC) == [2]


def test_a_second_remote_is_for_group_and_zero_addresses_only() -> None:
    """Appended to another it changes nothing, and an equal one is not entered twice."""
    fdb = RemoteFdb()
    enter(fdb, A, 2, 3)
    enter(fdb, ZERO_MAC, 2, 3, 3)
    assert hosts(fdb, A) == [2]
    assert hosts(fdb, ZERO_MAC) == [3, 2]


def test_add_refuses_an_address_that_is_there() -> None:
    """EEXIST, for the zero address too."""
    fdb = RemoteFdb()
    for mac in (A, ZERO_MAC):
        fdb.write(mac, Remote(host(2)), PERMANENT, START, FdbWrite.ADD)
        with pytest.raises(FileExistsError):
            fdb.write(mac, Remote(host(3)), PERMANENT, START, FdbWrite.ADD)


def test_replace_is_for_unicast_addresses() -> None:
    """EOPNOTSUPP for a group's or zero, whether it is there or not."""
    fdb = RemoteFdb()
    enter(fdb, A, 2)
    fdb.write(A, Remote(host(6)), STATIC, START, FdbWrite.REPLACE)
    assert hosts(fdb, A) == [6]
    for mac in (ZERO_MAC, BROADCAST_MAC):
        with pytest.raises(OSError, match="not supported") as caught:
            fdb.write(mac, Remote(host(6)), PERMANENT, START, FdbWrite.REPLACE)
        assert caught.value.errno == errno.EOPNOTSUPP


def test_delete_takes_one_remote_or_all() -> None:
    """One that is not there is passed over; an address that is not there is ENOENT."""
    fdb = RemoteFdb()
    enter(fdb, ZERO_MAC, 2, 3, 4)
    fdb.delete(ZERO_MAC, Remote(host(3)), START)
    fdb.delete(ZERO_MAC, Remote(host(9)), START)
    assert hosts(fdb, ZERO_MAC) == [4, 2]
    fdb.delete(ZERO_MAC, None, START)
    assert fdb.entries(START) == []
    with pytest.raises(FileNotFoundError):
        fdb.delete(ZERO_MAC, None, START)
    enter(fdb, A, 2)
    fdb.delete(A, Remote(host(2)), START)
    assert fdb.entries(START) == []


def test_what_was_learned_ages_from_the_last_frame_received() -> None:
    """Frames sent to an address do not keep it."""
    fdb = RemoteFdb()
    assert fdb.learn(A, host(2), START) is Learned.NEW
    assert fdb.learn(A, host(2), Instant(100 * SECOND)) is Learned.KNOWN
    assert hosts(fdb, A, Instant(399 * SECOND)) == [2]
    assert hosts(fdb, A, Instant(400 * SECOND)) == []


def test_without_ageing_time_nothing_is_forgotten() -> None:
    """Unlike a bridge, for which 0 is the shortest time."""
    fdb = RemoteFdb(ageing_time=0)
    fdb.learn(A, host(2), START)
    assert hosts(fdb, A, Instant(10_000 * SECOND)) == [2]


def test_a_learned_address_moves_and_one_made_by_hand_does_not() -> None:
    """A frame from it by way of another remote is to be refused."""
    fdb = RemoteFdb()
    fdb.learn(A, host(2), START)
    assert fdb.learn(A, host(3), START) is Learned.MOVED
    assert hosts(fdb, A) == [3]
    fdb.write(A, Remote(host(4)), STATIC, START, FdbWrite.REPLACE)
    assert fdb.learn(A, host(3), START) is None
    assert fdb.learn(A, host(4), START) is Learned.KNOWN


def test_flush_forgets_what_was_learned() -> None:
    """What does not age stays, and so does the entry of the zero address."""
    fdb = RemoteFdb()
    enter(fdb, ZERO_MAC, 2, state=DYNAMIC)
    enter(fdb, A, 2, state=STATIC)
    fdb.learn(b"\x02\0\0\0\0\1", host(2), START)
    fdb.flush()
    assert [entry.mac for entry in fdb.entries(START)] == [ZERO_MAC, A]
