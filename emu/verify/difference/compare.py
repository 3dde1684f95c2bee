# SPDX-License-Identifier: GPL-2.0-only
"""Asks two clusters the same, and puts their answers side by side."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import EmuError
from emu.verify.difference import modes, pages, probing, proxying
from emu.verify.difference.answer import ABSENT, Answer
from emu.verify.difference.asking import Asking
from emu.verify.difference.rows import Both, Row, Side, rows
from emu.verify.questions import choose, count, is_called

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from emu.cluster.cluster import Cluster
    from emu.verify.difference.asking import Question
    from emu.verify.questions import Flow, Member

MOST_QUESTIONS: Final = 20_000
"""Of each cluster, unless more are asked for."""


class TooManyQuestionsError(EmuError):
    """A cluster has more flows than are wanted."""


@attrs.frozen
class Difference:
    """What two clusters answer.

    Attributes:
        rows: in the order of the flows; what only the second one has comes last.
        questions: how many were asked of both together.
    """

    rows: tuple[Row, ...]
    questions: int

    @property
    def changed(self) -> tuple[Row, ...]:
        """The rows of flows whose fate differs."""
        return tuple([row for row in self.rows if row.is_changed])


def compare(
    before: Cluster,
    after: Cluster,
    *,
    sources: Sequence[str] = (),
    targets: Sequence[str] = (),
    most: int = MOST_QUESTIONS,
    brute_force: bool = False,
    jobs: int = 1,
    payload: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Difference:
    """Return how the flows of two clusters differ.

    Args:
        before: one of them.
        after: the other one.
        sources: only who is called so: names or end points, with `*` and `?`; none for all.
        targets: only whom, likewise.
        most: how many questions each may be asked.
        brute_force: let no pods share an answer.
        jobs: how many processes may work on it.
        payload: octets that have to arrive, too: behind the handshake, in the datagram, in the ping.
        progress: is told how many questions are answered, and how many there are.

    Raises:
        TooManyQuestionsError: there are more than `most`.
        JobError: one of the processes was ended.
    """
    both = before, after
    chosen = [_chosen([*choose(each), *_more(each, both)], sources, targets) for each in both]
    numbers = [count(flows.values()) for flows in chosen]
    if max(numbers) > most:
        raise TooManyQuestionsError(
            f"{max(numbers)} questions would be asked of one cluster, and {most} are allowed: "
            "choose flows by --from and --to, or raise --max-questions"
        )
    total, done = sum(numbers), 0
    answers: list[dict[Question, Answer]] = [{}, {}]
    for network, flows, found in zip((before, after), chosen, answers, strict=True):
        for question, answer in Asking(network, flows.values(), brute_force, jobs, payload).answers():
            found[question] = answer
            done += 1
            if progress is not None:
                progress(done, total)
    return Difference(tuple(_rows(chosen, answers)), total)


def _more(cluster: Cluster, both: tuple[Cluster, Cluster]) -> Iterator[Flow]:
    """Yield what is asked because of settings in which two clusters differ, and of pages that they expect."""
    before, after = (each.topology.cluster for each in both)
    if before.proxy != after.proxy:
        yield from proxying.flows(cluster)
    if before.proxy.mode != after.proxy.mode:
        yield from modes.flows(cluster, both)
    if before.network.provider != after.network.provider:
        yield from probing.flows(cluster)
    yield from pages.flows(cluster, both)


def _chosen(flows: Iterable[Flow], sources: Sequence[str], targets: Sequence[str]) -> dict[object, Flow]:
    """Return the flows that are wanted, by their keys."""
    return {
        flow.key: flow
        for flow in flows
        if is_called(flow.source, sources) and is_called(flow.target, targets)
    }


# --- side by side ---


def _rows(
    chosen: Sequence[Mapping[object, Flow]], answers: Sequence[Mapping[Question, Answer]]
) -> Iterator[Row]:
    for key in dict.fromkeys((*chosen[0], *chosen[1])):
        flows = [each.get(key) for each in chosen]
        one = next(flow for flow in flows if flow is not None)
        source_pairs = _pairs([() if flow is None else flow.source.members for flow in flows])
        target_pairs = _pairs([() if flow is None else flow.target.members for flow in flows])
        found = {}
        for asking in source_pairs:
            for asked in target_pairs:
                both = _both(key, asking, asked, answers)
                if both is not None:
                    found[_name(asking), _name(asked)] = both
        source = Side(one.source.shown, one.source.point, tuple(map(_name, source_pairs)))
        target = Side(one.target.shown, one.target.point, tuple(map(_name, target_pairs)))
        yield from rows(source, target, str(one.port), found)


def _pairs(members: Sequence[Sequence[Member]]) -> list[tuple[Member | None, Member | None]]:
    """Return who is the same before and after: by name, and the rest in their order."""
    before, after = members
    kept = [each for each in before if each in after]
    pairs: list[tuple[Member | None, Member | None]] = [(each, each) for each in kept]
    gone = (each for each in before if each not in kept)
    new = (each for each in after if each not in kept)
    return [*pairs, *zip_longest(gone, new)]


def _name(pair: tuple[Member | None, Member | None]) -> str:
    return next(each.shown for each in reversed(pair) if each is not None)


def _both(
    key: object,
    asking: tuple[Member | None, Member | None],
    asked: tuple[Member | None, Member | None],
    answers: Sequence[Mapping[Question, Answer]],
) -> Both | None:
    """Return what both clusters answer, None if neither was asked."""
    found = [
        None if source is None or target is None else answers[index].get((key, source.shown, target.shown))
        for index, (source, target) in enumerate(zip(asking, asked, strict=True))
    ]
    before, after = found
    if before is None and after is None:
        return None
    return Both(before or ABSENT, after or ABSENT)
