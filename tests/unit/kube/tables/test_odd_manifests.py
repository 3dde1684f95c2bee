# SPDX-License-Identifier: GPL-2.0-only
"""Manifests that say odd things where nobody reads them closely."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import yaml
from hypothesis import given, reject
from hypothesis import strategies as st

from emu.kube.api.codec import ManifestError, read
from emu.kube.tables.describe import describe
from emu.kube.tables.get import get
from emu.kube.tables.request import Options, parse
from emu.kube.tables.world import Snapshot
from tests.unit.kube.tables.test_describe import NODE, POD, POLICY, SERVICE, WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterator

MANIFESTS = [each for text in (POD, SERVICE, WORKLOADS, NODE, POLICY) for each in yaml.safe_load_all(text)]
ODD: st.SearchStrategy[object] = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        1.5,
        "",
        "a\tb\nc",
        "9" * 30,
        [],
        {},
        [1, "a", {}],
        {"a": [{}]},
        "2025-01-01T00:00:00Z",
    ]
)


def places(value: object, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of keys and numbers to everything in a manifest."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (*above, key)
        yield from places(inner, (*above, key))


@st.composite
def odd_manifests(draw: st.DrawFn) -> dict[str, Any]:
    """A manifest in which one value has been replaced by something else."""
    manifest: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(MANIFESTS)))
    *path, last = draw(st.sampled_from([place for place in places(manifest) if len(place) > 1]))
    inner: Any = manifest
    for key in path:
        inner = inner[key]
    inner[last] = draw(ODD)
    return manifest


@given(manifest=odd_manifests())
def test_whatever_is_read_is_shown(manifest: dict[str, Any]) -> None:
    """An object that has been read has a table, a manifest and a description."""
    try:
        shown = read(manifest)
    except ManifestError:
        reject()  # such objects never come here
    objects = Snapshot([shown, *map(read, MANIFESTS)])
    words = [manifest["kind"]]
    for output in ("wide", "yaml", "jsonpath={..name}"):
        request = parse(words, Options(all_namespaces=True, output=output))
        assert get(request, objects, now=0).status == 0
    assert describe(parse(words, Options(all_namespaces=True)), objects, now=0).status == 0
