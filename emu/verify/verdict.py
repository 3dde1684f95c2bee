# SPDX-License-Identifier: GPL-2.0-only
"""Whether an exchange succeeds: on every branch of chance, each with its exact probability."""

from __future__ import annotations

import enum
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from emu.kernel.drops import DropReason
from emu.observe.recording import Kind
from emu.sim.choice import branches
from emu.verify import endpoint, fivetuple, story
from emu.verify.causes import find
from emu.verify.exchange import ask
from emu.verify.names import NotResolvedError
from emu.verify.steady import ASSUMPTION, SteadyChoice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from emu.cluster.emulation import Emulation
    from emu.sim.choice import ScriptedChoice, Taken
    from emu.verify.causes.cause import Cause
    from emu.verify.endpoint import Source, Target
    from emu.verify.exchange import Exchange
    from emu.verify.story import Packet, Story
    from emu.wire.addresses import IpAddress

MAX_BRANCHES: Final = 1000
_REFUSALS: Final = frozenset(("ECONNREFUSED", "ECONNRESET"))


class Result(enum.Enum):
    """What the client sees of a complete exchange."""

    DELIVERED = "delivered"
    REFUSED = "refused"  # RST or ICMP unreachable came back
    DROPPED = "dropped"  # silence


class Word(enum.Enum):
    """The answer in one word."""

    ALWAYS = "ALWAYS"
    SOMETIMES = "SOMETIMES"
    NEVER = "NEVER"
    UNKNOWN = "UNKNOWN"


@attrs.frozen
class Arrival:
    """Where the request arrived, and from whom, as the host there saw it; ports are None for ICMP.

    `pod` (as `NS/NAME`) and `node` are None where there is none such.
    """

    net: str
    address: IpAddress
    port: int | None
    source: IpAddress
    source_port: int | None
    pod: str | None = None
    node: str | None = None


@attrs.frozen
class Outcome:
    """What happens on one branch.

    Attributes:
        probability: of the branch.
        result: what the client sees.
        cause: why it was not delivered, None if it was.
        arrival: where the request got to, None if it got nowhere.
        dnat: the request's destination was rewritten on the way.
        masquerade: its source was.
        choices: what chance decided.
        story: the packets.
        unknown: what ended packets here and is not modelled; nothing if it was delivered all the same.
    """

    probability: Fraction
    result: Result
    cause: Cause | None
    arrival: Arrival | None
    dnat: bool
    masquerade: bool
    choices: tuple[Taken, ...]
    story: Story
    unknown: tuple[str, ...] = ()


@attrs.frozen
class Verdict:
    """The answer to a question.

    Attributes:
        source: who asked.
        target: whom.
        outcomes: one for each branch.
        unknown: what kept it from an answer; empty if nothing did.
        assumptions: what was taken for granted.
    """

    source: Source
    target: Target
    outcomes: tuple[Outcome, ...]
    unknown: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()

    @property
    def delivered(self) -> Fraction | None:
        """The probability that it is delivered; None if that is not known."""
        if self.unknown:
            return None
        shares = (one.probability for one in self.outcomes if one.result is Result.DELIVERED)
        return sum(shares, Fraction(0))

    @property
    def word(self) -> Word:
        """The answer in one word."""
        delivered = self.delivered
        if delivered is None:
            return Word.UNKNOWN
        if delivered == 1:
            return Word.ALWAYS
        return Word.SOMETIMES if delivered else Word.NEVER

    @property
    def failure(self) -> Outcome | None:
        """The most probable outcome that is not delivered, the first of equals; None if there is none."""
        failed = [one for one in self.outcomes if one.result is not Result.DELIVERED]
        return max(failed, key=lambda one: one.probability, default=None)


Witness: TypeAlias = "Callable[[Emulation, Exchange, Source, Target], None]"
"""Who looks at a network after an exchange: its tables are as the packets left them."""


