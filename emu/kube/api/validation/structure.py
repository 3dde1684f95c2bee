# SPDX-License-Identifier: GPL-2.0-only
"""What the schema says of a manifest, in the words of an API server's decoder.

The compiled schema tells whether all is well, which is quick; only when
something is wrong, the places are looked up and the words found.

Source: encoding/json `UnmarshalTypeError.Error` of Go, sigs.k8s.io/json (strict
errors), apimachinery/pkg/api/resource/quantity.go.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from jsonschema_rs import ValidationErrorKind

from emu.document import MappingNode, SequenceNode, path_step
from emu.errors import did_you_mean
from emu.kube.api.validation.field import shown
from emu.kube.api.validation.schemas import definitions, properties, validator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jsonschema_rs import ValidationError

    from emu.document import Value
    from emu.kube.api.validation.report import Report
    from emu.kube.api.validation.schemas import Schema


class Mode(StrEnum):
    """What becomes of fields that no schema declares, as kubectl's `--validate` has it.

    Whatever the mode, the API server refuses what breaks its other rules.
    """

    STRICT = "strict"  # an error
    WARN = "warn"  # a warning
    IGNORE = "ignore"  # nothing


class _Declared(NamedTuple):
    """What the schemas say of a place: the struct that has the field, the fields on the way, the schema."""

    struct: str
    fields: str
    schema: Schema


_PREFIX: Final = "io.k8s."
_JSON_TYPES: Final = {dict: "object", list: "array", str: "string", bool: "bool"}


def check_structure(report: Report, definition: str, mode: Mode) -> None:
    """Report what the schema of a kind finds wrong with a manifest."""
    node = report.manifest.node
    compiled = validator(definition)
    if compiled.is_valid(node):
        return
    for error in compiled.iter_errors(node):
        _Place(report, definition, error.instance_path).tell(error, mode)


class _Place:
    """Where the schema found something."""

    def __init__(self, report: Report, definition: str, steps: Sequence[str | int]) -> None:
        self._report = report
        self._definition = definition
        self._steps = list(steps)
        self.value: Value = report.manifest.node
        self.path = report.manifest.path
        self.line = report.manifest.node.line
        for step in steps:
            self._enter(step)

    def _enter(self, step: str | int) -> None:
        around = self.value
        if isinstance(around, MappingNode):
            self.line, self.value = around.line_of(str(step)), around[str(step)]
        elif isinstance(around, SequenceNode):
            self.line, self.value = around.lines[int(step)], around[int(step)]
        self.path += path_step(step)

    def tell(self, error: ValidationError, mode: Mode) -> None:
        """Report one error of the schema."""
        match error.kind:
            case ValidationErrorKind.AdditionalProperties(unexpected):
                for key in unexpected:
                    self._unknown(key, mode)
            case ValidationErrorKind.Required(key):
                if self._steps[:1] != ["status"]:  # `status: {}` is what kubectl itself writes
                    self._report.lacks(self.line, self.path + path_step(str(key)))
            case ValidationErrorKind.Pattern():
                self._refuse(_ill_formed(self.value))
            case _ if self.value is None:
                self._report.lacks(self.line, self.path)
            case _:
                self._refuse(self._wrong_type())

    def _refuse(self, message: str) -> None:
        self._report.error(self.line, self.path, message)
        self._report.unreadable.add(self.path)

    def _unknown(self, key: str, mode: Mode) -> None:
        around = cast("MappingNode", self.value)
        path = self.path + path_step(key)
        known = properties(_resolved(_declared(self._definition, self._steps).schema))
        free = [name for name in known if name not in around]
        hint = did_you_mean(key, free) or did_you_mean(key, known)
        message = f'unknown field "{path[len(self._report.manifest.path) + 1 :]}"{hint}'
        if mode is Mode.STRICT:
            self._report.error(around.line_of(key), path, message)
            meant = [name for name in free if hint.endswith(f"{name!r}?")]
            self._report.unreadable.update(self.path + path_step(name) for name in meant)
        elif mode is Mode.WARN:
            self._report.warning(around.line_of(key), path, message)

    def _wrong_type(self) -> str:
        struct, fields, schema = _declared(self._definition, self._steps)
        wanted = _go_type(schema)
        found = _JSON_TYPES.get(_plain_type(self.value), "number")
        if found == "number" and wanted in {"int32", "int64"}:
            found = f"number {shown(self.value)}"
        hint = "; quote it" if wanted == "string" and isinstance(self.value, int | float) else ""
        place = f"{_short(struct).partition('.')[2]}.{fields}"
        return f"json: cannot unmarshal {found} into Go struct field {place} of type {wanted}{hint}"


def _plain_type(value: Value) -> type:
    if isinstance(value, dict):
        return dict
    return list if isinstance(value, list) else type(value)


def _ill_formed(value: Value) -> str:
    if isinstance(value, str) and any(letter in value for letter in "-:/ ") and len(value) > 8:
        return f'parsing time {shown(value)} as "2006-01-02T15:04:05Z07:00"'
    return "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


def _declared(definition: str, steps: Sequence[str | int]) -> _Declared:
    """Return what the schemas declare for the place that `steps` lead to from the top."""
    struct, fields = definition, []
    schema: Schema = {"$ref": f"#/$defs/{definition}"}
    for step in steps:
        here = _resolved(schema)
        declared = properties(here)
        if isinstance(step, str) and step in declared:
            struct = _name(schema) or struct
            fields.append(step)
            schema = cast("Schema", declared[step])
        else:
            schema = cast("Schema", here["items" if isinstance(step, int) else "additionalProperties"])
    return _Declared(struct, ".".join(fields), schema)


def _name(schema: Schema) -> str:
    reference = schema.get("$ref")
    return reference.rpartition("/")[2] if isinstance(reference, str) else ""


def _resolved(schema: Schema) -> Schema:
    name = _name(schema)
    return definitions()[name] if name else schema


def _short(definition: str) -> str:
    """Return how Go calls the type of a definition: `v1.Pod`."""
    return ".".join(definition.removeprefix(_PREFIX).split(".")[-2:])


def _go_type(schema: Schema) -> str:
    """Return how Go calls the type that a schema describes."""
    if name := _name(schema):
        return _short(name)
    types = schema["type"]
    words = [word for word in types if word != "null"] if isinstance(types, list) else [types]
    match words[0]:
        case "array":
            return f"[]{_go_type(cast('Schema', schema.get('items', {})))}"
        case "object":
            inner = schema.get("additionalProperties")
            return f"map[string]{_go_type(inner)}" if isinstance(inner, dict) else "map[string]interface {}"
        case "boolean":
            return "bool"
        case "integer":
            return "int32" if schema.get("maximum") == 2**31 - 1 else "int64"
        case word:
            return str(word)
