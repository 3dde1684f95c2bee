# SPDX-License-Identifier: GPL-2.0-only
"""Asks who reaches whom, and keeps the answers.

Pods that nothing distinguishes share an answer, where that is proved from the
state of the kernels (`emu.verify.likeness`); behind every answer is a real frame.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import attrs

from emu.verify.asker import Asker
from emu.verify.likeness.classes import classes
from emu.verify.verdict import Word

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

    from emu.cluster.cluster import Cluster
    from emu.verify.likeness.likeness import Likeness
    from emu.verify.questions import Member, Party, Port
    from emu.verify.verdict import Verdict

_POD = "pod/"


class Answer(NamedTuple):
    """What becomes of one question: the probability that it is delivered, and why it may not be.

    `delivered` is None where it is not known; then `reason` says what is not.
    """

    delivered: Fraction | None
    reason: str | None = None


class Cell(NamedTuple):
    """How one party fares that asks another; each pair of members counts alike.

    Attributes:
        source: who asks, as people call him.
        target: whom.
        port: which port.
        delivered: the probability that a question is delivered, None if that is not known.
        reason: why most of those fail that do; None if none does.
    """

    source: str
    target: str
    port: Port
    delivered: Fraction | None
    reason: str | None

    @property
    def word(self) -> Word:
        """The answer in one word."""
        return Word.of(self.delivered)


@attrs.frozen
class Matrix:
    """Who reaches whom.

    Attributes:
        cells: by port, source and target, in the order in which these were given.
        questions: how many pairs and ports that is.
        asked: how many of them were asked with packets; the others are like one of those.
        refusals: why some could not share an answer.
    """

    cells: tuple[Cell, ...]
    questions: int
    asked: int
    refusals: tuple[str, ...] = ()


@attrs.frozen
class Plan:
    """What a matrix is made of.

    Attributes:
        sources: who asks.
        targets: whom, each with the ports.
    """

    sources: tuple[Party, ...]
    targets: tuple[tuple[Party, tuple[Port, ...]], ...]

    @property
    def ports(self) -> tuple[Port, ...]:
        """All ports that are asked, sorted by protocol and number."""
        found = {port for _, ports in self.targets for port in ports}
        return tuple(sorted(found, key=lambda port: (port.protocol, port.number)))

    def rows(self, port: Port) -> Iterator[tuple[Party, Party]]:
        """Yield who asks whom on a port."""
        targets = [target for target, ports in self.targets if port in ports]
        return ((source, target) for source in self.sources for target in targets)

    @property
    def pods(self) -> tuple[str, ...]:
        """The end points of the pods among them, sorted."""
        parties = [*self.sources, *(target for target, _ in self.targets)]
        return tuple(sorted({each.point for party in parties for each in party.members if _is_pod(each)}))


def ask(
    cluster: Cluster,
    plan: Plan,
    *,
    brute_force: bool = False,
    told: Callable[[int, int], None] = lambda _done, _all: None,
) -> Matrix:
    """Return the answers.

    Args:
        cluster: whom to ask; it is the same afterwards.
        plan: what.
        brute_force: let no pods share an answer.
        told: is told how many cells are there, and how many there will be.
    """
    places = {point: cluster.host(point).net.name for point in plan.pods}
    asking = _Asking(cluster, places, {} if brute_force else _likenesses(cluster, plan, places))
    wanted = [(port, source, target) for port in plan.ports for source, target in plan.rows(port)]
    cells = []
    for number, (port, source, target) in enumerate(wanted, 1):
        cells.append(asking.cell(source, target, port))
        told(number, len(wanted))
    refusals = sorted({words for each in asking.likenesses.values() for words in each.refusals})
    return Matrix(tuple(cells), asking.questions, asking.asked, tuple(refusals))


def _likenesses(cluster: Cluster, plan: Plan, places: Mapping[str, str]) -> dict[str, Likeness]:
    """Return which pods are alike, for each protocol."""
    names = sorted(set(places.values()))
    protocols: dict[str, list[int]] = {}
    for port in plan.ports:
        protocols.setdefault(port.protocol, []).append(port.number)
    return {
        protocol: classes(cluster, names, protocol.lower(), [number for number in numbers if number])
        for protocol, numbers in protocols.items()
    }


@attrs.define(eq=False)
class _Asking:
    """Asks, and remembers what was answered to whom."""

    cluster: Cluster
    places: Mapping[str, str]
    likenesses: Mapping[str, Likeness]
    questions: int = attrs.field(default=0, init=False)
    asked: int = attrs.field(default=0, init=False)
    _asker: Asker = attrs.field(init=False)
    _answers: dict[Hashable, Answer] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._asker = Asker(self.cluster, is_brief=True)

    def cell(self, source: Party, target: Party, port: Port) -> Cell:
        """Return how a party fares."""
        likeness = self.likenesses.get(port.protocol)
        ports = _class_of(port, likeness)
        found: Counter[Answer] = Counter()
        for asker in source.members:
            for asked in target.members:
                if asker == asked and (len(source.members) > 1 or len(target.members) > 1):
                    continue  # whether he reaches himself says nothing about the others
                key = self._key(likeness, asker, asked)
                found[self._answer((port.protocol, ports, key), asker, asked, port)] += 1
        self.questions += found.total()
        return Cell(source.shown, target.shown, port, *_together(found))

    def _key(self, likeness: Likeness | None, asker: Member, asked: Member) -> Hashable:
        places = self.places.get(asker.point), self.places.get(asked.point)
        if likeness is None or places[0] is None or places[1] is None:
            return asker.point, asked.point
        return likeness.key(places[0], places[1])

    def _answer(self, key: Hashable, asker: Member, asked: Member, port: Port) -> Answer:
        known = self._answers.get(key)
        if known is None:
            self.asked += 1
            known = self._answers[key] = answer_of(self._asker.judge(asker.point, _end_point(asked, port)))
        return known


def _is_pod(member: Member) -> bool:
    return member.point.startswith(_POD)


def _end_point(member: Member, port: Port) -> str:
    return f"{member.point}/icmp" if port.protocol == "ICMP" else f"{member.point}:{port}"


def _class_of(port: Port, likeness: Likeness | None) -> int:
    """Return the first of the ports that are like this one."""
    for each in likeness.port_classes if likeness is not None else ():
        if port.number in each:
            return each.first
    return port.number


def answer_of(verdict: Verdict) -> Answer:
    """Return what a matrix keeps of a verdict."""
    failure = verdict.failure
    if verdict.unknown:
        return Answer(None, verdict.unknown[0])
    return Answer(verdict.delivered, None if failure is None or failure.cause is None else failure.cause.code)


def _together(found: Counter[Answer]) -> Answer:
    """Return the answer of several pairs, each of which counts alike."""
    unknown = [answer for answer in found if answer.delivered is None]
    if unknown or not found:
        return unknown[0] if unknown else Answer(None, "nobody asks anybody")
    delivered = sum(
        (answer.delivered * times for answer, times in found.items() if answer.delivered), Fraction(0)
    )
    failed = Counter({answer: times for answer, times in found.items() if answer.reason is not None})
    reason = failed.most_common(1)[0][0].reason if failed else None
    return Answer(delivered / found.total(), reason)
