# SPDX-License-Identifier: GPL-2.0-only
"""The canonical form of connections is that of its definition, given what `conntrack` prints."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.netfilter.conntrack.entry import Connection
from emu.kernel.netfilter.conntrack.sctp import SctpState
from emu.kernel.netfilter.conntrack.sctp_table import State as SctpStates
from emu.kernel.netfilter.conntrack.tcp_table import State
from emu.kernel.netfilter.conntrack.tcp_window import TcpState
from emu.kernel.netfilter.conntrack.tuples import Tuple
from emu.observe.canonical.connections import connections
from emu.sim.time import SECOND, Instant
from emu.tools.conntrack import text

_normalize: Final = import_module("tests.golden.normalize").normalize_conntrack
_NOW: Final = Instant(1000 * SECOND)
_A, _B, _C = (bytes((10, 0, number, 2)) for number in (1, 2, 3))
_ports = st.sampled_from((0, 53, 80, 4789, 8472, 40000, 65535))
"""Ports of all kinds: those of tunnels too."""


@st.composite
def tracked(draw: st.DrawFn) -> Connection:
    """Any connection of any protocol, translated or not."""
    protocol = draw(st.sampled_from((1, 2, 6, 17, 47, 50, 132, 136)))
    if protocol == 1:
        original = Tuple(_A, _B, 1, draw(_ports), draw(st.sampled_from((8, 13, 15, 17))) << 8)
    elif protocol in {6, 17, 132, 136}:
        original = Tuple(_A, _B, protocol, draw(_ports), draw(_ports))
    else:
        original = Tuple(_A, _B, protocol)
    reply = original.invert()
    if draw(st.booleans()):
        reply = reply._replace(src=_C, sport=draw(_ports) if reply.sport else 0)
    zone = draw(st.sampled_from((0, 0, 7)))
    connection = Connection(1, original, reply, zones=(zone, zone))
    connection.status = draw(st.integers(0, 4095))
    connection.mark = draw(st.integers(0, 2**32 - 1))
    connection.expires = Instant(_NOW + draw(st.integers(1, 500_000 * SECOND)))
    if protocol == 6:
        connection.tracker = TcpState(draw(st.sampled_from(State)))
    if protocol == 132:
        connection.tracker = SctpState()
        connection.tracker.state = draw(st.sampled_from(SctpStates))
    return connection


@pytest.mark.parametrize("random_ports", [False, True])
@given(entries=st.lists(tracked(), max_size=4))
def test_the_rows_are_those_of_the_definition(entries: list[Connection], random_ports: bool) -> None:  # noqa: FBT001
    """Whatever is tracked, the definition makes the same rows of the text of `conntrack -L -o extended`."""
    printed = text.listing(entries, _NOW, text.Form(extended=True))
    wanted: list[dict[str, Any]] = _normalize(printed, random_ports, (80, 53))
    assert connections(entries, _NOW, known_ports=(80, 53) if random_ports else None) == wanted


def test_the_time_left_becomes_the_time_it_was_counted_from() -> None:
    """A UDP flow with 100 s to go began with 120, one with 20 with 30."""
    rows = []
    for left in (100, 20):
        connection = Connection(1, Tuple(_A, _B, 17, 1, 2), Tuple(_B, _A, 17, 2, 1))
        connection.expires = Instant(_NOW + left * SECOND)
        rows += connections([connection], _NOW)
    assert [row["timeout"] for row in rows] == [120, 30]
