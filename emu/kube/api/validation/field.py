# SPDX-License-Identifier: GPL-2.0-only
"""A field of a manifest, and what can be wrong with it in Kubernetes' own words.

Source: staging/src/k8s.io/apimachinery/pkg/util/validation/field/errors.go.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from emu.document import MappingNode, SequenceNode, Value, path_step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kube.api.validation.report import Report

_SHOWN: Final = 500  # characters of a value that a fault repeats


class Field:
    """A value in a manifest and the way to it; null is as good as not given.

    What has a wrong type reads as nothing: the schema has told of it.
    """

    __slots__ = ("_key", "_parent", "report", "value")

    def __init__(
        self, value: Value, report: Report, parent: Field | None = None, key: str | int = ""
    ) -> None:
        self.value = value
        self.report = report
        self._parent = parent
        self._key = key

    @property
    def version(self) -> tuple[int, int]:
        """The version of Kubernetes whose rules hold."""
        return self.report.version

    @property
    def is_given(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    def at(self, *keys: str) -> Field:
        """Return the field below, which need not exist."""
        field = self
        for key in keys:
            value = field.value
            field = Field(value.get(key) if isinstance(value, dict) else None, self.report, field, key)
        return field

    def items(self, key: str) -> list[Field]:
        """Return the elements of the list at `key`."""
        field = self.at(key)
        return field.elements() if field.value else []

    def elements(self) -> list[Field]:
        """Return the elements of a list."""
        value = self.value
        if not isinstance(value, list):
            return []
        return [Field(one, self.report, self, index) for index, one in enumerate(value)]

    def entries(self) -> list[tuple[str, Field]]:
        """Return the keys and values of a map."""
        value = self.value
        if not isinstance(value, dict):
            return []
        return [(key, Field(one, self.report, self, key)) for key, one in value.items()]

    def has(self, key: str) -> bool:
        """Return whether the field `key` has a value."""
        return isinstance(self.value, dict) and self.value.get(key) is not None

    def text(self, key: str) -> str:
        """Return the text at `key`, empty if there is none."""
        value = self.value.get(key) if isinstance(self.value, dict) else None
        return value if isinstance(value, str) else ""

    def number(self, key: str) -> int | None:
        """Return the whole number at `key`."""
        value = self.value.get(key) if isinstance(self.value, dict) else None
        return value if type(value) is int else None

    def flag(self, key: str) -> bool:
        """Return whether `key` is true."""
        return isinstance(self.value, dict) and self.value.get(key) is True

    @property
    def line(self) -> int:
        """Line of the field's key; that of the mapping around it where the field is not there."""
        if self._parent is None:
            return self.value.line if isinstance(self.value, MappingNode | SequenceNode) else 1
        around = self._parent.value
        if isinstance(around, MappingNode) and self._key in around:
            return around.line_of(str(self._key))
        if isinstance(around, SequenceNode) and isinstance(self._key, int):
            return around.lines[self._key]
        return self._parent.line

    @property
    def path(self) -> str:
        """The way to it, like `$.spec.ports[0].port`."""
        if self._parent is None:
            return self.report.manifest.path
        return self._parent.path + path_step(self._key)

    def error(self, message: str, *, line: int | None = None) -> None:
        """Report that an API server refuses this, on another `line` where that is the better one."""
        self.report.error(line or self.line, self.path, message)

    def warn(self, message: str) -> None:
        """Report that an API server warns of this."""
        self.report.warning(self.line, self.path, message)

    def required(self, detail: str = "") -> None:
        """Report that there has to be a value."""
        self.error(f"Required value: {detail}" if detail else "Required value")

    def invalid(self, detail: str, *, value: object = ..., line: int | None = None) -> None:
        """Report that the value, or the `value` given, is none that can be."""
        what = self.value if value is ... else value
        self.error(f"Invalid value: {shown(what)}: {detail}", line=line)

    def each_invalid(self, details: Iterable[str]) -> None:
        """Report all that is wrong with the value."""
        for detail in details:
            self.invalid(detail)

    def forbidden(self, detail: str) -> None:
        """Report that there must be no value."""
        self.error(f"Forbidden: {detail}")

    def duplicate(self, value: object = ...) -> None:
        """Report that the value was there before."""
        self.error(f"Duplicate value: {shown(self.value if value is ... else value)}")

    def not_found(self) -> None:
        """Report that the value names nothing that is there."""
        self.error(f"Not found: {shown(self.value)}")

    def too_many(self, limit: int) -> None:
        """Report that a list has more than `limit` elements."""
        count = len(self.value) if isinstance(self.value, list | dict) else 0
        self.error(f"Too many: {count}: must have at most {limit} items")

    def one_of(self, *supported: str) -> None:
        """Report a text that is given and is none of those that are `supported`."""
        if isinstance(self.value, str) and self.value not in supported:
            names = ", ".join(f'"{name}"' for name in supported)
            self.error(f"Unsupported value: {shown(self.value)}: supported values: {names}")

    def at_least(self, key: str, limit: int = 0) -> None:
        """Report the number at `key` if it is below `limit`."""
        number = self.number(key)
        if number is not None and number < limit:
            self.at(key).invalid(f"must be greater than or equal to {limit}")


def shown(value: object) -> str:
    """Return a value as Kubernetes writes it in a message: text quoted, numbers bare, objects as JSON."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except ValueError:  # Python writes no number of thousands of digits
        return "a number too big to show"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
