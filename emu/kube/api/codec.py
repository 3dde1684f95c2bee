# SPDX-License-Identifier: GPL-2.0-only
"""Manifests to objects and back.

A field is called in the API as in Python, but in camel case (`pod_ip` is
`podIP`). What a class has no field for goes to its `rest` and comes back from
there, so nothing of a manifest is lost. As in the API, null is as good as not
given (in a list or a map of text it is the empty text), a float without a
fraction is an integer, and what is empty is not written, unless its absence
would mean something else: a selector of everything is no missing selector.
"""

from __future__ import annotations

import re
import types
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, Union, get_args, get_origin

import attrs
import cattrs
from cattrs.cols import list_structure_factory
from cattrs.gen import make_dict_structure_fn, override

from emu.errors import EmuError
from emu.kube.api.objects import KINDS, Other
from emu.kube.api.objects.field import KEEP, NOTHING, Json
from emu.kube.api.objects.meta import Meta

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emu.kube.api.objects import Object

T = TypeVar("T")

_CAPITALS: Final = {
    "ip": "IP",
    "ips": "IPs",
    "cidr": "CIDR",
    "cidrs": "CIDRs",
    "id": "ID",
    "uuid": "UUID",
    "fqdn": "FQDN",
}
_FIELD: Final = re.compile(r"(?<=\.)[a-z]+(?:_[a-z]+)+")


class ManifestError(EmuError, ValueError):
    """A manifest is not what its kind has to be; `faults` are pairs of path and message."""

    def __init__(self, faults: tuple[tuple[str, str], ...]) -> None:
        self.faults = faults
        super().__init__("\n".join(f"{path}: {message}" for path, message in faults))


def camel(name: str) -> str:
    """Return the API's name of a field: `pod_ip` is `podIP`."""
    first, *others = name.rstrip("_").split("_")
    return first + "".join(_CAPITALS.get(word, word.capitalize()) for word in others)


def read(manifest: Mapping[str, Any]) -> Object:
    """Return the object that `manifest` describes; one of an unknown kind is kept as it is.

    Raises:
        ManifestError: a field has a wrong type, or one that is needed is missing.
    """
    kind = manifest.get("kind")
    cls = KINDS.get(kind) if isinstance(kind, str) else None
    if cls is not None and manifest.get("apiVersion", cls.API_VERSION) == cls.API_VERSION:
        return read_as(cls, manifest, skip=("kind", "apiVersion"))
    rest = {key: value for key, value in manifest.items() if key not in {"kind", "apiVersion", "metadata"}}
    metadata = read_as(Meta, manifest.get("metadata") or {})
    return Other(str(kind or ""), str(manifest.get("apiVersion") or ""), metadata, rest=rest)


def read_as(cls: type[T], value: Mapping[str, Any], skip: tuple[str, ...] = ()) -> T:
    """Return `value` as a `cls`.

    Raises:
        ManifestError: it cannot be one.
    """
    if skip:
        value = {key: each for key, each in value.items() if key not in skip}
    try:
        return _converter().structure(value, cls)
    except cattrs.BaseValidationError as error:
        raise ManifestError(tuple(_faults(error))) from None
    except TypeError as error:
        raise ManifestError((("$", str(error)),)) from None


def _faults(error: cattrs.BaseValidationError) -> list[tuple[str, str]]:
    faults = []
    for line in cattrs.transform_error(error, format_exception=lambda each, _: _words(each)):
        message, _, path = line.rpartition(" @ ")
        faults.append((_FIELD.sub(lambda found: camel(found[0]), path), message))
    return faults


def _words(error: BaseException) -> str:
    if isinstance(error, KeyError):
        return f"Required value: {camel(str(error.args[0]))}"
    return str(error)


def write(obj: Object) -> dict[str, Json]:
    """Return the manifest of `obj`."""
    if isinstance(obj, Other):
        manifest = {**obj.rest, "kind": obj.kind, "apiVersion": obj.api_version}
        return {**manifest, "metadata": write_part(obj.metadata)}
    return {"apiVersion": obj.API_VERSION, "kind": obj.KIND, **write_part(obj)}


def write_part(value: attrs.AttrsInstance) -> dict[str, Json]:
    """Return what stands in a manifest for one part of an object."""
    written: dict[str, Json] = dict(value.rest)  # type: ignore[attr-defined]  # every part has one
    for name, key, omitted, is_kept, is_kept_empty in _fields(type(value)):
        content = getattr(value, name)
        if content is None or (content == omitted and not is_kept):
            continue
        found = _plain(content)
        if is_kept_empty or found not in ({}, []):
            written[key] = found
    return written


