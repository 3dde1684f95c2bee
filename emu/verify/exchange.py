# SPDX-License-Identifier: GPL-2.0-only
"""One question, asked with real packets by a program, and all that was told meanwhile."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Final, NamedTuple, assert_never

import attrs

from emu.apps import association, datagram, stream
from emu.apps.outcome import TIMEOUT, word
from emu.apps.ping import ping
from emu.errors import StormError
from emu.fabric import program
from emu.kernel.drops import DropReason
from emu.kernel.sockets import SocketKind
from emu.sim.time import MILLISECOND, SECOND, Duration, later
from emu.verify.endpoint import Protocol
from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import FrameType

    from emu.cluster.emulation import Emulation
    from emu.fabric.program import Program
    from emu.kernel.sockets import Socket
    from emu.observe.recording import Step
    from emu.sim.time import Instant
    from emu.verify.endpoint import Source, Target
    from emu.wire.addresses import IpAddress

PATIENCE: Final = 10 * SECOND
"""How long the program waits: more than Linux needs to give a neighbour up."""

STORM: Final = "storm"
"""The outcome of an exchange that never came to rest."""

CLOSED: Final = "closed"
"""The outcome of a connection that stood, and that the other side ended."""

OK: Final = "ok"
"""The outcome of a connection that stands, its data arrived."""

_ANSWERS: Final = frozenset((OK, "reply"))
_AT_ONCE: Final[Duration] = SECOND // 2  # TCP sends its first segment again after a second
_BUDGET: Final = 20_000  # events; an exchange takes hundreds
_IDENTIFIER: Final = 0x656D  # of echoes: none that people write into documents
_DATAGRAM: Final = b"emu"  # and the message of an SCTP association
_DNS_PORT: Final = 53
_BAD_REQUEST: Final = b"HTTP/1.1 400 "
_NAME: Final = b"\x0akubernetes\x07default\x03svc\x07cluster\x05local\x00"
_QUERY: Final = bytes.fromhex("656d 0100 0001 0000 0000 0000") + _NAME + bytes.fromhex("0001 0001")
"""What a DNS server answers, whatever it knows: it is silent to what is no query. Source: RFC 1035, 4.1."""

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
        late: how long after the question the answer came that something had to be sent again for, ns; 0
            for none, or one at once.
    """

    outcome: str
    start: Instant
    told: tuple[Told, ...]
    late: Duration = 0

    @property
    def is_answered(self) -> bool:
        """Whether the connection stood or an answer came."""
        return self.outcome in _ANSWERS


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


