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
from emu.verify.jobs import answers
from emu.verify.likeness.classes import classes
from emu.verify.questions import Port
from emu.verify.verdict import Word

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

    from emu.cluster.cluster import Cluster
    from emu.verify.likeness.likeness import Likeness
    from emu.verify.questions import Member, Party
    from emu.verify.verdict import Verdict

_POD = "pod/"
_PORTS = 1 << 16


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
        last: where a port stands for all up to another one: that one.
    """

    cells: tuple[Cell, ...]
    questions: int
    asked: int
    refusals: tuple[str, ...] = ()
    last: Mapping[Port, int] = attrs.field(factory=dict)

    def ports_of(self, port: Port) -> str:
        """Return the port, or the range, that a cell is about; nothing for ICMP."""
        last = self.last.get(port, port.number)
        if last != port.number:
            return f"{port.number}-{last}"
        return str(port.number) if port.number else ""


@attrs.frozen
class Plan:
    """What a matrix is made of.

    Attributes:
        sources: who asks.
        targets: whom, each with the ports.
        last: where a port stands for all up to another one that nothing tells from it: that one.
    """

    sources: tuple[Party, ...]
    targets: tuple[tuple[Party, tuple[Port, ...]], ...]
    last: Mapping[Port, int] = attrs.field(factory=dict)

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
    jobs: int = 1,
    told: Callable[[int, int], None] = lambda _done, _all: None,
) -> Matrix:
    """Return the answers.

    Args:
        cluster: whom to ask; it is the same afterwards.
        plan: what.
        brute_force: let no pods share an answer.
        jobs: how many processes may work on it.
        told: is told how many questions are answered, and how many there are.
    """
    places = {point: cluster.host(point).net.name for point in plan.pods}
    sharing = _Sharing(places, {} if brute_force else _likenesses(cluster, plan, places))
    rows = [
        (port, source, target, Counter(sharing.keys(source, target, port)))
        for port in plan.ports
        for source, target in plan.rows(port)
    ]
    asker = Asker(cluster, is_brief=True)
    found: dict[Hashable, Answer] = {}
    answered = answers(lambda pair: answer_of(asker.judge(*pair)), list(sharing.asked.values()), jobs)
    for key, answer in zip(sharing.asked, answered, strict=True):
        found[key] = answer
        told(len(found), len(sharing.asked))
    cells = [
        Cell(source.shown, target.shown, port, *_together(keys, found)) for port, source, target, keys in rows
    ]
    refusals = {words for each in sharing.likenesses.values() for words in each.refusals}
    questions = sum(keys.total() for *_, keys in rows)
    return Matrix(tuple(cells), questions, len(found), tuple(sorted(refusals)), plan.last)


def port_ranges(cluster: Cluster, parties: Iterable[Party], protocol: str) -> dict[Port, int]:
    """Return a port for each range that nothing tells apart between pods, and the last of the range."""
    pods = {each.point for party in parties for each in party.members if _is_pod(each)}
    names = sorted({cluster.host(point).net.name for point in pods})
    found = classes(cluster, names, protocol.lower(), range(1, _PORTS)).port_classes
    return {Port(each.first, protocol): each.last for each in found}


def _likenesses(cluster: Cluster, plan: Plan, places: Mapping[str, str]) -> dict[Port, Likeness]:
    """Return for each port which pods are alike: fewer are told apart by one port than by all."""
    names = sorted(set(places.values()))
    found: dict[Port, Likeness] = {}
    for protocol in sorted({port.protocol for port in plan.ports}):
        ports = [port for port in plan.ports if port.protocol == protocol]
        numbers = [port.number for port in ports if port.number]
        together = classes(cluster, names, protocol.lower(), numbers)
        for each in together.port_classes:
            alike = [port for port in ports if port.number in each]
            found |= dict.fromkeys(alike, classes(cluster, names, protocol.lower(), [each.first]))
        found |= {port: together for port in ports if not port.number}
    return found


@attrs.define(eq=False)
class _Sharing:
    """Which questions have one answer.

    Attributes:
        places: the network namespaces of pods, by their end points.
        likenesses: which of them are alike, by port; ports that are alike have one.
        asked: for each answer the first question that needs it, as texts for an asker.
    """

    places: Mapping[str, str]
    likenesses: Mapping[Port, Likeness]
    asked: dict[Hashable, tuple[str, str]] = attrs.field(factory=dict, init=False)

    def keys(self, source: Party, target: Party, port: Port) -> Iterator[Hashable]:
        """Yield what tells the answer of each pair of members from others."""
        likeness = self.likenesses.get(port)
        number = likeness.port_classes[0].first if likeness is not None and port.number else port.number
        alone = len(source.members) == len(target.members) == 1
        for asker in source.members:
            for asked in target.members:
                if asker == asked and not alone:
                    continue  # whether he reaches himself says nothing about the others
                key = (port.protocol, number, self._key(likeness, asker.point, asked.point))
                if key not in self.asked:
                    self.asked[key] = (asker.point, _end_point(asked, port))
                yield key

    def _key(self, likeness: Likeness | None, asker: str, asked: str) -> Hashable:
        source, target = self.places.get(asker), self.places.get(asked)
        if likeness is None or source is None or target is None:
            return asker, asked
        return likeness.key(source, target)


def _is_pod(member: Member) -> bool:
    return member.point.startswith(_POD)


def _end_point(member: Member, port: Port) -> str:
    return f"{member.point}/icmp" if port.protocol == "ICMP" else f"{member.point}:{port}"


def answer_of(verdict: Verdict) -> Answer:
    """Return what a matrix keeps of a verdict."""
    failure = verdict.failure
    if verdict.unknown:
        return Answer(None, verdict.unknown[0])
    return Answer(verdict.delivered, None if failure is None or failure.cause is None else failure.cause.code)


def _together(keys: Counter[Hashable], answers: Mapping[Hashable, Answer]) -> Answer:
    """Return the answer of several pairs, each of which counts alike."""
    found: Counter[Answer] = Counter()
    for key, times in keys.items():
        found[answers[key]] += times
    unknown = [answer for answer in found if answer.delivered is None]
    if unknown or not found:
        return unknown[0] if unknown else Answer(None, "nobody asks anybody")
    delivered = sum(
        (answer.delivered * times for answer, times in found.items() if answer.delivered), Fraction(0)
    )
    failed = Counter({answer: times for answer, times in found.items() if answer.reason is not None})
    reason = failed.most_common(1)[0][0].reason if failed else None
    return Answer(delivered / found.total(), reason)
