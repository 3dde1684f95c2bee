# SPDX-License-Identifier: GPL-2.0-only
"""What the schema says of a manifest, in the words of an API server's decoder.

The compiled schema tells whether all is well, which is quick. Only where it
is not, the manifest is walked along its schema to find the places and the
words: the validator's own account of them mixes up keys like `01` and 1.

Source: encoding/json `UnmarshalTypeError.Error` of Go, sigs.k8s.io/json (strict
errors), apimachinery/pkg/api/resource/quantity.go.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final, cast

import attrs

from emu.document import MAX_FAULTS, MappingNode, SequenceNode, path_step
from emu.errors import did_you_mean
from emu.kube.api.validation.field import shown
from emu.kube.api.validation.schemas import definitions, properties, validator

if TYPE_CHECKING:
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


_FITS: Final[dict[str, tuple[type, ...]]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}
_KEYS: Final = {"address", "ip", "name", "type"}  # of a status, which is not asked whether it is complete
_JSON_TYPES: Final = {dict: "object", list: "array", str: "string", bool: "bool"}
_FLAGS: Final = re.ASCII | re.DOTALL
_QUANTITY: Final = "quantities must match the regular expression '{}'"
_TIME: Final = 'parsing time {} as "2006-01-02T15:04:05Z07:00"'


def check_structure(report: Report, definition: str, mode: Mode) -> None:
    """Report what the schema of a kind finds wrong with a manifest."""
    node = report.manifest.node
    if not validator(definition).is_valid(node):
        walk(report, definition, mode)


def walk(report: Report, definition: str, mode: Mode) -> None:
    """Report what is wrong with a manifest by its schema, without asking first whether anything is."""
    top = _Place(report.manifest.node, {"$ref": f"#/$defs/{definition}"}, report.manifest.path)
    _Walk(report, mode).enter(attrs.evolve(top, line=report.manifest.node.line))


@attrs.frozen
class _Place:
    """A value, what the schema wants of it, and the way to it."""

    value: Value
    schema: Schema
    path: str
    line: int = 1
    struct: str = ""  # definition of the struct whose field this is
    fields: str = ""  # the fields on the way, as Go counts them: without indexes and keys

    def below(self, key: str | int, value: Value, line: int, schema: object) -> _Place:
        """Return the place of an entry that is no field."""
        here = cast("Schema", schema)
        return _Place(value, here, self.path + path_step(key), line, self.struct, self.fields)


@attrs.frozen
class _Walk:
    """Goes through one manifest."""

    report: Report
    mode: Mode

    def enter(self, place: _Place) -> None:
        """Look at a value and at all below it."""
        if len(self.report.errors) >= MAX_FAULTS:
            return
        value, schema = place.value, _resolved(place.schema)
        if value is None:
            if not _may_be_null(schema):
                self.report.lacks(place.line, place.path)
        elif not _fits(value, schema):
            self._refuse(place, _wrong_type(place))
        elif isinstance(value, MappingNode):
            self._mapping(place, value, schema)
        elif isinstance(value, SequenceNode):
            for index, (one, line) in enumerate(zip(value, value.lines, strict=True)):
                self.enter(place.below(index, one, line, schema["items"]))
        elif isinstance(value, str) and not re.fullmatch(str(schema.get("pattern", ".*")), value, _FLAGS):
            is_time = _short(_name(place.schema)).endswith("Time")
            self._refuse(
                place, _TIME.format(shown(value)) if is_time else _QUANTITY.format(schema["pattern"])
            )

    def _mapping(self, place: _Place, mapping: MappingNode, schema: Schema) -> None:
        declared = properties(schema)
        others = schema.get("additionalProperties")
        for (key, value), line in zip(mapping.items(), mapping.lines, strict=True):
            if key in declared:
                below = place.below(key, value, line, declared[key])
                fields = f"{place.fields}.{key}" if place.fields else key
                self.enter(attrs.evolve(below, struct=_name(place.schema) or place.struct, fields=fields))
            elif isinstance(others, dict):
                self.enter(place.below(key, value, line, others))
            elif others is False and len(self.report.errors) < MAX_FAULTS:
                self._unknown(place, mapping, key, line)
        for name in cast("list[str]", schema.get("required", [])):
            if name not in mapping and (name in _KEYS or not place.fields.startswith("status")):
                self.report.lacks(place.line, place.path + path_step(name))

    def _refuse(self, place: _Place, message: str) -> None:
        self.report.error(place.line, place.path, message)
        self.report.unreadable.add(place.path)

    def _unknown(self, place: _Place, mapping: MappingNode, key: str, line: int) -> None:
        path = place.path + path_step(key)
        known = properties(_resolved(place.schema))
        free = [name for name in known if name not in mapping]
        hint = did_you_mean(key, free) or did_you_mean(key, known)
        message = f'unknown field "{path[len(self.report.manifest.path) + 1 :]}"{hint}'
        if self.mode is Mode.STRICT:
            self.report.error(line, path, message)
            meant = [name for name in free if hint.endswith(f"{name!r}?")]
            self.report.unreadable.update(place.path + path_step(name) for name in meant)
        elif self.mode is Mode.WARN:
            self.report.warning(line, path, message)


def _fits(value: Value, schema: Schema) -> bool:
    """Return whether a value has one of the types a schema wants, and as a number is in its bounds."""
    wanted = schema.get("type")
    types = wanted if isinstance(wanted, list) else [wanted]
    for word in types:
        if word is None or (
            isinstance(value, _FITS.get(str(word), ())) and not _is_bool_as_number(value, word)
        ):
            break
        if word == "integer" and isinstance(value, float) and value.is_integer():
            break
    else:
        return False
    if isinstance(value, int | float) and isinstance(low := schema.get("minimum"), int):
        return low <= value <= cast("int", schema["maximum"])
    return True


def _may_be_null(schema: Schema) -> bool:
    wanted = schema.get("type")
    return wanted is None or (isinstance(wanted, list) and "null" in wanted)


def _is_bool_as_number(value: Value, word: object) -> bool:
    return isinstance(value, bool) and word != "boolean"


def _wrong_type(place: _Place) -> str:
    wanted = _go_type(place.schema)
    found = next((name for kind, name in _JSON_TYPES.items() if isinstance(place.value, kind)), "number")
    if found == "number" and wanted in {"int32", "int64"}:
        found = f"number {shown(place.value)}"
    hint = "; quote it" if wanted == "string" and isinstance(place.value, int | float) else ""
    field = f"{_short(place.struct).partition('.')[2]}.{place.fields}"
    return f"json: cannot unmarshal {found} into Go struct field {field} of type {wanted}{hint}"


def _name(schema: Schema) -> str:
    reference = schema.get("$ref")
    return reference.rpartition("/")[2] if isinstance(reference, str) else ""


def _resolved(schema: Schema) -> Schema:
    name = _name(schema)
    return definitions()[name] if name else schema


def _short(definition: str) -> str:
    """Return how Go calls the type of a definition: `v1.Pod`."""
    return ".".join(definition.split(".")[-2:])


def _go_type(schema: Schema) -> str:
    """Return how Go calls the type that a schema describes."""
    if name := _name(schema):
        return _short(name)
    types = schema["type"]
    words = [word for word in types if word != "null"] if isinstance(types, list) else [types]
    match words[0]:
        case "array":
            return f"[]{_go_type(cast('Schema', schema['items']))}"
        case "object":
            inner = schema.get("additionalProperties")
            return f"map[string]{_go_type(inner)}" if isinstance(inner, dict) else "map[string]interface {}"
        case "boolean":
            return "bool"
        case "integer":
            return "int32" if schema.get("maximum") == 2**31 - 1 else "int64"
        case word:
            return str(word)
