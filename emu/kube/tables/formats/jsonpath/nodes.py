# SPDX-License-Identifier: GPL-2.0-only
"""What a jsonpath template is made of.

A template is a sequence of pieces: text, actions in braces, and ranges with a
body. An action is a sequence of steps, each taking the values the one before
it found.
"""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen


@frozen
class Text:
    """Text between actions, or quoted inside one."""

    text: str


@frozen
class Constant:
    """A number or boolean, which stands for every value it is asked of."""

    value: float | bool


@frozen
class Field:
    """`.name`: the value under a key of a map."""

    name: str


@frozen
class Key:
    """`['name']`: as `.name`, where a full stop parts keys unless a backslash is before it.

    kubectl finds nothing if a key itself has the full stop. Here `whole` is tried
    then, so the form that people write first finds what they mean.
    """

    steps: tuple[Step, ...]
    whole: str


@frozen
class Slice:
    """`[start:stop:step]`, or one index. None is what was left out.

    `one` tells `[-1]`, whose stop is the end, from `[-1:0]`.
    """

    start: int | None = None
    stop: int | None = None
    step: int | None = None
    one: bool = False


@frozen
class Wildcard:
    """`.*`: all values of a map or list."""


@frozen
class Recursive:
    """`..`: a value and all maps and lists in it, at any depth."""


@frozen
class Union:
    """`[a,b]`: what one finds, then what the next finds."""

    branches: tuple[tuple[Step, ...], ...]


@frozen
class Filter:
    """`[?(left operator right)]`: items for which it holds, or, without an operator, left exists."""

    left: tuple[Step, ...]
    operator: str = ""
    right: tuple[Step, ...] = ()


@frozen
class Word:
    """A bare word: `range` and `end` have a meaning."""

    name: str


Step: TypeAlias = Text | Constant | Field | Key | Slice | Wildcard | Recursive | Union | Filter | Word


@frozen
class Action:
    """What is between two braces."""

    steps: tuple[Step, ...]


@frozen
class Range:
    """`{range ...}` with all up to its `{end}`, which may be missing."""

    steps: tuple[Step, ...]
    body: tuple[Piece, ...]
    closed: bool


Piece: TypeAlias = Text | Action | Range
