# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of `conntrack`, judged by what the real tool said to them."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.errors import CommandError
from emu.kernel.netfilter.conntrack.table import EventKind
from emu.sim.time import START
from emu.tools.conntrack import reading
from emu.tools.conntrack.request import parse
from tests.unit.tools.conntrack.cases import FILTERS, REFUSALS, lines

_TABLE: Final = [
    entry.connection(number, START) for number, entry in enumerate(reading.parse("\n".join(lines("table"))))
]


@pytest.mark.parametrize(("arguments", "message"), REFUSALS, ids=[arguments for arguments, _ in REFUSALS])
def test_what_the_tool_refuses_is_refused_in_its_words(arguments: str, message: str) -> None:
    """Message, advice and status are the tool's."""
    with pytest.raises(CommandError) as caught:
        parse(arguments.split())
    program = "conntrack v1.4.7 (conntrack-tools)"
    advice = "Try `conntrack -h' or 'conntrack --help' for more information."
    assert str(caught.value) == f"{program}: {message}\n{advice}"
    assert caught.value.status == 2


@pytest.mark.parametrize("arguments", ["-I -p tcp", "-A", "-R file", "-L -o xml", "-L -l web", "-L -c 1"])
def test_what_is_not_modelled_is_refused_by_name(arguments: str) -> None:
    """It is never passed over."""
    with pytest.raises(CommandError, match="is not modelled"):
        parse(arguments.split())


@pytest.mark.parametrize(("arguments", "meant"), FILTERS)
def test_a_filter_means_what_the_tool_means(arguments: str, meant: list[int]) -> None:
    """All that is asked has to hold."""
    asked = parse(arguments.split())
    table = _TABLE if asked.table == "conntrack" else []
    assert [connection.number for connection in table if asked.filter.has(connection)] == meant


def test_events_can_be_chosen() -> None:
    """`-e` takes a list; without it all are meant."""
    assert parse(["-E"]).events == set(EventKind)
    assert parse(["-E", "-e", "NEW,DESTROY"]).events == {EventKind.NEW, EventKind.DESTROY}


def test_a_mark_to_be_set_does_not_choose() -> None:
    """`-U -m` sets the mark, under its mask, of what the other options choose."""
    asked = parse(["-U", "-p", "udp", "-m", "0x10/0xf0"])
    assert [connection.number for connection in _TABLE if asked.filter.has(connection)] == [2, 5]
    assert asked.mark is not None
    assert asked.mark.laid_on(0x105) == 0x115


_WORDS: Final = ("-L", "-D", "-p", "tcp", "-s", "1.1.1.1", "--state", "-u", "-m", "1/", "-o", "id", "-n", "-")


@given(st.lists(st.sampled_from(_WORDS)))
def test_any_words_are_understood_or_refused(words: list[str]) -> None:
    """Nothing but `CommandError` comes out of them."""
    with suppress(CommandError):
        assert parse(words).command
