# SPDX-License-Identifier: GPL-2.0-only
"""What came of one exchange, told as the outcome of a branch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.drops import DropReason
from emu.observe.recording import Kind
from emu.sim.time import SECOND
from emu.verify import fivetuple, story
from emu.verify.causes import find
from emu.verify.exchange import CLOSED
from emu.verify.verdict import Arrival, Outcome, Result

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.cluster.emulation import Emulation
    from emu.sim.choice import ScriptedChoice
    from emu.verify.endpoint import Source, Target
    from emu.verify.exchange import Exchange
    from emu.verify.names import NotResolvedError
    from emu.verify.story import Packet, Story

_REFUSALS: Final = frozenset(("ECONNREFUSED", "ECONNRESET", CLOSED))


def of_exchange(
    network: Emulation, exchange: Exchange, source: Source, target: Target, choice: ScriptedChoice
) -> Outcome:
    """Return the outcome of a branch on which `target` was asked.

    Args:
        network: as the packets left it.
        exchange: what happened.
        source: who asked.
        target: whom.
        choice: what chance decided.
    """
    told = story.tell(exchange, source, target)
    result = _result(exchange, told, source)
    delivered = result is Result.DELIVERED
    cause = None if delivered else find.find_cause(network, exchange, told, source, target)
    if cause is not None and exchange.late:
        late = f"{exchange.late / SECOND:.3f} s"
        cause = attrs.evolve(
            cause, words=f"{cause.words}; the answer comes after {late}, when it is sent again"
        )
    requests = [leg.request.tuples for leg in told.legs if leg.request is not None]
    return Outcome(
        choice.probability,
        result,
        cause,
        None if told.last.request is None else _arrival(told.last.request, network),
        dnat=any((one.dst, one.dport) != (leg[0].dst, leg[0].dport) for leg in requests for one in leg),
        masquerade=any((one.src, one.sport) != (leg[0].src, leg[0].sport) for leg in requests for one in leg),
        choices=tuple(choice.taken),
        story=told,
        unknown=() if delivered else _unknown_steps(exchange),
        is_timed=choice.is_timed,
    )


def of_no_name(network: Emulation, error: NotResolvedError, choice: ScriptedChoice) -> Outcome:
    """Return the outcome of a branch on which nobody could be asked, for the name has no address."""
    told = story.tell(error.exchange, error.source, error.server)
    cause = find.find_cause_of_no_name(
        network, error.exchange, told, error.source, error.server, str(error), is_absent=error.is_absent
    )
    result = Result.REFUSED if error.is_absent else _result(error.exchange, told, error.source)
    return Outcome(
        choice.probability,
        result,
        cause,
        None,
        dnat=False,
        masquerade=False,
        choices=tuple(choice.taken),
        story=told,
        unknown=() if error.is_absent else _unknown_steps(error.exchange),
        is_timed=choice.is_timed,
    )


def merge(outcomes: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """Return outcomes of which no two are alike: those that are add up, and keep the choices they share."""
    merged: dict[object, Outcome] = {}
    for each in outcomes:
        key = _sense(each)
        known = merged.get(key)
        if known is None:
            merged[key] = each
        else:
            shared = tuple(taken for taken in known.choices if taken in each.choices)
            probability = known.probability + each.probability
            is_timed = known.is_timed or each.is_timed
            merged[key] = attrs.evolve(known, probability=probability, choices=shared, is_timed=is_timed)
    return tuple(merged.values())


def _sense(one: Outcome) -> object:
    """Return what tells outcomes apart."""
    arrival = one.arrival
    there = None if arrival is None else (arrival.net, arrival.address, arrival.port, arrival.source)
    cause = None if one.cause is None else (one.cause.code, one.cause.way, one.cause.place)
    request = one.story.last.request
    last = request.tuples[-1] if request is not None and request.tuples else None
    goal = None if last is None else (last.dst, last.dport)
    return one.result, cause, there, goal, one.dnat, one.masquerade, one.unknown


def unknown_of(outcomes: Iterable[Outcome]) -> tuple[str, ...]:
    """Return what is not modelled and ended a packet on a branch that failed, each once."""
    return tuple(dict.fromkeys(words for each in outcomes for words in each.unknown))


def _unknown_steps(exchange: Exchange) -> tuple[str, ...]:
    return tuple([step.detail for step, _ in exchange.told if step.reason is DropReason.NOT_MODELLED])


def _result(exchange: Exchange, told: Story, source: Source) -> Result:
    """Return what the client sees: what its program saw, or an ICMP unreachable that came back."""
    if exchange.is_answered:
        return _beyond_proxies(told)
    if exchange.outcome in _REFUSALS or exchange.outcome.startswith("icmp 3/"):
        return Result.REFUSED
    answer = told.answer
    if answer is None or answer.end.step.net != source.namespace or answer.end.step.kind is Kind.DROP:
        return Result.DROPPED
    complains = fivetuple.is_unreachable(fivetuple.packet_of(answer.end.step))
    return Result.REFUSED if complains else Result.DROPPED


def _beyond_proxies(told: Story) -> Result:
    """Return what became of a connection that stands: of those, too, that proxies made because of it."""
    for leg in told.legs[1:]:
        if leg.answer is None or not leg.answer.is_accepted:
            return Result.DROPPED
        if not story.is_opening(leg.answer, answer=True):
            return Result.REFUSED
    return Result.DELIVERED


def _arrival(request: Packet, network: Emulation) -> Arrival | None:
    """Return where `request` met the protocols above IP, None if it did not."""
    step = request.end.step
    if not request.is_accepted and step.reason is not DropReason.NO_SOCKET:
        return None
    there = request.tuples[-1]
    port, source_port = (there.dport, there.sport) if there.has_ports else (None, None)
    pod, node = network.owners(step.net)
    return Arrival(step.net, there.dst, port, there.src, source_port, pod, node)
