# SPDX-License-Identifier: GPL-2.0-only
"""Strategies for manifests of every kind that is read, from the fields that its class has."""

from __future__ import annotations

import types
from collections.abc import Mapping
from functools import cache
from typing import Any, Union, get_args, get_origin

import attrs
from hypothesis import strategies as st

from emu.kube.api.codec import camel
from emu.kube.api.objects import KINDS, Known

WORDS = st.sampled_from(["a", "b-1", "10.0.0.1", "True", "0", "x" * 40])
SCALARS: dict[object, st.SearchStrategy[Any]] = {
    str: WORDS,
    int: st.integers(0, 65535),
    float: st.floats(0, 1e6),
    bool: st.booleans(),
}
UNKNOWN = st.dictionaries(
    st.sampled_from(["someField", "another", "emptyDir"]),
    st.recursive(WORDS | st.integers() | st.booleans(), lambda it: st.lists(it) | st.dictionaries(WORDS, it)),
    max_size=2,
)


def manifests() -> st.SearchStrategy[dict[str, Any]]:
    """Any manifest of a kind that is read; shrinks to a Node without a name."""
    return st.sampled_from(list(KINDS.values())).flatmap(manifest)


def manifest(cls: type[Known]) -> st.SearchStrategy[dict[str, Any]]:
    """Any manifest of one kind."""
    head = {"kind": cls.KIND, "apiVersion": cls.API_VERSION}
    body: st.SearchStrategy[dict[str, Any]] = part(cls)  # type: ignore[arg-type]  # classes can be hashed
    return body.map(lambda body: {**body, **head})


@cache
def part(cls: type[attrs.AttrsInstance]) -> st.SearchStrategy[dict[str, Any]]:
    """What may stand in a manifest for one class: some of its fields, and some that nobody knows."""
    attrs.resolve_types(cls)
    required, optional = {}, {}
    for field in attrs.fields(cls):
        if field.name == "rest":
            continue
        key = field.metadata.get("name") or camel(field.name)
        values = of_type(field.type)
        if field.default is attrs.NOTHING:
            required[key] = values
        else:
            optional[key] = values | st.none()
    known = st.fixed_dictionaries(required, optional=optional)
    return st.tuples(UNKNOWN, known).map(lambda both: both[0] | both[1])


def of_type(kind: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - a type annotation
    """Any value of a field's type, as JSON has it."""
    if kind in SCALARS:
        return SCALARS[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        return st.one_of([of_type(each) for each in arguments if each is not type(None)])
    if origin is tuple:
        return st.lists(of_type(arguments[0]), max_size=2)
    if origin is Mapping:
        return st.dictionaries(WORDS, of_type(arguments[1]), max_size=2)
    if attrs.has(kind):
        return st.deferred(lambda: part(kind))
    return UNKNOWN