def judge(
    start: Callable[[], Emulation],
    source: str,
    target: str,
    *,
    namespace: str = "default",
    witness: Witness | None = None,
) -> Verdict:
    """Ask `target` from `source` on every branch.

    Args:
        start: gives the network, in the same state each time.
        source: an end point, as in `emu.verify.endpoint`; of a cluster, as in
            `emu.verify.cluster_endpoint`.
        target: an end point.
        namespace: of names of Kubernetes without one.
        witness: called on each branch, after its exchange.

    Raises:
        EndPointError: an end point is wrong.
        UnknownNameError: it is not in the network. A name that DNS does not know
            is no error: nothing is delivered to it.
    """
    network = start()
    try:
        asker, asked = _end_points(network, source, target, namespace)
    except NotResolvedError as error:
        return _unresolved(network, error)
    outcomes: list[Outcome] = []
    was_steady = False
    for choice in islice(branches(), MAX_BRANCHES + 1):
        if len(outcomes) == MAX_BRANCHES:
            return Verdict(asker, asked, tuple(outcomes), (f"more than {MAX_BRANCHES} branches",))
        network = network if not outcomes else start()
        steady = SteadyChoice(choice)
        network.recording.add(steady)
        network.fabric.decide_by(steady)
        network.hold_still()
        exchange = ask(network, asker, asked)
        network.recording.remove(steady)
        if witness is not None:
            witness(network, exchange, asker, asked)
        was_steady |= steady.was_steady
        outcomes.append(_outcome(network, exchange, asker, asked, choice))
    return Verdict(
        asker, asked, tuple(outcomes), _unknown(outcomes), assumptions=(ASSUMPTION,) if was_steady else ()
    )


def _end_points(network: Emulation, source: str, target: str, namespace: str) -> tuple[Source, Target]:
    if not network.is_cluster:
        return endpoint.find_source(network, source), endpoint.find_target(network, target)
    from emu.cluster.cluster import Cluster  # noqa: PLC0415 - a network needs no control plane
    from emu.verify import cluster_endpoint  # noqa: PLC0415

    assert isinstance(network, Cluster)
    asker = cluster_endpoint.find_source(network, source, namespace)
    return asker, cluster_endpoint.find_target(network, target, asker, namespace)


def _unresolved(network: Emulation, error: NotResolvedError) -> Verdict:
    """Return the answer where nobody can be asked, for the name has no address."""
    told = story.tell(error.exchange, error.source, error.server)
    cause = find.find_cause_of_no_name(
        network, error.exchange, told, error.source, error.server, str(error), is_absent=error.is_absent
    )
    result = Result.REFUSED if error.is_absent else _result(error.exchange, told, error.source)
    outcome = Outcome(Fraction(1), result, cause, None, dnat=False, masquerade=False, choices=(), story=told)
    unknown = () if error.is_absent else _unknown_steps(error.exchange)
    return Verdict(error.source, error.target, (attrs.evolve(outcome, unknown=unknown),), unknown)


def _unknown(outcomes: Iterable[Outcome]) -> tuple[str, ...]:
    """Return what is not modelled and ended a packet on a branch that failed, each once."""
    return tuple(dict.fromkeys(words for outcome in outcomes for words in outcome.unknown))


def _outcome(
    network: Emulation, exchange: Exchange, source: Source, target: Target, choice: ScriptedChoice
) -> Outcome:
    told = story.tell(exchange, source, target)
    result = _result(exchange, told, source)
    delivered = result is Result.DELIVERED
    tuples = told.request.tuples if told.request is not None else ()
    return Outcome(
        choice.probability,
        result,
        None if delivered else find.find_cause(network, exchange, told, source, target),
        None if told.request is None else _arrival(told.request, network),
        dnat=any((one.dst, one.dport) != (tuples[0].dst, tuples[0].dport) for one in tuples),
        masquerade=any((one.src, one.sport) != (tuples[0].src, tuples[0].sport) for one in tuples),
        choices=tuple(choice.taken),
        story=told,
        unknown=() if delivered else _unknown_steps(exchange),
    )


def _unknown_steps(exchange: Exchange) -> tuple[str, ...]:
    return tuple([step.detail for step, _ in exchange.told if step.reason is DropReason.NOT_MODELLED])


def _result(exchange: Exchange, told: Story, source: Source) -> Result:
    """Return what the client sees: what its program saw, or an ICMP unreachable that came back."""
    if exchange.is_answered:
        return Result.DELIVERED
    if exchange.outcome in _REFUSALS or exchange.outcome.startswith("icmp 3/"):
        return Result.REFUSED
    answer = told.answer
    if answer is None or answer.end.step.net != source.namespace or answer.end.step.kind is Kind.DROP:
        return Result.DROPPED
    complains = fivetuple.is_unreachable(fivetuple.packet_of(answer.end.step))
    return Result.REFUSED if complains else Result.DROPPED


def _arrival(request: Packet, network: Emulation) -> Arrival | None:
    """Return where `request` met the protocols above IP, None if it did not."""
    step = request.end.step
    if not request.is_accepted and step.reason is not DropReason.NO_SOCKET:
        return None
    there = request.tuples[-1]
    port, source_port = (there.dport, there.sport) if there.has_ports else (None, None)
    pod, node = network.owners(step.net)
    return Arrival(step.net, there.dst, port, there.src, source_port, pod, node)
