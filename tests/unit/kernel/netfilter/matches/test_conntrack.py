# SPDX-License-Identifier: GPL-2.0-only
"""Matches that ask for the connection."""

from __future__ import annotations

import pytest

from emu.kernel.netfilter.conntrack.entry import CtInfo, Direction, Status
from emu.kernel.netfilter.conntrack.tcp_table import State as TcpStateName
from emu.kernel.netfilter.conntrack.tcp_window import TcpState
from emu.kernel.netfilter.matches.connbytes import ConnBytes, Measure, Way
from emu.kernel.netfilter.matches.connlimit import ConnLimit
from emu.kernel.netfilter.matches.connmark import Connmark
from emu.kernel.netfilter.matches.conntrack import (
    Conntrack,
    CtAddress,
    CtExpire,
    CtPort,
    CtProtocol,
    CtState,
    CtStatus,
    End,
    State,
    States,
)
from emu.sim.time import SECOND
from tests.unit.kernel.netfilter.packets import CLIENT, SERVER, at, connect, datagram, node, segment

ALL_BITS = b"\xff\xff\xff\xff"


@pytest.mark.parametrize(
    ("info", "state"),
    [
        (CtInfo.NEW, CtState.NEW),
        (CtInfo.ESTABLISHED, CtState.ESTABLISHED),
        (CtInfo.ESTABLISHED_REPLY, CtState.ESTABLISHED),
        (CtInfo.RELATED, CtState.RELATED),
        (CtInfo.RELATED_REPLY, CtState.RELATED),
    ],
)
def test_a_packet_of_a_connection_is_in_one_state(info: CtInfo, state: CtState) -> None:
    """By both spellings, and in no other one."""
    packet = at(datagram())
    connect(packet, info)
    for one in (CtState.INVALID, CtState.NEW, CtState.ESTABLISHED, CtState.RELATED, CtState.UNTRACKED):
        assert State(one).holds(packet) is (one is state)
        assert States(one).holds(packet) is (one is state)
        assert State(one, inverted=True).holds(packet) is (one is not state)


def test_a_packet_without_a_connection_is_invalid_or_untracked() -> None:
    """Untracked if a rule said so."""
    packet = at(datagram())
    assert State(CtState.INVALID).holds(packet)
    assert not State(CtState.NEW | CtState.ESTABLISHED).holds(packet)
    packet.skb.ctinfo = CtInfo.UNTRACKED
    assert State(CtState.UNTRACKED).holds(packet)
    assert not State(CtState.INVALID).holds(packet)


def test_snat_and_dnat_are_states_of_connections_whose_addresses_were_changed() -> None:
    """Beside the one they are in anyway."""
    packet = at(datagram())
    connection = connect(packet)
    assert not States(CtState.DNAT).holds(packet)
    connection.status |= Status.DST_NAT
    assert States(CtState.DNAT).holds(packet)
    assert States(CtState.NEW).holds(packet)
    assert not States(CtState.SNAT).holds(packet)
    assert not States(CtState.DNAT, inverted=True).holds(packet)


def test_without_a_connection_only_the_state_is_asked() -> None:
    """Whatever else is said; where no state is asked, nothing holds, not even an inversion."""
    packet = at(datagram())
    port = CtPort(End.ORIGINAL_DESTINATION, 1, 2)
    assert Conntrack(States(CtState.INVALID), ports=(port,)).holds(packet)
    assert not Conntrack(ports=(port,)).holds(packet)
    assert not Conntrack(protocol=CtProtocol(6, inverted=True)).holds(packet)


def test_both_tuples_are_asked_for_addresses_and_ports() -> None:
    """The reply of a connection whose destination was changed comes from elsewhere."""
    packet = at(datagram())
    connection = connect(packet)
    elsewhere = bytes((10, 9, 9, 9))
    connection.reply = connection.reply._replace(src=elsewhere, sport=5353)
    assert Conntrack(
        addresses=(
            CtAddress(End.ORIGINAL_SOURCE, CLIENT, ALL_BITS),
            CtAddress(End.ORIGINAL_DESTINATION, SERVER, ALL_BITS),
            CtAddress(End.REPLY_SOURCE, elsewhere, ALL_BITS),
            CtAddress(End.REPLY_DESTINATION, bytes((10, 0, 0, 99)), b"\xff\xff\xff\0"),
        ),
        ports=(
            CtPort(End.ORIGINAL_SOURCE, 1000, 1000),
            CtPort(End.ORIGINAL_DESTINATION, 50, 60),
            CtPort(End.REPLY_SOURCE, 5353, 5353),
            CtPort(End.REPLY_DESTINATION, 1, 999, inverted=True),
        ),
        protocol=CtProtocol(17),
    ).holds(packet)
    assert not Conntrack(addresses=(CtAddress(End.REPLY_SOURCE, SERVER, ALL_BITS),)).holds(packet)
    assert not Conntrack(ports=(CtPort(End.REPLY_SOURCE, 53, 53),)).holds(packet)


