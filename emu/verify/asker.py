# SPDX-License-Identifier: GPL-2.0-only
"""Asks one living emulation question after question, each from the same state, and leaves it as it was.

A question is asked once for every branch of chance, with the exact probability
of each, so the answer knows no seed:

    branches()  ->  trial: names resolved, packets sent  ->  outcome   ->  Verdict
        ^             (all is as it was afterwards)             |
        +--------------- what chance could have taken ----------+
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import attrs

from emu.fabric.held import Held, OnceOnlyError
from emu.sim.choice import branches
from emu.verify import assumed, endpoint, exchange, outcome
from emu.verify.names import NotResolvedError, look_up_at_once
from emu.verify.steady import ASSUMPTION, SteadyChoice
from emu.verify.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from fractions import Fraction

    from emu.cluster.emulation import Emulation
    from emu.kernel.netfilter.conntrack.race import Race
    from emu.verify.endpoint import Source, Target
    from emu.verify.exchange import Exchange
    from emu.verify.verdict import Outcome

MAX_BRANCHES: Final = 1000
"""Branches of one question that are followed."""

_CLEAR_BRANCHES: Final = 64
_MOST_COPIES: Final = 64  # each of them is built

Witness: TypeAlias = "Callable[[Emulation, Exchange, Source, Target], None]"
"""Who looks at a network after an exchange: its tables are as the packets left them."""


class _Stage(Protocol):
    """Gives a network for one branch, in the same state each time."""

    def __call__(self, choice: SteadyChoice) -> AbstractContextManager[Emulation]: ...


class Asker:
    """Answers questions about an emulation.

    Args:
        network: a cluster or a network; it is the same after each question.
            Nobody else may change it between the questions.
        is_brief: an exchange ends as soon as its outcome is clear, and the
            modules that took its steps are not noted: for many questions.
        race: which packets may overtake each other while something is asked; every order is followed.
            What is answered only because it was sent again is not delivered then.
    """

    def __init__(self, network: Emulation, *, is_brief: bool = False, race: Race | None = None) -> None:
        self.network = network
        self._is_brief = is_brief
        self._race = race
        self._held = Held(network.fabric)

    def judge(
        self,
        source: str,
        target: str,
        *,
        namespace: str = "default",
        payload: int = 0,
        witness: Witness | None = None,
        beside: str = "",
    ) -> Verdict:
        """Ask `target` from `source` on every branch of chance.

        Args:
            source: an end point that asks.
            target: an end point, with `:PORT` and `/PROTOCOL`.
            namespace: of names of Kubernetes without one.
            payload: octets to send behind the handshake, or in the datagram, that have to arrive.
            witness: called on each branch after its exchange, while tables are as the packets left them.
            beside: an end point that asks the same at the same instant; with a race alone.

        Raises:
            EndPointError: an end point is wrong.
            UnknownNameError: it is not there. A name that DNS does not know
                is no error: nothing is delivered to it.
        """
        question = _Question(
            source,
            target,
            namespace,
            payload,
            witness,
            is_brief=self._is_brief,
            beside=beside,
            is_race=self._race is not None,
        )
        try:
            return _explore(self._trial, question)
        except OnceOnlyError:
            return _explore(self._copy, question, most=_MOST_COPIES)

    def is_clear(self, source: str, target: str, *, namespace: str = "default") -> bool:
        """Return whether `target` answers `source` at once on every branch: then `judge` says ALWAYS.

        Nothing is recorded meanwhile, so this is the faster question; False says nothing.

        Raises:
            EndPointError: an end point is wrong.
            UnknownNameError: it is not there.
        """
        question = _Question(source, target, namespace, 0, None, is_brief=True)
        for choice in islice(branches(), _CLEAR_BRANCHES + 1):
            try:
                with self._held.trial(choice, is_unseen=True):
                    ends = _end_points(self.network, question)
                    if ends[1].name:
                        return False
                    is_answered = exchange.is_answered_at_once(self.network, *ends)
            except (OnceOnlyError, NotResolvedError):
                return False
            if not is_answered:
                return False
        return True

    @contextmanager
    def _trial(self, choice: SteadyChoice) -> Iterator[Emulation]:
        with self._racing(self.network), self._held.trial(choice):
            yield self.network

    @contextmanager
    def _copy(self, choice: SteadyChoice) -> Iterator[Emulation]:
        """Give the network made again: for programs that answer once and are gone."""
        made = self.network.again()
        made.fabric.decide_by(choice)
        made.hold_still()
        with self._racing(made):
            yield made

    @contextmanager
    def _racing(self, network: Emulation) -> Iterator[None]:
        """Let packets overtake each other inside the block, if they may."""
        if self._race is None:
            yield
            return
        network.fabric.let_race(self._race)
        try:
            yield
        finally:
            network.fabric.let_race(None)


@attrs.frozen
class _Question:
    source: str
    target: str
    namespace: str
    payload: int
    witness: Witness | None
    is_brief: bool
    beside: str = ""
    is_race: bool = False


def _explore(stage: _Stage, question: _Question, *, most: int | None = None) -> Verdict:
    """Ask on every branch, each on a stage of its own."""
    most = most or MAX_BRANCHES
    outcomes: list[Outcome] = []
    ends: tuple[Source, Target] | None = None
    was_steady = False
    spared: dict[str, Fraction] = {}
    unknown: tuple[str, ...] = ()
    for choice in islice(branches(), most + 1):
        if len(outcomes) == most:
            unknown = (f"more than {most} branches",)
            break
        steady = SteadyChoice(choice)
        with stage(steady) as network, network.listening(steady):
            try:
                ends = source, target = _end_points(network, question)
                told = _ask(network, source, target, question)
                if question.witness is not None:
                    question.witness(network, told, source, target)
                outcomes.append(outcome.of_exchange(network, told, source, target, choice))
            except NotResolvedError as error:
                ends = ends or (error.source, error.target)
                outcomes.append(outcome.of_no_name(network, error, choice))
        was_steady |= steady.was_steady
        spared |= choice.spared
    assert ends is not None, "there is always a branch"
    merged = outcome.merge(outcomes)
    taken = () if question.is_brief else assumed.of_policies(network, *ends, merged)
    return Verdict(
        *ends,
        merged,
        unknown or outcome.unknown_of(merged),
        assumptions=(
            *((ASSUMPTION,) if was_steady else ()),
            *((assumed.OVERTAKEN,) if question.is_race else ()),
            *assumed.of_chance(spared),
            *taken,
        ),
    )


def _ask(network: Emulation, source: Source, target: Target, question: _Question) -> Exchange:
    if target.name:
        return look_up_at_once(network, source, target)
    rivals = [_source(network, question.beside, question)] if question.beside else []
    return exchange.ask(
        network, source, target, is_brief=question.is_brief, rivals=rivals, is_race=question.is_race
    )


def _source(network: Emulation, text: str, question: _Question) -> Source:
    """Return who asks."""
    if not network.is_cluster:
        return endpoint.find_source(network, text)
    from emu.cluster.cluster import Cluster  # noqa: PLC0415 - a network needs no control plane
    from emu.verify import cluster_endpoint  # noqa: PLC0415

    assert isinstance(network, Cluster)
    return cluster_endpoint.find_source(network, text, question.namespace)


def _end_points(network: Emulation, question: _Question) -> tuple[Source, Target]:
    """Return who asks and whom; a name is looked up by packets.

    Raises:
        EndPointError: one is wrong.
        UnknownNameError: one is not there.
        NotResolvedError: the name of the target has no address.
    """
    asker = _source(network, question.source, question)
    if not network.is_cluster:
        return asker, _laden(endpoint.find_target(network, question.target), question)
    from emu.cluster.cluster import Cluster  # noqa: PLC0415 - a network needs no control plane
    from emu.verify import cluster_endpoint  # noqa: PLC0415

    assert isinstance(network, Cluster)
    target = cluster_endpoint.find_target(network, question.target, asker, question.namespace)
    return asker, _laden(target, question)


def _laden(target: Target, question: _Question) -> Target:
    return attrs.evolve(target, payload=question.payload) if question.payload else target
