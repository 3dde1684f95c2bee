# SPDX-License-Identifier: GPL-2.0-only
"""From a template's text to its pieces, with kubectl's complaints.

Source: `k8s.io/client-go/util/jsonpath/parser.go`, which says what is accepted;
quirks of it that people meet are kept, such as `@` and `$` both standing for
the value at hand.
"""

from __future__ import annotations

import re
from typing import Final

from emu.errors import CommandError
from emu.kube.tables.formats.jsonpath.nodes import (
    Action,
    Constant,
    Field,
    Filter,
    Key,
    Piece,
    Range,
    Recursive,
    Slice,
    Step,
    Text,
    Union,
    Wildcard,
    Word,
)
from emu.kube.tables.formats.jsonpath.quotes import unquote

LONGEST: Final = 1 << 16  # characters; nobody writes so many, and each costs a step
DEEPEST: Final = 32  # filters, unions and ranges inside each other

_ENDS_WORD: Final = frozenset(" \t\r\n.,[]$@{}")
_INDEX: Final = re.compile(r"(-?\d*)(:-?\d*)?(:-?\d*)?")
_COMPARISON: Final = re.compile(r"([^!<>=]+)([!<>=]+)(.+)", re.DOTALL)
_INT64: Final = range(-(1 << 63), 1 << 63)


def parse(text: str) -> tuple[Piece, ...]:
    """Return the pieces of a template.

    Raises:
        CommandError: it is wrong; the message is the complaint alone.
    """
    if len(text) > LONGEST:
        raise CommandError(f"a template has at most {LONGEST} characters", 1)
    return _nest(_flat(text, 0))


def _nest(flat: list[Text | Action]) -> tuple[Piece, ...]:
    """Return the pieces with each range holding its body."""
    open_ranges: list[tuple[tuple[Step, ...], list[Piece]]] = []
    top: list[Piece] = []
    pieces = top
    for piece in flat:
        words = _words(piece)
        if "range" in words and isinstance(piece, Action):
            if len(open_ranges) >= DEEPEST:
                raise CommandError("ranges are nested too deeply", 1)
            pieces = []
            open_ranges.append((piece.steps, pieces))
        elif "end" in words and open_ranges:
            steps, body = open_ranges.pop()
            pieces = open_ranges[-1][1] if open_ranges else top
            pieces.append(Range(steps, tuple(body), closed=True))
        else:
            pieces.append(piece)
    while open_ranges:
        steps, body = open_ranges.pop()
        (open_ranges[-1][1] if open_ranges else top).append(Range(steps, tuple(body), closed=False))
    return tuple(top)


def _words(piece: Text | Action) -> set[str]:
    return (
        {step.name for step in piece.steps if isinstance(step, Word)} if isinstance(piece, Action) else set()
    )


def _flat(text: str, depth: int) -> list[Text | Action]:
    """Return text and actions in turn."""
    if depth > DEEPEST:
        raise CommandError("filters and unions are nested too deeply", 1)
    pieces: list[Text | Action] = []
    at = 0
    while at < len(text):
        brace = text.find("{", at)
        if brace < 0:
            pieces.append(Text(text[at:]))
            break
        if brace > at:
            pieces.append(Text(text[at:brace]))
        reader = _Reader(text, brace + 1, depth)
        pieces.append(Action(tuple(reader.steps())))
        at = reader.at
    return pieces


def _inside(text: str, depth: int) -> tuple[Step, ...]:
    """Return the steps of an action that is written without its braces."""
    first = _flat("{" + text + "}", depth + 1)[0]
    assert isinstance(first, Action)
    return first.steps


