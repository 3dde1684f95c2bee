# SPDX-License-Identifier: GPL-2.0-only
"""YAML and JSON text to plain values that still know their lines.

Values are built from the parser's events, not by PyYAML's constructor: that
one is slow on big lists, keeps no lines, and takes the last of two equal keys
in silence. What comes out are `str`, `int`, `float`, `bool`, `None`, and two
containers that *are* `dict` and `list` and know the line of each entry.

Plain scalars mean what YAML 1.1 and PyYAML's `safe_load` say (`yes` is true,
`0755` is 493, `1e3` without a dot is text), with two exceptions: there are no
numbers to the base of 60 and no dates, so an unquoted MAC address or time
stamp stays the text that was written. Keys are always the text that was
written. Tags beyond YAML's own scalars are refused, merge keys (`<<`) work.

What a hostile text can cost is bounded: its size, its depth, and its number of
values, those that aliases repeat included.
"""

from __future__ import annotations

import gc
import re
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from emu.errors import DocumentError, Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

Scalar: TypeAlias = "bool | int | float | str | None"
Value: TypeAlias = "Scalar | MappingNode | SequenceNode"

MAX_OCTETS: Final = 64 * 1024 * 1024
MAX_VALUES: Final = 5_000_000  # a dump of 20,000 Pods has about a million
MAX_DEPTH: Final = 100

_GC_PAUSE_ABOVE: Final = (
    1_000_000  # octets from which collecting garbage while building costs more than all else
)


class MappingNode(dict[str, "Value"]):
    """A mapping: a `dict` that knows the line of each of its keys.

    `line` is where it begins and `lines` has one line for each key, in the
    order of the keys; both count from 1.
    """

    __slots__ = ("line", "lines")

    def __init__(self, line: int = 1) -> None:
        super().__init__()
        self.line = line
        self.lines: list[int] = []

    def line_of(self, key: str) -> int:
        """Return the line on which `key` stands, or the mapping's own if it has no such key."""
        return next((line for name, line in zip(self, self.lines, strict=True) if name == key), self.line)


class SequenceNode(list["Value"]):
    """A sequence: a `list` that knows the line of each of its elements.

    `line` is where it begins; both count from 1.
    """

    __slots__ = ("line", "lines")

    def __init__(self, line: int = 1) -> None:
        super().__init__()
        self.line = line
        self.lines: list[int] = []


@attrs.frozen
class Document:
    """One document of a stream: its value, and the line where it begins.

    `faults` are duplicate keys and the like: the document cannot be used, but
    it can be read on, to find what else is wrong. Without any the value is not
    null.
    """

    file: str
    line: int
    value: Value
    faults: tuple[Fault, ...] = ()


