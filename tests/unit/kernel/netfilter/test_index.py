# SPDX-License-Identifier: GPL-2.0-only
"""What becomes a run, and which of its rules are asked; `test_netfilter_index` compares whole walks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.index import SHORTEST, runs
from emu.kernel.netfilter.packet import Packet
from emu.kernel.skb import Skb
from emu.tools.iptables import restore
from emu.wire import ipv4, udp
from emu.wire.ipv4 import TCP, UDP
from tests.unit.kernel.netfilter.nat_gateway import SCTP, Gateway, ip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kernel.netfilter.index import Run
    from emu.kernel.netfilter.ruleset import Rule

SERVICE = "-d 10.96.0.{} -p tcp -m tcp --dport 80 -j ACCEPT"


def rules(*lines: str) -> Sequence[Rule]:
    """Return the rules of a chain."""
    text = ["*filter", ":X - [0:0]", *(f"-A X {line}" for line in lines), "COMMIT", ""]
    return restore.parse("\n".join(text))["filter"].table.by_name["X"].rules


def run_of(*lines: str) -> Run:
    """Return the only run of a chain."""
    (found,) = runs(rules(*lines))
    return found


def seen(run: Run, octets: bytes) -> Sequence[int]:
    """Return the rules that are asked about a packet."""
    return run.candidates(Packet(Gateway().net, Skb(octets, 1), Hook.FORWARD))


def to(number: int, *, protocol: int = TCP, length: int = 40, fragment: int = 0) -> bytes:
    """Return a packet for 10.96.0.NUMBER, port 80, with so many octets of payload."""
    body = udp.build(ip("10.1.0.2"), ip("10.96.0.1"), 1000, 80, bytes(40))[:length]
    return ipv4.build(protocol, ip("10.1.0.2"), ip(f"10.96.0.{number}"), body, fragment=fragment)


def test_services_are_one_run() -> None:
    """It asks destination, port and protocol, and gives the rule of the service alone."""
    run = run_of(*(SERVICE.format(number) for number in range(20)))
    assert (run.start, run.end) == (0, 20)
    assert run.fields == ("dport", "dst", "protocol")
    assert seen(run, to(7)) == (7,)
    assert seen(run, to(77)) == ()


def test_rules_with_the_same_values_keep_their_order() -> None:
    """The first that holds is the first in the chain."""
    run = run_of(*(SERVICE.format(number % 4) for number in range(12)))
    assert seen(run, to(2)) == (2, 6, 10)


def test_short_runs_are_walked() -> None:
    """A look-up costs as much."""
    lines = [SERVICE.format(number) for number in range(SHORTEST)]
    assert len(runs(rules(*lines))) == 1
    assert runs(rules(*lines[1:])) == []


def test_a_rule_that_asks_something_else_ends_a_run() -> None:
    """Before and behind it are two runs."""
    lines = [SERVICE.format(number) for number in range(10)]
    found = runs(rules(*lines, "-s 10.0.0.1 -j ACCEPT", *lines))
    assert [(run.start, run.end) for run in found] == [(0, 10), (11, 21)]


@pytest.mark.parametrize("length", range(20))
def test_a_header_that_is_cut_short_meets_every_rule(length: int) -> None:
    """One of them drops it, though its port is asked by none."""
    run = run_of(*(SERVICE.format(number) for number in range(10)))
    assert list(seen(run, to(7, length=length))) == list(range(10))


def test_a_later_fragment_meets_every_rule() -> None:
    """It has no ports, and a match of ports may drop it."""
    run = run_of(*(SERVICE.format(number) for number in range(10)))
    assert list(seen(run, to(7, fragment=1))) == list(range(10))


@pytest.mark.parametrize("protocol", [UDP, SCTP, 47])
def test_other_protocols_meet_none(protocol: int) -> None:
    """Nothing in a run of TCP holds for them, or drops them."""
    run = run_of(*(SERVICE.format(number) for number in range(10)))
    assert seen(run, to(7, protocol=protocol)) == ()


@pytest.mark.parametrize(
    "what",
    [
        "-m statistic --mode nth --every 2 --packet 0 -d 10.96.0.1",
        "-m limit --limit 1/s -p tcp",
        "! -d 10.96.0.1",
        "-d 10.96.0.0/16",
        "-i eth+",
        "-f",
    ],
)
def test_what_is_no_equality_makes_no_run(what: str) -> None:
    """Or only one of what else is asked: addresses stand before all matches with `-m`."""
    fields = [run.fields for run in runs(rules(*[f"{what} -j ACCEPT"] * 10))]
    assert fields in ([], [("dst",)], [("protocol",)])


def test_what_stands_behind_an_option_of_tcp_is_not_looked_up() -> None:
    """A malformed segment is dropped for its options before the second match asks its port."""
    run = run_of(*["-p tcp -m tcp --tcp-option 5 -m tcp --dport 80 -j ACCEPT"] * 10)
    assert run.fields == ("protocol",)
