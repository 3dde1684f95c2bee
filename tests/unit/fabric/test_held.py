# SPDX-License-Identifier: GPL-2.0-only
"""Trials: what is tried in a fabric leaves no trace, whatever it touched."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

import pytest

from emu.apps import datagram, stream
from emu.apps.ping import ping
from emu.fabric import program
from emu.fabric.held import Held, OnceOnlyError
from emu.kernel.sockets import SocketKind
from emu.sim.choice import DrawnChoice
from emu.sim.time import SECOND, later
from emu.testing.lab import Lab, two_hosts
from emu.testing.whole_state import whole_state
from emu.wire.addresses import ANY_IP4, IpAddress

if TYPE_CHECKING:
    from collections.abc import Callable

B = IpAddress.parse("10.0.0.2")
SERVED = 80


def a_lab() -> Lab:
    """Return two hosts; on one somebody listens, for TCP and UDP."""
    lab = two_hosts()
    net = lab.fabric.namespace("b")
    lab.fabric.spawn(net, stream.serve(SERVED, b"yes", gap=0))
    lab.fabric.spawn(net, datagram.serve(SERVED))
    return lab


def draw() -> DrawnChoice:
    """Return a choice that draws the same each time."""
    return DrawnChoice(random.Random(1))


def try_(lab: Lab, what: program.Program[object]) -> object:
    """Let a program run on host `a` for a while, in a trial, and return what it returns."""
    with Held(lab.fabric).trial(draw()):
        process = lab.fabric.spawn(lab.fabric.namespace("a"), what)
        lab.fabric.loop.run_until(later(lab.fabric.loop.now, 20 * SECOND))
        return process.result


QUESTIONS: dict[str, Callable[[], program.Program[object]]] = {
    "tcp": partial(stream.request, B, SERVED, b"hello"),
    "udp": partial(datagram.request, B, SERVED, b"hello"),
    "ping": partial(ping, B),
    "a closed port": partial(stream.request, B, 81, b""),
    "a stranger": partial(ping, IpAddress.parse("10.0.0.99")),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_trial_leaves_everything_as_it_was(name: str) -> None:
    """Sockets, neighbours, counters, random numbers, timers, servers: each value in the fabric."""
    lab = a_lab()
    before = whole_state(lab.fabric)
    held = Held(lab.fabric)
    outcomes = []
    for _ in range(3):
        with held.trial(draw()):
            process = lab.fabric.spawn(lab.fabric.namespace("a"), QUESTIONS[name]())
            lab.fabric.loop.run_until(later(lab.fabric.loop.now, 20 * SECOND))
            outcomes.append(str(process.result))
        assert whole_state(lab.fabric) == before
    assert len(set(outcomes)) == 1


def test_what_was_scheduled_waits_meanwhile() -> None:
    """A sleeping program neither wakes in a trial nor is late after it."""
    lab = a_lab()
    seen: list[int] = []

    def sleeper() -> program.Program[None]:
        yield from program.sleep(SECOND)
        seen.append((yield from program.now()))

    start = lab.fabric.loop.now
    lab.fabric.spawn(lab.fabric.namespace("a"), sleeper())
    with Held(lab.fabric).trial(draw()):
        lab.fabric.loop.run_until(later(start, 10 * SECOND))
        assert not seen
    assert lab.fabric.loop.now == start
    lab.fabric.loop.run_until(later(start, 2 * SECOND))
    assert seen == [start + SECOND]


def test_a_program_that_answers_once_is_not_woken() -> None:
    """It could not be made what it was; the trial ends, and nothing has changed."""
    lab = two_hosts()

    def once() -> program.Program[None]:
        listener = yield from program.socket(SocketKind.TCP)
        yield from program.bind(listener, ANY_IP4, SERVED)
        yield from program.listen(listener)
        yield from program.accept(listener)

    lab.fabric.spawn(lab.fabric.namespace("b"), once())
    before = whole_state(lab.fabric)
    with pytest.raises(OnceOnlyError, match="in b"):
        try_(lab, stream.request(B, SERVED, b""))
    assert whole_state(lab.fabric) == before


def test_a_trial_that_fails_is_undone_too() -> None:
    """Whatever ends it."""
    lab = a_lab()
    before = whole_state(lab.fabric)

    def fails() -> program.Program[None]:
        yield from ping(B)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        try_(lab, fails())
    assert whole_state(lab.fabric) == before