class _Bystander:
    """Listens to a recording and does not ask who speaks: for many questions."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self.hear = self._steps.append

    @property
    def told(self) -> list[Told]:
        """What was told."""
        return [Told(step, "") for step in self._steps]

    def sees_refusal(self, network: Emulation) -> bool:
        """Return whether rules dropped the last packet, and would drop the same packet again."""
        if not self._steps or self._steps[-1].reason is not DropReason.NETFILTER_DROP:
            return False
        nets = (network.fabric.namespace(name) for name in {step.net for step in self._steps})
        return not any(net.used_netfilter is not None and net.used_netfilter.remembers for net in nets)


def ask(
    network: Emulation,
    source: Source,
    target: Target,
    *,
    is_brief: bool = False,
    rivals: Iterable[Source] = (),
    is_race: bool = False,
) -> Exchange:
    """Ask `target` from `source` and return what happened.

    Args:
        network: where.
        source: who asks.
        target: whom, and with what.
        is_brief: stop as soon as the outcome is clear, and do not ask which module told a step.
        rivals: who asks the same at the same instant.
        is_race: packets may overtake each other: what is answered at a second attempt is told as late.
    """
    if is_race:
        programs = {each: _program(each, target, is_brief=True) for each in (source, *rivals)}
        return first_attempt(network, [(each.namespace, run) for each, run in programs.items()])
    if not is_brief:
        return observe(network, lambda: _run(network, source, target))
    bystander = _Bystander()
    return observe(network, lambda: _run_briefly(network, source, target, bystander), bystander)


def observe(
    network: Emulation, run: Callable[[], str], witness: _Witness | _Bystander | None = None
) -> Exchange:
    """Return what happens while `run` lets something happen; what it returns is the outcome."""
    witness = witness or _Witness()
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


def first_attempt(network: Emulation, programs: Sequence[tuple[str, Program[str]]]) -> Exchange:
    """Run programs at one instant, and return what became of the first one's first attempt.

    An answer that comes only because something was sent again is late: it says that something was
    lost. Nobody overtakes anybody any more then: one race is what is looked at.

    Args:
        network: where.
        programs: with the network namespaces that they run in; each returns an outcome.
    """
    fabric = network.fabric
    start = fabric.loop.now
    end = start

    def run() -> str:
        nonlocal end
        first, *_ = [fabric.spawn(fabric.namespace(net), each) for net, each in programs]
        network.run_until(lambda: first.done, later(start, _AT_ONCE))
        fabric.let_race(None)
        network.finish(first)
        end = fabric.loop.now
        fabric.loop.run_until(later(end, _AFTERMATH))
        if not first.done:
            first.kill()
            return TIMEOUT
        return word(first.error) if first.error is not None else first.result

    found = observe(network, run)
    if found.is_answered and end - start > _AT_ONCE:
        return attrs.evolve(found, outcome=TIMEOUT, late=end - start)
    return found


def is_answered_at_once(network: Emulation, source: Source, target: Target) -> bool:
    """Ask, and return whether the answer is there before anything is sent again."""
    loop = network.fabric.loop
    net = network.fabric.namespace(source.namespace)
    try:
        process = network.fabric.spawn(net, _program(source, target, is_brief=True))
        network.run_until(lambda: process.done, later(loop.now, _AT_ONCE))
    except StormError:
        return False
    return process.done and process.error is None and process.result in _ANSWERS


def _run(network: Emulation, source: Source, target: Target) -> str:
    loop = network.fabric.loop
    process = network.fabric.spawn(network.fabric.namespace(source.namespace), _program(source, target))
    network.finish(process)
    loop.run_until(later(loop.now, _AFTERMATH))  # what is still on its way this instant
    return word(process.error) if process.error is not None else process.result


def _run_briefly(network: Emulation, source: Source, target: Target, bystander: _Bystander) -> str:
    """Ask, and wait no longer than it takes to know: rules that keep nothing drop again what they dropped."""
    net = network.fabric.namespace(source.namespace)
    process = network.fabric.spawn(net, _program(source, target, is_brief=True))
    network.run_until(lambda: process.done, later(network.fabric.loop.now, _AT_ONCE))
    if not process.done and bystander.sees_refusal(network):
        return TIMEOUT
    network.finish(process)
    return word(process.error) if process.error is not None else process.result


def _program(source: Source, target: Target, *, is_brief: bool = False) -> Program[str]:
    """Ask once and return the outcome in a word."""
    src = source.address or ANY_IP4
    data = bytes(target.payload) or (_QUERY if target.port == _DNS_PORT else _DATAGRAM)
    match target.protocol:
        case Protocol.TCP if target.stays:
            return (yield from _stay(target, src))
        case Protocol.TCP if is_brief or target.payload:
            return (yield from _connect(target, src, source.port))
        case Protocol.TCP:
            exchange = yield from stream.request(
                target.address, target.port, b"", src=src, src_port=source.port, gap=0, timeout=PATIENCE
            )
            return exchange.outcome
        case Protocol.UDP:
            outcomes = yield from datagram.request(
                target.address, target.port, data, src=src, src_port=source.port, timeout=PATIENCE
            )
            return outcomes[0]
        case Protocol.SCTP:
            exchange = yield from association.request(
                target.address, target.port, data, src=src, timeout=PATIENCE
            )
            return exchange.outcome
        case Protocol.ICMP:
            echoes = yield from ping(
                target.address, src=source.address, identifier=_IDENTIFIER, timeout=PATIENCE
            )
            return echoes[0].outcome
        case _:
            assert_never(target.protocol)


def _connect(target: Target, src: IpAddress, src_port: int) -> Program[str]:
    """Connect, and send what there is to send until it is acknowledged."""
    socket = yield from program.socket(SocketKind.TCP)
    try:
        yield from program.configure(socket, reuse_address=True)
        yield from program.bind(socket, src, src_port)
        yield from program.connect(socket, target.address, target.port, timeout=PATIENCE)
        if target.payload:
            yield from program.send(socket, bytes(target.payload), timeout=PATIENCE)
            yield from program.drain(socket, timeout=PATIENCE)
    except OSError as error:
        return word(error)
    return OK


def _stay(target: Target, src: IpAddress) -> Program[str]:
    """Connect, say what a client says first, and see whether the other side stays, or answers."""
    socket = yield from program.socket(SocketKind.TCP)
    try:
        outcome = yield from _heard(socket, target, src)
    except OSError as error:
        outcome = word(error)
    yield from program.close(socket)
    return outcome


def _heard(socket: Socket, target: Target, src: IpAddress) -> Program[str]:
    yield from program.bind(socket, src)
    yield from program.connect(socket, target.address, target.port, timeout=PATIENCE)
    said = target.says or bytes(target.payload)
    if said:
        yield from program.send(socket, said, timeout=PATIENCE)
    try:
        heard = yield from program.receive(socket, timeout=target.stays)
    except TimeoutError:
        return TIMEOUT if target.says else OK
    return OK if heard and not heard.startswith(_BAD_REQUEST) else CLOSED
