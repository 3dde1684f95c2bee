# SPDX-License-Identifier: GPL-2.0-only
"""One question, asked with real packets by a program, and all that was told meanwhile."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Final, NamedTuple, assert_never

import attrs

from emu.apps import association, datagram, stream
from emu.apps.outcome import word
from emu.apps.ping import ping
from emu.errors import StormError
from emu.sim.time import MILLISECOND, SECOND, Duration, later
from emu.verify.endpoint import Protocol
from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from emu.cluster.emulation import Emulation
    from emu.fabric.program import Program
    from emu.observe.recording import Step
    from emu.sim.time import Instant
    from emu.verify.endpoint import Source, Target

PATIENCE: Final = 10 * SECOND
"""How long the program waits: more than Linux needs to give a neighbour up."""

STORM: Final = "storm"
"""The outcome of an exchange that never came to rest."""

_BUDGET: Final = 20_000  # events; an exchange takes hundreds
_IDENTIFIER: Final = 0x656D  # of echoes: none that people write into documents
_DATAGRAM: Final = b"emu"  # and the message of an SCTP association
_AFTERMATH: Final[Duration] = MILLISECOND
_MESSENGERS: Final = frozenset(("emu.kernel.namespace", "emu.observe.recording", __name__))


class Told(NamedTuple):
    """A step, and the name of the module that took it."""

    step: Step
    module: str


@attrs.frozen
class Exchange:
    """What a question led to.

    Attributes:
        outcome: what the program saw: `ok`, `reply`, `timeout`, an errno's
            name, `icmp TYPE/CODE`, or `STORM`.
        start: when it was asked.
        told: every step of every packet until the end, in order.
    """

    outcome: str
    start: Instant
    told: tuple[Told, ...]

    @property
    def is_answered(self) -> bool:
        """Whether the connection stood or an answer came."""
        return self.outcome in {"ok", "reply"}


class _Witness:
    """Listens to a recording."""

    def __init__(self) -> None:
        self.told: list[Told] = []

    def hear(self, step: Step) -> None:
        self.told.append(Told(step, _speaker(inspect.currentframe())))


def _speaker(frame: FrameType | None) -> str:
    """Return the module that told the step: the first one on the stack that only passed nothing on."""
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module not in _MESSENGERS:
            return module
        frame = frame.f_back
    return ""


def ask(network: Emulation, source: Source, target: Target) -> Exchange:
    """Ask `target` from `source` and return what happened."""
    return observe(network, lambda: _run(network, source, target))


def observe(network: Emulation, run: Callable[[], str]) -> Exchange:
    """Return what happens while `run` lets something happen; what it returns is the outcome."""
    witness = _Witness()
    loop = network.fabric.loop
    budget, loop.budget = loop.budget, _BUDGET
    loop.replenish()
    start = loop.now
    network.recording.add(witness)
    try:
        outcome = run()
    except StormError:
        outcome = STORM
    finally:
        network.recording.remove(witness)
        loop.budget = budget
        loop.replenish()
    return Exchange(outcome, start, tuple(witness.told))


def _run(network: Emulation, source: Source, target: Target) -> str:
    net = network.namespace(source.namespace).net
    process = network.fabric.spawn(net, _program(source, target))
    network.finish(process)
    network.wait_until(later(network.fabric.loop.now, _AFTERMATH))  # what is still on its way this instant
    return word(process.error) if process.error is not None else process.result


def _program(source: Source, target: Target) -> Program[str]:
    """Ask once and return the outcome in a word."""
    match target.protocol:
        case Protocol.TCP:
            exchange = yield from stream.request(
                target.address,
                target.port,
                b"",
                src=source.address or ANY_IP4,
                gap=0,
                timeout=PATIENCE,
            )
            return exchange.outcome
        case Protocol.UDP:
            outcomes = yield from datagram.request(
                target.address,
                target.port,
                _DATAGRAM,
                src=source.address or ANY_IP4,
                timeout=PATIENCE,
            )
            return outcomes[0]
        case Protocol.SCTP:
            exchange = yield from association.request(
                target.address,
                target.port,
                _DATAGRAM,
                src=source.address or ANY_IP4,
                timeout=PATIENCE,
            )
            return exchange.outcome
        case Protocol.ICMP:
            echoes = yield from ping(
                target.address, src=source.address, identifier=_IDENTIFIER, timeout=PATIENCE
            )
            return echoes[0].outcome
        case _:
            assert_never(target.protocol)
