# SPDX-License-Identifier: GPL-2.0-only
"""Answers to rows of a table: the pods of a workload are one row where they agree."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import attrs

from emu.verify.questions import asked
from emu.verify.verdict import Word

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from emu.verify.causes.cause import Cause
    from emu.verify.difference.answer import Answer

Name: TypeAlias = str
Key: TypeAlias = "tuple[object, object, object]"

_KINDS: Final = ("node/", "ext/", "svc/")
"""What names of members begin with, but for those of pods."""

_WORDS: Final = 80  # characters of what happened; a rule may be long


class Side(NamedTuple):
    """Who asks, or is asked: how they are called together, the end point for all, and each of them."""

    shown: str
    point: str
    names: tuple[Name, ...]


class Both(NamedTuple):
    """A question's answer before and after."""

    before: Answer
    after: Answer

    @property
    def key(self) -> Key:
        """What makes two of them one row: how servers see clients matters only where that changes."""
        seen = (self.before.seen_as, self.after.seen_as) if self.is_seen_otherwise else None
        return self.before.key, self.after.key, seen

    @property
    def is_seen_otherwise(self) -> bool:
        """Whether servers see the client by another kind of address."""
        before, after = self.before.seen_as, self.after.seen_as
        return bool(before and after) and before != after

    @property
    def fails_otherwise(self) -> bool:
        """Whether it fails as often as before, and the client sees the same, for another reason."""
        before, after = self.before, self.after
        is_known = before.word not in {None, Word.UNKNOWN}
        return is_known and before.fate == after.fate and before.codes != after.codes

    @property
    def is_changed(self) -> bool:
        """Whether clients, servers, or who looks for the reason of a failure notice a difference."""
        return self.before.fate != self.after.fate or self.is_seen_otherwise or self.fails_otherwise


@attrs.frozen
class Row:
    """Flows that fare alike.

    Attributes:
        source: who asks.
        target: whom.
        port: on which port, like `53/UDP`.
        before: the answer.
        after: the other one.
    """

    source: Side
    target: Side
    port: str
    before: Answer
    after: Answer

    @property
    def flow(self) -> str:
        """The flow as people are shown it."""
        return f"{self.source.shown} -> {asked(self.target.shown, self.port)}"

    @property
    def is_changed(self) -> bool:
        """Whether somebody notices a difference."""
        return Both(self.before, self.after).is_changed

    @property
    def cause(self) -> str:
        """Why: whose doing a failure is, or was, and how the client is seen; empty if nothing is to tell."""
        before, after = self.before, self.after
        both = Both(before, after)
        if after.word is None:
            return "is gone"
        if after.word is Word.UNKNOWN:
            return f"not modelled: {'; '.join(after.unknown)}"
        words = [] if before.word is not None else ["is new"]
        if before.result is not None and after.result is not None and before.result is not after.result:
            words.append(f"was {before.result.value}, now {after.result.value}")
        if both.fails_otherwise and after.cause is not None:
            more = f"{', '.join(after.codes)}: " if len(after.codes) > 1 else ""
            words.append(f"was {', '.join(before.codes)}, now {more}{blame(after.cause)}")
        elif after.cause is not None:
            words.append(blame(after.cause))
        elif before.cause is not None:
            words.append(f"no longer {blame(before.cause)}")
        elif self.is_changed and before.word is Word.UNKNOWN:
            words.append("no longer unknown")
        seen = f"source: {' or '.join(before.seen_as)} -> {' or '.join(after.seen_as)}"
        return "; ".join(filter(None, (": ".join(words), seen if both.is_seen_otherwise else "")))


def blame(cause: Cause) -> str:
    """Return whose doing a failure is: the object and its field, or else what happened, in a few words."""
    if cause.object:
        return " ".join(filter(None, (cause.code, cause.object, cause.field)))
    return f"{cause.code} ({shorten(cause.words, _WORDS, placeholder=' ...')})" if cause.words else cause.code


def rows(source: Side, target: Side, port: str, answers: Mapping[tuple[Name, Name], Both]) -> Iterator[Row]:
    """Yield the rows of a flow: one, if all its questions are answered alike.

    Else those who ask alike of everybody are one row, or those who are asked
    alike by everybody; and where neither is so, each question is.

    Args:
        source: who asks.
        target: whom.
        port: on which port.
        answers: by the names of who asks and who is asked.
    """
    if not answers:
        return
    by_source = _alike(source.names, {name: _of(answers, 0, name) for name in source.names})
    if by_source is not None:
        for names, both in by_source:
            yield Row(_part(source, names), target, port, *both)
        return
    by_target = _alike(target.names, {name: _of(answers, 1, name) for name in target.names})
    if by_target is not None:
        for names, both in by_target:
            yield Row(source, _part(target, names), port, *both)
        return
    for (one, other), both in answers.items():
        yield Row(_part(source, [one]), _part(target, [other]), port, *both)


def _of(answers: Mapping[tuple[Name, Name], Both], index: int, name: Name) -> list[Both]:
    return [both for names, both in answers.items() if names[index] == name]


def _alike(
    names: Iterable[Name], answers: Mapping[Name, Sequence[Both]]
) -> list[tuple[list[Name], Both]] | None:
    """Return names with the answer that all questions of each have; None if one has several."""
    found: dict[Key, tuple[list[Name], Both]] = {}
    for name in names:
        own = answers[name]
        if len({both.key for both in own}) > 1:
            return None
        if own:
            found.setdefault(own[0].key, ([], own[0]))[0].append(name)
    return list(found.values())


def _part(side: Side, names: Sequence[Name]) -> Side:
    """Return some of a side: by name if it is one, with their number if it is several."""
    if len(names) == len(side.names):
        return side
    if len(names) == 1:
        name = names[0]
        return Side(name, name if name.startswith(_KINDS) else f"pod/{name}", (name,))
    return Side(f"{side.shown} ({len(names)} of {len(side.names)})", side.point, tuple(names))
