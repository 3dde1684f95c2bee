#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Make `emu/kube/api/validation/schemas.json.gz` out of the published OpenAPI schemas of Kubernetes.

The Python package `kubernetes-validate` carries those schemas for many
versions of Kubernetes. Install its newest release anywhere but in the
project's environment, and name the folder of its newest strict schemas:

    python3 -m venv elsewhere
    elsewhere/bin/pip install kubernetes-validate
    find elsewhere -name 'v1.*-local-strict'
    scripts/kubernetes_schemas.py FOLDER

What is kept: the kinds below and all that they refer to, without descriptions.
What is changed, so that the schemas say what an API server decodes:

* `format: int32` and `int64` become their bounds;
* a value that may be a number or text may be null, as every optional one;
* a quantity and a time have a pattern;
* `required` goes where an API server takes the zero value without a word.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

BUNDLE: Final = Path(__file__).parent.parent / "emu/kube/api/validation/schemas.json.gz"
KINDS: Final = {
    "core.v1": [
        "ConfigMap",
        "Endpoints",
        "Namespace",
        "Node",
        "Pod",
        "ReplicationController",
        "Secret",
        "Service",
        "ServiceAccount",
    ],
    "apps.v1": ["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"],
    "batch.v1": ["CronJob", "Job"],
    "discovery.v1": ["EndpointSlice"],
    "networking.v1": ["Ingress", "IngressClass", "IPAddress", "NetworkPolicy", "ServiceCIDR"],
}
ZERO_WILL_DO: Final = {
    "io.k8s.api.core.v1.HTTPHeader": {"value"},
    "io.k8s.api.core.v1.SleepAction": {"seconds"},
    "io.k8s.api.core.v1.Sysctl": {"value"},
}
REPLACED: Final[dict[str, Json]] = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["integer", "string", "null"]},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {
        "type": ["number", "string", "null"],
        "pattern": "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$",
    },
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": {
        "type": ["string", "null"],
        "pattern": r"^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$",
    },
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": {
        "type": ["string", "null"],
        "pattern": r"^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$",
    },
}


def pruned(schema: Json) -> Json:
    """Return a schema without what does not decide whether a value is right."""
    if not isinstance(schema, dict):
        return schema
    result: dict[str, Json] = {}
    for word, value in schema.items():
        if word == "properties" and isinstance(value, dict):
            result[word] = {name: pruned(one) for name, one in value.items()}
        elif word in {"items", "additionalProperties"}:
            result[word] = pruned(value)
        elif word == "$ref" and isinstance(value, str):
            result[word] = f"#/$defs/{value.rsplit('/', 1)[-1]}"
        elif word == "format" and value in {"int32", "int64"}:
            bits = int(value[3:])
            result |= {"minimum": -(2 ** (bits - 1)), "maximum": 2 ** (bits - 1) - 1}
        elif word in {"type", "required", "pattern"}:
            result[word] = value
        elif word in {"oneOf", "anyOf", "allOf", "not"}:
            raise ValueError(f"a schema with {word} that nobody looked at: {schema}")
    return result


def references(schema: Json) -> Iterator[str]:
    """Yield the names of the definitions that a schema refers to."""
    if isinstance(schema, dict):
        for word, value in schema.items():
            if word == "$ref" and isinstance(value, str):
                yield value.rsplit("/", 1)[-1]
            else:
                yield from references(value)


def bundle(definitions: dict[str, Json]) -> dict[str, Json]:
    """Return the definitions of the kinds and of all they need, sorted by name."""
    kept: dict[str, Json] = {}
    todo = [f"io.k8s.api.{group}.{kind}" for group, kinds in KINDS.items() for kind in kinds]
    while todo:
        name = todo.pop()
        if name in kept:
            continue
        schema = REPLACED.get(name) or pruned(definitions[name])
        if isinstance(schema, dict) and isinstance(required := schema.get("required"), list):
            schema["required"] = [key for key in required if key not in ZERO_WILL_DO.get(name, ())]
            if not schema["required"]:
                del schema["required"]
        kept[name] = schema
        todo.extend(references(schema))
    return dict(sorted(kept.items()))


def main() -> None:
    """Write the bundle from the folder that is named on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder v1.NN.0-local-strict of kubernetes-validate")
    folder: Path = parser.parse_args().folder
    definitions = json.loads((folder / "_definitions.json").read_text(encoding="utf-8"))["$defs"]
    kept = bundle(definitions)
    text = json.dumps({"$defs": kept}, separators=(",", ":"), sort_keys=True)
    BUNDLE.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    sys.stdout.write(f"{len(kept)} definitions, {len(text)} octets, packed {BUNDLE.stat().st_size}\n")


if __name__ == "__main__":
    main()