class _Reader:
    """Reads one action, from behind its brace to behind the closing one."""

    def __init__(self, text: str, at: int, depth: int) -> None:
        self.text = text
        self.at = at
        self.depth = depth

    def steps(self) -> list[Step]:
        """Return all steps up to the closing brace, and stand behind it."""
        steps: list[Step] = []
        while not self.text.startswith("}", self.at):
            sign = self.text[self.at : self.at + 1]
            if not sign or sign in "\r\n":
                raise CommandError("unclosed action", 1)
            if sign in " @$":
                self.at += 1
            elif self.text.startswith("..", self.at):
                if steps and isinstance(steps[-1], Recursive):
                    raise CommandError("invalid multiple recursive descent", 1)
                steps += self._descent()
            else:
                steps.append(self._step(sign))
        self.at += 1
        return steps

    def _descent(self) -> list[Step]:
        self.at += 2
        has_name = re.match(r"\w", self.text[self.at : self.at + 1])
        return [Recursive(), self._field()] if has_name else [Recursive()]

    def _step(self, sign: str) -> Step:
        """Return the step that begins with `sign`."""
        if sign == "[":
            return self._filter() if self.text.startswith("[?(", self.at) else self._index()
        if sign in "\"'":
            return self._quote(sign)
        if sign == ".":
            self.at += 1
            return self._field()
        if sign in "+-" or sign.isdecimal():
            return self._number()
        if sign.isalpha() or sign == "_":
            word = self._word()
            return Constant(word == "true") if word in {"true", "false"} else Word(word)
        raise CommandError(f"unrecognized character in action: U+{ord(sign):04X} '{sign}'", 1)

    def _word(self) -> str:
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in _ENDS_WORD:
            self.at += 1
        return self.text[start : self.at]

    def _field(self) -> Step:
        signs = []
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in _ENDS_WORD:
            if self.text[self.at] == "\\":
                self.at += 1
            signs.append(self.text[self.at : self.at + 1])
            self.at += 1
        return Wildcard() if self.text[start : self.at] == "*" else Field("".join(signs))

    def _number(self) -> Constant:
        start = self.at
        if self.text[self.at] in "+-":
            self.at += 1
        while self.at < len(self.text) and (self.text[self.at] == "." or self.text[self.at].isdecimal()):
            self.at += 1
        written = self.text[start : self.at]
        if re.fullmatch(r"[+-]?\d{1,19}", written, re.ASCII) and int(written) in _INT64:
            return Constant(int(written))
        if re.fullmatch(r"[+-]?(\d{1,300}\.?\d*|\.\d+)", written, re.ASCII):
            return Constant(float(written))
        raise CommandError(f"cannot parse number {written}", 1)

    def _quote(self, mark: str) -> Text:
        end = self._closing(mark, self.at + 1, "unterminated quoted string")
        written = self.text[self.at : end + 1]
        self.at = end + 1
        return Text(unquote(written))

    def _closing(self, mark: str, at: int, complaint: str) -> int:
        """Return where the next `mark` without a backslash before it stands."""
        while at < len(self.text) and self.text[at] != "\n":
            if self.text[at] == mark and self.text[at - 1] != "\\":
                return at
            at += 1
        raise CommandError(complaint, 1)

    def _index(self) -> Step:
        end = self.text.find("]", self.at)
        if end < 0 or "\n" in self.text[self.at : end]:
            raise CommandError("unterminated array", 1)
        written = self.text[self.at + 1 : end]
        self.at = end + 1
        if written == "*":
            return Slice()
        if "," in written:
            parts = [part.strip(" ") for part in written.split(",")]
            return Union(tuple(_inside(f"[{part}]", self.depth) for part in parts))
        if len(written) >= 2 and written[0] == written[-1] == "'" and "'" not in written[1:-1]:
            name = written[1:-1]
            return Key(_inside(f".{name}", self.depth), name)
        return _slice(written)

    def _filter(self) -> Filter:
        at = self.at + 3
        mark = ""
        closed = False
        while True:
            sign = self.text[at : at + 1]
            if not sign or sign == "\n":
                raise CommandError("unterminated filter", 1)
            if sign in "\"'":
                if not mark:
                    mark = sign
                elif sign == mark and self.text[at - 1] != "\\":
                    closed = True
            elif sign == ")" and bool(mark) == closed:
                break
            at += 1
        written = self.text[self.at + 3 : at]
        if not self.text.startswith("]", at + 1):
            raise CommandError("unclosed array expect ]", 1)
        self.at = at + 2
        comparison = _COMPARISON.fullmatch(written)
        if comparison is None:
            return Filter(_inside(written, self.depth))
        left, operator, right = comparison.groups()
        return Filter(_inside(left, self.depth), operator, _inside(right, self.depth))


def _slice(written: str) -> Slice:
    """Return `1`, `1:2` or `1:2:3`, where each number may be left out."""
    parts = _INDEX.fullmatch(written)
    if parts is None:
        raise CommandError(f"invalid array index {written}", 1)
    first, second, third = parts.groups()
    start = _integer(first) if first else None
    if second is None:  # one item; nothing between the brackets is item 0
        return Slice(start or 0, (start or 0) + 1, one=True)
    return Slice(start, _integer(second[1:]), _integer(third[1:]) if third else None)


def _integer(written: str) -> int | None:
    if not written:
        return None
    if not re.fullmatch(r"-?\d{1,19}", written, re.ASCII) or int(written) not in _INT64:
        raise CommandError(f"array index {written} is not a number", 1)
    return int(written)
