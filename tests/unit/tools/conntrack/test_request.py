# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of `conntrack`, judged by what the real tool said to them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.errors import CommandError
from emu.kernel.netfilter.conntrack.table import EventKind
from emu.sim.time import START
from emu.tools.conntrack import reading
from emu.tools.conntrack.request import parse

_SAMPLES: Final = Path(__file__).parent / "samples"
_REFUSALS: Final = [
    line for line in (_SAMPLES / "refusals.txt").read_text(encoding="utf-8").splitlines() if line[0] != "#"
]
_TABLE: Final = [
    entry.connection(number, START)
    for number, entry in enumerate(
        reading.parse(
            "\n".join(
                line
                for line in (_SAMPLES / "table.txt").read_text(encoding="utf-8").splitlines()
                if line[0] != "#"
            )
        )
    )
]
"""sctp, tcp, udp, icmp, 94, udp translated, tcp in a zone, tcp likewise, dccp, gre, udplite in zone 7, 50."""


@pytest.mark.parametrize(
    ("arguments", "message"), list(zip(_REFUSALS[::2], _REFUSALS[1::2], strict=True)), ids=_REFUSALS[::2]
)
def test_what_the_tool_refuses_is_refused_in_its_words(arguments: str, message: str) -> None:
    """Message, advice and status are the tool's."""
    with pytest.raises(CommandError) as caught:
        parse(arguments.split())
    program = "conntrack v1.4.7 (conntrack-tools)"
    advice = "Try `conntrack -h' or 'conntrack --help' for more information."
    assert str(caught.value) == f"{program}: {message.strip()}\n{advice}"
    assert caught.value.status == 2


@pytest.mark.parametrize("arguments", ["-I -p tcp", "-A", "-R file", "-L -o xml", "-L -l web", "-L -c 1"])
def test_what_is_not_modelled_is_refused_by_name(arguments: str) -> None:
    """It is never passed over."""
    with pytest.raises(CommandError, match="is not modelled"):
        parse(arguments.split())


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ("-L", list(range(12))),
        ("-L -p tcp", [1, 6, 7]),
        ("-Lptcp", [1, 6, 7]),
        ("-L --protonum=tcp", [1, 6, 7]),
        ("-L --prot tcp", [1, 6, 7]),
        ("-p tcp --dump", [1, 6, 7]),
        ("-L -p 17", [2, 5]),
        ("-L -s 1.2.3.4 -p tcp", [1]),
        ("-L -s 1.2.3.8/29", [5, 6, 7]),
        ("-L -s 1.2.3.8 --mask-src 255.255.255.248", [5, 6, 7]),
        ("-L --orig-src 1.2.3.9", [5]),
        ("-L --src 1.2.3.9", [5]),
        ("-L -d 5.6.7.8 -p udp", [2, 5]),
        ("-L -r 9.9.9.9", [5]),
        ("-L -q 1.2.3.10", [6]),
        ("-L -p udp --sport 10", [2, 5]),
        ("-L -p udp --orig-port-dst 21", []),
        ("-L -p udp --reply-port-src 53", [5]),
        ("-L -p udp --reply-port-dst 10", [2, 5]),
        ("-L -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 77", [3]),
        ("-L -p icmp --icmp-type 0", []),
        ("-L -p gre --srckey 0x1", [9]),
        ("-L -p tcp --state ESTABLISHED", [1]),
        ("-L -p tcp --state syn_sent", [6, 7]),
        ("-L -p sctp --state ESTABLISHED", [0]),
        ("-L -u ASSURED", [1]),
        ("-L -u assured,seen_reply", [1]),
        ("-L -u UNREPLIED -p tcp", [6, 7]),
        ("-L -u UNSET -p icmp", [3]),
        ("-L -m 5", [2]),
        ("-L -m 0x1/0x3", [2]),
        ("-L -m 5/0x0", []),
        ("-L -w 7", [10]),
        ("-L --orig-zone 3", [6]),
        ("-L --reply-zone 3", [7]),
        ("-L -n", []),
        ("-L -g", [5]),
        ("-L -g 9.9.9.9", [5]),
        ("-L --dst-nat 9.9.9.8", []),
        ("-L -j", [5]),
        ("-L -f ipv4 -p tcp", [1, 6, 7]),
        ("-L -f ipv6", []),
        ("-L -s ::1", []),
        ("-D -i 4", [4]),
    ],
)
def test_a_filter_means_what_the_tool_means(arguments: str, meant: list[int]) -> None:
    """All that is asked has to hold."""
    asked = parse(arguments.split())
    assert [connection.number for connection in _TABLE if asked.filter.has(connection)] == meant


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