class _Written(NamedTuple):
    """How a field is written: under which key, which value never, and whether others are even if empty."""

    name: str
    key: str
    omitted: object
    is_kept: bool
    is_kept_empty: bool


@cache
def _fields(cls: type[attrs.AttrsInstance]) -> tuple[_Written, ...]:
    """Return how each field of a class is written."""
    found = []
    for field in attrs.fields(cls):
        if field.name == "rest":
            continue
        omitted: object = field.metadata.get("omit", "")
        if field.type in {bool, "bool"} and not field.metadata.get("keep"):
            omitted = False
        is_kept = bool(field.metadata.get(KEEP)) or field.default is attrs.NOTHING
        found.append(_Written(field.name, _key(field), omitted, is_kept, is_kept or field.default is None))
    return tuple(found)


def _plain(value: object) -> Json:
    if attrs.has(type(value)):
        return write_part(value)  # type: ignore[arg-type]  # it is one
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, dict | types.MappingProxyType):
        return {key: _plain(each) for key, each in value.items()}
    return value  # type: ignore[return-value]  # what is no part, list or mapping is a scalar


# --- reading ---


@cache
def _converter() -> cattrs.Converter:
    """Return what knows how to read each class; made when the first manifest is read."""
    converter = cattrs.Converter()
    for each in (int, str, bool):
        converter.register_structure_hook(each, _exact)
    converter.register_structure_hook_func(_is_scalar_union, _one_of)
    converter.register_structure_hook_factory(_is_list, lambda cls: _list_reader(cls, converter))
    converter.register_structure_hook_factory(attrs.has, lambda cls: _reader(cls, converter))
    return converter


def _exact(value: T, cls: type[T]) -> T:
    if isinstance(value, float) and value.is_integer() and cls is int:
        return cls(value)  # type: ignore[call-arg]  # cls is int
    if value is None and cls is str:
        return cls()
    if type(value) is not cls:
        raise TypeError(f"Invalid value: {_shown(value)}: must be {_WORDS[cls]}")
    return value


_WORDS: Final[Mapping[object, str]] = {
    int: "an integer",
    float: "a number",
    str: "a string",
    bool: "true or false",
}


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return repr(value) if not isinstance(value, str) else f'"{value[:40]}"'


def _is_scalar_union(cls: object) -> bool:
    return get_origin(cls) in {types.UnionType, Union} and set(get_args(cls)) <= {
        int,
        float,
        str,
        bool,
        type(None),
    }


def _one_of(value: object, union: object) -> object:
    kinds = get_args(union)
    if isinstance(value, float) and value.is_integer() and int in kinds and float not in kinds:
        return int(value)
    if type(value) in kinds:
        return value
    words = " or ".join(_WORDS[each] for each in kinds if each in _WORDS)
    raise TypeError(f"Invalid value: {_shown(value)}: must be {words}")


def _is_list(cls: object) -> bool:
    return get_origin(cls) is tuple


def _list_reader(cls: type[Any], converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    """Return what reads a list; what is none is not taken for one."""
    structure = list_structure_factory(list[get_args(cls)[0]], converter)  # type: ignore[arg-type,misc]  # known when it runs

    def read_list(value: object, _: object) -> object:
        if not isinstance(value, list):
            raise TypeError(f"Invalid value: {_shown(value)}: must be a list")
        return tuple(structure(value, list))

    return read_list


def _reader(cls: type[Any], converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    """Return what reads a `cls`: nulls are not there, and what it has no field for is kept."""
    attrs.resolve_types(cls)
    keys = {_key(field) for field in attrs.fields(cls) if field.name != "rest"}
    overrides = {f.name: override(rename=_key(f)) for f in attrs.fields(cls) if f.name != "rest"}
    overrides["rest"] = override(omit=True)
    structure = make_dict_structure_fn(cls, converter, **overrides)  # type: ignore[arg-type]  # cattrs takes both so

    def read_one(value: object, _: object) -> object:
        if not isinstance(value, dict):
            raise TypeError(f"Invalid value: {_shown(value)}: must be a mapping")
        given = {key: each for key, each in value.items() if each is not None}
        found = structure(given, cls)
        rest = {key: each for key, each in given.items() if key not in keys}
        object.__setattr__(found, "rest", rest or NOTHING)
        return found

    return read_one


def _key(field: attrs.Attribute[Any]) -> str:
    name: str = field.metadata.get("name") or camel(field.name)
    return name
