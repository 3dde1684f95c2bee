# SPDX-License-Identifier: GPL-2.0-only
"""What the unit tests hold true of `conntrack`, asked of the real tool."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from tests.kernel.linux import namespace
from tests.unit.tools.conntrack.cases import FILTERS, REFUSALS, lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ENTRIES: Final = (
    "-s1.2.3.4 -d5.6.7.8 -psctp --sport 10 --dport 20 --state ESTABLISHED -t99 --orig-vtag 1 --reply-vtag 2",
    "-s 1.2.3.4 -d 5.6.7.8 -p tcp --sport 10 --dport 20 --state ESTABLISHED -t 100 -u SEEN_REPLY,ASSURED",
    "-s 1.2.3.4 -d 5.6.7.8 -p udp --sport 10 --dport 20 -t 100 -m 5",
    "-s 1.2.3.4 -d 5.6.7.8 -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 77 -t 30",
    "-s 1.2.3.4 -d 5.6.7.8 -p ipip -t 100",
    "-s 1.2.3.9 -d 5.6.7.8 -p udp --sport 10 --dport 20 -t 100 --dst-nat 9.9.9.9:53",
    "-s 1.2.3.10 -d 5.6.7.8 -p tcp --sport 10 --dport 20 --state SYN_SENT -t 100 --orig-zone 3",
    "-s 1.2.3.11 -d 5.6.7.8 -p tcp --sport 10 --dport 20 --state SYN_SENT -t 100 --reply-zone 3",
    "-s 1.2.3.4 -d 5.6.7.8 -p dccp --sport 10 --dport 20 --state OPEN --role client -t 100",
    "-s 1.2.3.4 -d 5.6.7.8 -p gre --srckey 1 --dstkey 2 -t 100",
    "-s 1.2.3.4 -d 5.6.7.8 -p udplite --sport 10 --dport 20 -t 100 -w 7",
    "-s 1.2.3.4 -d 5.6.7.8 -p 50 -t 100",
)
"""How the lines of the sample `table` were entered."""
_NUMBERED: Final = ("-D -i 4",)  # real numbers are hashes


@pytest.fixture(scope="module")
def ask() -> Iterator[Callable[[str], subprocess.CompletedProcess[str]]]:
    """Return what runs the real tool in a namespace that has the table of the sample."""
    with namespace() as name:

        def run(arguments: str) -> subprocess.CompletedProcess[str]:
            command = ["ip", "netns", "exec", name, "conntrack", *arguments.split()]
            return subprocess.run(command, capture_output=True, text=True, check=False)

        for entry in _ENTRIES:
            assert run(f"-I {entry}").returncode == 0
        yield run


def _without_time(listed: list[str]) -> list[str]:
    return sorted(re.sub(r"^(\S+ +\d+) \d+", r"\1", line) for line in listed)


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("arguments", "meant"), [each for each in FILTERS if each[0] not in _NUMBERED], ids=str
)
def test_filters_mean_the_same_to_the_tool(
    ask: Callable[[str], subprocess.CompletedProcess[str]], arguments: str, meant: list[int]
) -> None:
    """The real tool lists the same lines of the same table, written in the same way."""
    listed = ask(arguments).stdout.splitlines()
    assert _without_time(listed) == _without_time([lines("table")[number] for number in meant])


@pytest.mark.kernel
@pytest.mark.parametrize(("arguments", "message"), REFUSALS, ids=[arguments for arguments, _ in REFUSALS])
def test_the_tool_refuses_the_same_with_the_same_words(
    ask: Callable[[str], subprocess.CompletedProcess[str]], arguments: str, message: str
) -> None:
    """Message and status."""
    done = ask(arguments)
    assert done.stderr.splitlines()[0] == f"conntrack v1.4.7 (conntrack-tools): {message}"
    assert done.returncode == 2
