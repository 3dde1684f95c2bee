# SPDX-License-Identifier: GPL-2.0-only
"""The published schemas of the kinds, and which kinds an API server knows.

`schemas.json.gz` is one bundle of definitions that refer to each other;
`scripts/kubernetes_schemas.py` makes it, `schemas.NOTICE.txt` says whose it is.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from jsonschema_rs import Draft202012Validator

if TYPE_CHECKING:
    from collections.abc import Mapping

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Schema: TypeAlias = "dict[str, Json]"

_GROUPS: Final = {
    "v1": "core.v1",
    "apps/v1": "apps.v1",
    "batch/v1": "batch.v1",
    "discovery.k8s.io/v1": "discovery.v1",
    "networking.k8s.io/v1": "networking.v1",
}
_WITHOUT_SCHEMA: Final = {
    "v1": {
        "Binding",
        "ComponentStatus",
        "Event",
        "LimitRange",
        "List",
        "PersistentVolume",
        "PodTemplate",
        "ResourceQuota",
    },
    "apps/v1": {"ControllerRevision"},
}
"""The other kinds of the same groups."""

_OWN_GROUPS: Final = {"apps", "batch", "discovery.k8s.io", "extensions", "networking.k8s.io"}
_STILL_BETA: Final = {"IPAddress", "ServiceCIDR"}


@cache
def definitions() -> Mapping[str, Schema]:
    """Return all definitions by name; a name reads like `io.k8s.api.core.v1.Pod`."""
    packed = resources.files(__package__).joinpath("schemas.json.gz").read_bytes()
    return cast("dict[str, dict[str, Schema]]", json.loads(gzip.decompress(packed)))["$defs"]


@cache
def definition_of(api_version: str, kind: str) -> str | None:
    """Return the name of a kind's definition, None if there is none."""
    name = f"io.k8s.api.{_GROUPS.get(api_version)}.{kind}"
    return name if {"kind", "metadata"} <= properties(definitions().get(name, {})).keys() else None


def is_served(api_version: str, kind: str) -> bool:
    """Return whether an API server may serve `kind`; only of its own groups it is sure that it does not."""
    if definition_of(api_version, kind) or kind.endswith("List"):
        return True
    group, slash, _ = api_version.partition("/")
    if api_version in _GROUPS or not slash:
        return kind in _WITHOUT_SCHEMA.get(api_version, ())
    return group not in _OWN_GROUPS or kind in _STILL_BETA or not homes(kind)


@cache
def homes(kind: str) -> tuple[str, ...]:
    """Return the API versions that have a schema for `kind`."""
    return tuple([version for version in _GROUPS if definition_of(version, kind)])


@cache
def validator(definition: str) -> Draft202012Validator:
    """Return the compiled schema of a kind; to compile one takes some milliseconds."""
    return Draft202012Validator({"$ref": f"#/$defs/{definition}", "$defs": dict(definitions())})


def properties(schema: Schema) -> Schema:
    """Return the fields that a schema declares."""
    return cast("Schema", schema.get("properties", {}))
