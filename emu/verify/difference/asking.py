# SPDX-License-Identifier: GPL-2.0-only
"""Asks one cluster all questions of some flows.

Pods that nothing distinguishes share an answer, where that is proved from the
state of the kernels (`emu.verify.likeness`).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from emu.errors import UnknownNameError
from emu.verify import jobs
from emu.verify.asker import Asker
from emu.verify.difference import pages
from emu.verify.difference.answer import ABSENT, Answer, answer_of
from emu.verify.difference.modes import ALL
from emu.verify.difference.seen import owners
from emu.verify.likeness.classes import classes

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterator, Mapping

    from emu.cluster.cluster import Cluster
    from emu.verify.difference.seen import Owners
    from emu.verify.likeness.likeness import Likeness
    from emu.verify.questions import Flow, Member, Port

_POD: Final = "pod/"

Question: TypeAlias = "tuple[object, str, str]"
"""Key of the flow, and the names of who asks and who is asked."""


@attrs.define(eq=False)
class Asking:
    """Answers questions about a cluster.

    Attributes:
        cluster: whom to ask; it is the same afterwards.
        flows: what to ask.
        brute_force: let no pods share an answer.
        jobs: how many processes may work on it.
        payload: octets that have to arrive, too.
    """

    cluster: Cluster
    flows: Collection[Flow]
    brute_force: bool = False
    jobs: int = 1
    payload: int = 0
    _places: dict[str, str] = attrs.field(factory=dict, init=False)

    def answers(self) -> Iterator[tuple[Question, Answer]]:
        """Yield each question and its answer.

        Raises:
            JobError: one of the processes was ended.
        """
        asker, known = Asker(self.cluster, is_brief=True), owners(self.cluster)
        likenesses = {} if self.brute_force else self._likenesses()
        every: list[tuple[Question, Hashable]] = []
        asked: dict[Hashable, tuple[Flow, Member, Member]] = {}
        for flow in self.flows:
            for source, target in flow.questions:
                question: Question = (flow.key, source.shown, target.shown)
                key = self._key(likenesses, source, target, flow.port) or question
                every.append((question, key))
                asked.setdefault(key, (flow, source, target))
        answered = jobs.answers(
            lambda one: _ask(asker, known, *one, payload=self.payload), list(asked.values()), self.jobs
        )
        found: dict[Hashable, Answer] = {}
        for question, key in every:
            if key not in found:
                found[key] = next(answered)
            yield question, found[key]

    def _likenesses(self) -> Mapping[str, Likeness]:
        """Return which pods are alike, for each protocol that pods are asked by."""
        pods: set[str] = set()
        ports: dict[str, set[int]] = {}
        for flow in self.flows:
            places = {self._place(each) for each in (*flow.source.members, *flow.target.members)}
            if "" not in places:
                pods |= places
                ports.setdefault(flow.port.protocol, set()).add(flow.port.number)
        return {
            protocol: classes(self.cluster, sorted(pods), protocol, sorted(numbers))
            for protocol, numbers in ports.items()
        }

    def _key(
        self, likenesses: Mapping[str, Likeness], source: Member, target: Member, port: Port
    ) -> Hashable | None:
        """Return what questions have in common that must end alike; None if one is like no other."""
        places = self._place(source), self._place(target)
        likeness = likenesses.get(port.protocol)
        if likeness is None or not all(places):
            return None
        of_port = next((each for each in likeness.port_classes if port.number in each), None)
        return None if of_port is None else (port.protocol, of_port, likeness.key(*places))

    def _place(self, member: Member) -> str:
        """Return the network namespace of a pod, nothing for who is none, or has none."""
        if member.point not in self._places:
            self._places[member.point] = ""
            if member.point.startswith(_POD):
                with suppress(UnknownNameError):
                    self._places[member.point] = self.cluster.host(member.point).net.name
        return self._places[member.point]


def _ask(asker: Asker, known: Owners, flow: Flow, source: Member, target: Member, *, payload: int) -> Answer:
    try:
        if flow.port == pages.PAGE:
            return pages.answer(asker, known, source.point, target.point)
        answer = answer_of(asker.judge(source.point, flow.text(target), payload=payload), known)
    except UnknownNameError:  # a pod that was to be there has no network
        return ABSENT
    return answer.of_nobody() if flow.target.point == ALL else answer