def load(path: Path) -> tuple[Document, ...]:
    """Return the documents in the file at `path`, as `scan` does; `path` is their name in faults.

    Raises:
        DocumentError: the file cannot be read, or `scan` refuses it.
    """
    try:
        with path.open("rb") as stream:
            octets = stream.read(MAX_OCTETS + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _single_fault(str(path), 1, f"cannot be read: {reason}") from None
    return scan(octets, str(path))


def parse(text: str | bytes, file: str) -> tuple[Document, ...]:
    """Return the documents in `text`, as `scan` does, if none has a fault.

    Raises:
        DocumentError: `scan` refuses the text, or a document has faults.
    """
    documents = scan(text, file)
    if faults := [fault for document in documents for fault in document.faults]:
        raise DocumentError(faults)
    return documents


def scan(text: str | bytes, file: str) -> tuple[Document, ...]:
    """Return the documents in `text`, without the empty ones; each has its faults with it.

    Args:
        text: YAML or JSON, one or more documents; octets are UTF-8, or UTF-16
            with its byte order mark, as PowerShell writes it.
        file: name of the source, for faults.

    Raises:
        DocumentError: the text is no YAML or too big, so reading ended; with
            the faults found before.
    """
    characters = _decode(text, file)
    builder = _Builder(file)
    with _garbage_kept(len(characters) > _GC_PAUSE_ABOVE):
        try:
            builder.build(_events(characters))
        except yaml.YAMLError as error:
            raise builder.error(_syntax_fault(error, characters, file)) from None
        except _TooBigError as error:
            raise builder.error(Fault(file, builder.line, "$", str(error))) from None
    return tuple(builder.documents)


def _decode(text: str | bytes, file: str) -> str:
    if len(text) > MAX_OCTETS:
        raise _single_fault(file, 1, f"is longer than {MAX_OCTETS // 1024 // 1024} MiB")
    if isinstance(text, bytes):
        encoding = "utf-16" if text[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
        try:
            return text.decode(encoding)
        except UnicodeDecodeError as error:
            line = text.count(b"\n", 0, error.start) + 1
            raise _single_fault(file, line, f"is not {encoding[:6].upper().strip('-')} text") from None
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _single_fault(file, text.count("\n", 0, error.start) + 1, "holds half a character") from None
    return text.removeprefix("\ufeff")


def _events(text: str) -> Iterator[Event]:
    if text.lstrip()[:1] in {"{", "["} and "\\u" in text:
        text = _SURROGATES.sub(_joined, text)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    events: Iterator[Event] = yaml.parse(text, loader)
    return events


_SURROGATES: Final = re.compile(
    r"(?<!\\)((?:\\\\)*)((?:\\u[dD][89abAB][0-9a-fA-F]{2})(?:\\u[dD][c-fC-F][0-9a-fA-F]{2}))"
)


def _joined(pair: re.Match[str]) -> str:
    """Return the character that JSON writes as a pair of escapes, which YAML does not know."""
    high, low = (int(code, 16) for code in pair[2].split("\\u")[1:])
    return pair[1] + chr(0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF))


def _syntax_fault(error: yaml.YAMLError, text: str, file: str) -> Fault:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        parts = (error.problem, error.context)
        line = mark.line + 1 if mark else 1
    else:  # the reader's own: a character that YAML does not allow
        position = getattr(error, "position", 0)
        parts = (getattr(error, "reason", str(error)), None)
        line = text.encode().count(b"\n", 0, position) + 1
    message = ", ".join(part for part in parts if part)
    return Fault(file, line, "$", f"is no YAML: {message}")


def _single_fault(file: str, line: int, message: str) -> DocumentError:
    return DocumentError([Fault(file, line, "$", message)])


@contextmanager
def _garbage_kept(big: bool) -> Iterator[None]:  # noqa: FBT001 (named by its only caller)
    """Build without the cyclic garbage collector, which would walk the growing tree over and over."""
    pause = big and gc.isenabled()
    if pause:
        gc.disable()
    try:
        yield
    finally:
        if pause:
            gc.enable()


_SIMPLE_KEY: Final = re.compile(r"[\w<-]+")


def path_step(key: str | int) -> str:
    """Return one step of a path like `$.links[0].a`; a key that is no simple word is quoted."""
    if isinstance(key, int):
        return f"[{key}]"
    return f".{key}" if _SIMPLE_KEY.fullmatch(key) else f"[{key!r:.80}]"


# Plain scalars

_WORDS: Final[dict[str, bool | None]] = {
    spelling: value
    for value, words in ((True, ("yes", "true", "on")), (False, ("no", "false", "off")), (None, ("null",)))
    for word in words
    for spelling in (word, word.capitalize(), word.upper())
} | {"~": None, "": None}
_INTEGER: Final = re.compile(r"([-+]?)(?:0b([01_]+)|0x([0-9a-fA-F_]+)|(0[0-7_]+)|(0|[1-9][0-9_]*))")
_BASES: Final = (2, 16, 8, 10)
_REAL: Final = re.compile(
    r"(?:[-+]?[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


@lru_cache(maxsize=65536)
def _plain(text: str) -> Scalar:
    """Return what the unquoted `text` means in YAML 1.1."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    try:
        if number := _INTEGER.fullmatch(text):
            sign, *digits = number.groups()
            magnitude = next(int(d.replace("_", ""), b) for d, b in zip(digits, _BASES, strict=True) if d)
            return -magnitude if sign == "-" else magnitude
        if _REAL.fullmatch(text):
            return float(text.lower().replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:  # `0x_`, or more digits than Python converts: nobody means a number by it
        pass
    return text


_YAML_TAG: Final = "tag:yaml.org,2002:"
_TAGGED: Final[dict[str, type]] = {"int": int, "float": float, "bool": bool, "null": type(None)}


def _tagged(tag: str, text: str) -> Scalar:
    """Return the scalar `text` under an explicit `tag`.

    Raises:
        ValueError: the tag is none of YAML's plain scalars, or `text` is none of its values.
    """
    kind = tag.removeprefix(_YAML_TAG)
    if kind in {"!", "str"}:
        return text
    if kind not in _TAGGED:
        raise ValueError(f"the tag {_shown(tag)} is not supported")
    value = _plain(text)
    if kind == "float" and type(value) is int:
        return float(value)
    if type(value) is not _TAGGED[kind]:
        raise ValueError(f"{text!r} is no {kind}")
    return value


def _shown(tag: str) -> str:
    return f"!!{tag.removeprefix(_YAML_TAG)}" if tag.startswith(_YAML_TAG) else tag


# Structure


class _Merge:
    """The key `<<`, whose value adds keys of other mappings."""


_MERGE: Final = _Merge()
_COLLECTION_TAGS: Final = {MappingNode: {"!", f"{_YAML_TAG}map"}, SequenceNode: {"!", f"{_YAML_TAG}seq"}}


class _Open:
    """A container whose end has not come yet."""

    __slots__ = ("anchor", "first", "key", "key_line", "merged", "node")

    def __init__(self, node: MappingNode | SequenceNode, anchor: str | None, first: int) -> None:
        self.node = node
        self.anchor = anchor
        self.first = first  # how many values there were before it
        self.key: str | _Merge | None = None  # the key whose value comes next
        self.key_line = 0
        self.merged: list[MappingNode] | None = None


class _TooBigError(Exception):
    """The text costs more than it may; reading ends here."""


class _Builder:
    """Builds the documents of one stream from the parser's events."""

    def __init__(self, file: str) -> None:
        self.documents: list[Document] = []
        self.line = 1  # where the reading is
        self._file = file
        self._faults: list[Fault] = []  # of the document under way
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Value, int]] = {}  # with how many values it stands for
        self._values = 0

    def error(self, last: Fault) -> DocumentError:
        """Return all faults up to the `last`, which ended the reading."""
        return DocumentError(
            [*(f for document in self.documents for f in document.faults), *self._faults, last]
        )

    def build(self, events: Iterable[Event]) -> None:
        """Take all events.

        Raises:
            _TooBigError: a limit is reached.
            YAMLError: the parser, which makes the events as they are asked for, came upon a syntax error.
        """
        for event in events:
            if isinstance(event, ScalarEvent):
                self._scalar(event)
            elif isinstance(event, MappingStartEvent):
                self._open(event, MappingNode)
            elif isinstance(event, SequenceStartEvent):
                self._open(event, SequenceNode)
            elif isinstance(event, CollectionEndEvent):
                self._close()
            elif isinstance(event, AliasEvent):
                self._alias(event)
            elif isinstance(event, DocumentStartEvent):
                self._anchors.clear()
                self._faults.clear()

    def _scalar(self, event: ScalarEvent) -> None:
        self.line = line = _line_of(event)
        text = event.value
        is_plain = event.implicit[0]
        top = self._stack[-1] if self._stack else None
        if top is not None and top.key is None and isinstance(top.node, MappingNode):
            self._key(top, _MERGE if is_plain and text == "<<" else text, line)
            if event.anchor:
                self._anchors[event.anchor] = (text, 1)
            return
        self._count(1)
        value: Scalar = text
        if is_plain:
            value = _plain(text)
        elif event.tag is not None:
            try:
                value = _tagged(event.tag, text)
            except ValueError as error:
                self._fault(line, str(error))
        if event.anchor:
            self._anchors[event.anchor] = (value, 1)
        self._attach(value, line)

    def _key(self, top: _Open, key: str | _Merge, line: int) -> None:
        top.key, top.key_line = key, line
        if isinstance(key, _Merge):
            if top.merged is not None:
                self._fault(line, "duplicate key")
        elif key in top.node and isinstance(top.node, MappingNode):
            self._fault(line, f"duplicate key (first on line {top.node.line_of(key)})")

    def _open(self, event: CollectionStartEvent, kind: type[MappingNode | SequenceNode]) -> None:
        self.line = line = _line_of(event)
        if event.tag is not None and event.tag not in _COLLECTION_TAGS[kind]:
            self._fault(line, f"the tag {_shown(event.tag)} is not supported")
        if len(self._stack) >= MAX_DEPTH:
            raise _TooBigError(f"is nested deeper than {MAX_DEPTH} levels")
        self._stack.append(_Open(kind(line), event.anchor, self._values))
        self._count(1)

    def _close(self) -> None:
        closed = self._stack.pop()
        node = closed.node
        if closed.merged is not None and isinstance(node, MappingNode):
            node = _merge(node, closed.merged)
        if closed.anchor:
            self._anchors[closed.anchor] = (node, self._values - closed.first)
        self._attach(node, node.line)

    def _alias(self, event: AliasEvent) -> None:
        self.line = line = _line_of(event)
        value, size = self._anchors.get(event.anchor or "", (None, 0))
        if not size:
            self._fault(line, f"there is no &{event.anchor} before this (nor can it stand inside itself)")
        self._count(size)
        self._attach(value, line)

    def _attach(self, value: Value, line: int) -> None:
        """Put a finished value where it belongs."""
        if not self._stack:
            if value is not None or self._faults:
                self.documents.append(Document(self._file, line, value, tuple(self._faults)))
            return
        top = self._stack[-1]
        node, key = top.node, top.key
        if isinstance(node, SequenceNode):
            node.append(value)
            node.lines.append(line)
        elif isinstance(key, str):
            if key not in node:
                node.lines.append(top.key_line)
            node[key] = value
            top.key = None
        elif key is not None:
            top.merged = self._mappings(value, line)
            top.key = None
        elif isinstance(value, str):  # an alias that stands as a key
            self._key(top, value, line)
        else:
            self._fault(line, "a key has to be text")
            self._key(top, f"? on line {line}", line)

    def _mappings(self, value: Value, line: int) -> list[MappingNode]:
        """Return what the key `<<` adds."""
        parts = value if isinstance(value, SequenceNode) else [value]
        mappings = [part for part in parts if isinstance(part, MappingNode)]
        if len(mappings) < len(parts):
            self._fault(line, "takes a mapping or a list of mappings")
        return mappings

    def _count(self, values: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise _TooBigError(f"holds more than {MAX_VALUES} values (aliases count each time)")

    def _fault(self, line: int, message: str) -> None:
        path = "$"
        for level in self._stack:
            if isinstance(level.node, SequenceNode):
                path += path_step(len(level.node))
            elif level.key is not None:
                path += path_step("<<" if isinstance(level.key, _Merge) else level.key)
        self._faults.append(Fault(self._file, line, path, message))


def _line_of(event: Event) -> int:
    mark = event.start_mark
    return mark.line + 1 if mark is not None else 1


def _merge(own: MappingNode, others: list[MappingNode]) -> MappingNode:
    """Return `own` with what it lacks from `others`, whose earlier ones win; merged keys come first."""
    result = MappingNode(own.line)
    lines: dict[str, int] = {}
    for mapping in (*reversed(others), own):
        for (key, value), line in zip(mapping.items(), mapping.lines, strict=True):
            result[key] = value
            lines[key] = line
    result.lines = list(lines.values())
    return result
