# SPDX-License-Identifier: GPL-2.0-only
"""From the parser's events to values that know their lines.

PyYAML's own constructor is slow on big lists, keeps no lines, and takes the
last of two equal keys in silence. Keys are always the text that was written;
merge keys (`<<`) work; tags beyond YAML's own scalars are faults.

What a hostile text can cost is bounded: its depth, its faults, and its number
of values, those that aliases repeat included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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

from emu.document.nodes import Document, MappingNode, SequenceNode, path_step
from emu.document.scalars import YAML_TAG, plain, shown_tag, tagged
from emu.errors import DocumentError, Fault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.document.nodes import Scalar, Value

MAX_VALUES: Final = 5_000_000  # a dump of 20,000 Pods has about a million
MAX_DEPTH: Final = 100
MAX_FAULTS: Final = 1000  # in one document; whoever has more has another kind of file


class _Merge:
    """The key `<<`, whose value adds keys of other mappings."""


_MERGE: Final = _Merge()
_COLLECTION_TAGS: Final = {MappingNode: {"!", f"{YAML_TAG}map"}, SequenceNode: {"!", f"{YAML_TAG}seq"}}


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


class TooBigError(Exception):
    """The text costs more than it may, or is hopeless; reading ends here."""


class Builder:
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
            TooBigError: a limit is reached.
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
        if not text.isascii():
            text = self._whole(text, line)
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
            value = plain(text)
        elif event.tag is not None:
            try:
                value = tagged(event.tag, text)
            except ValueError as error:
                self._fault(line, str(error))
        if event.anchor:
            self._anchors[event.anchor] = (value, 1)
        self._attach(value, line)

    def _whole(self, text: str, line: int) -> str:
        """Return `text` if every character is whole; PyYAML without its C part lets halves pass."""
        try:
            text.encode()
        except UnicodeEncodeError:
            self._fault(line, "holds half a character")
            return ""
        return text

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
            self._fault(line, f"the tag {shown_tag(event.tag)} is not supported")
        if len(self._stack) >= MAX_DEPTH:
            raise TooBigError(f"is nested deeper than {MAX_DEPTH} levels")
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
            raise TooBigError(f"holds more than {MAX_VALUES} values (aliases count each time)")

    def _fault(self, line: int, message: str) -> None:
        path = "$"
        for level in self._stack:
            if isinstance(level.node, SequenceNode):
                path += path_step(len(level.node))
            elif level.key is not None:
                path += path_step("<<" if isinstance(level.key, _Merge) else level.key)
        self._faults.append(Fault(self._file, line, path, message))
        if len(self._faults) >= MAX_FAULTS:
            raise TooBigError("has too many faults to tell them all")


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