def test_the_direction_is_that_of_the_packet() -> None:
    """RELATED packets have one as well."""
    packet = at(datagram())
    connect(packet, CtInfo.RELATED_REPLY)
    assert Conntrack(direction=Direction.REPLY).holds(packet)
    assert not Conntrack(direction=Direction.ORIGINAL).holds(packet)


def test_one_bit_of_the_status_is_enough_and_none_is_never_found() -> None:
    """`NONE` holds only where it is inverted."""
    packet = at(datagram())
    connect(packet).status = Status.CONFIRMED | Status.ASSURED
    assert Conntrack(status=CtStatus(Status.ASSURED | Status.EXPECTED)).holds(packet)
    assert not Conntrack(status=CtStatus(Status.EXPECTED)).holds(packet)
    assert not Conntrack(status=CtStatus(Status.NONE)).holds(packet)
    assert Conntrack(status=CtStatus(Status.NONE, inverted=True)).holds(packet)


def test_the_time_to_live_of_a_connection_counts_in_whole_seconds_once_it_is_confirmed() -> None:
    """Before that it is 0."""
    packet = at(datagram())
    connection = connect(packet)
    connection.refresh(packet.net.now, 30 * SECOND - 1)
    assert Conntrack(expire=CtExpire(0, 0)).holds(packet)
    connection.status |= Status.CONFIRMED
    assert Conntrack(expire=CtExpire(29, 29)).holds(packet)
    assert not Conntrack(expire=CtExpire(29, 29, inverted=True)).holds(packet)


def test_the_mark_of_a_connection_is_asked_under_a_mask() -> None:
    """Without a connection nothing holds."""
    packet = at(datagram())
    assert not Connmark(0).holds(packet)
    assert not Connmark(0, inverted=True).holds(packet)
    connect(packet).mark = 0x12
    assert Connmark(0x10, 0xF0).holds(packet)
    assert not Connmark(0x10).holds(packet)
    assert Connmark(0x10, inverted=True).holds(packet)


def test_what_a_connection_carried_is_counted_by_direction() -> None:
    """Packets, octets, and octets a packet."""
    packet = at(datagram())
    assert not ConnBytes(Measure.PACKETS, Way.BOTH, 0, inverted=True).holds(packet)
    connection = connect(packet)
    connection.packets[:], connection.octets[:] = (3, 1), (300, 50)
    assert ConnBytes(Measure.PACKETS, Way.BOTH, 4, 4).holds(packet)
    assert ConnBytes(Measure.OCTETS, Way.ORIGINAL, 300).holds(packet)
    assert not ConnBytes(Measure.OCTETS, Way.REPLY, 51).holds(packet)
    assert ConnBytes(Measure.AVERAGE, Way.BOTH, 87, 87).holds(packet)
    assert not ConnBytes(Measure.AVERAGE, Way.BOTH, 87, 87, inverted=True).holds(packet)


def test_connections_of_one_network_are_counted_as_long_as_they_live() -> None:
    """Closed ones no longer count, nor do those that never were confirmed."""
    net = node()
    match = ConnLimit(2)
    memories = at(segment(), net=net).memories
    connections = []
    for number in range(3):
        packet = at(segment(sport=1000 + number), net=net)
        packet.memories = memories
        connection = connect(packet, number=number)
        assert match.holds(packet) is (number > 1)
        connection.status |= Status.CONFIRMED
        connection.refresh(net.now, 100 * SECOND)
        connections.append(connection)
    again = at(segment(), net=net)
    again.memories = memories
    again.skb.connection = connections[0]
    connections[1].tracker = TcpState(TcpStateName.TIME_WAIT)
    assert not match.holds(again)
    assert ConnLimit(2, inverted=True).holds(again)
