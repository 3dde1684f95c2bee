# SPDX-License-Identifier: GPL-2.0-only
"""Lists of the API, to the objects in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.document import MappingNode, SequenceNode
from emu.kube.api.validation import ManifestNode

if TYPE_CHECKING:
    from collections.abc import Iterator


def flatten(manifest: ManifestNode) -> Iterator[ManifestNode]:
    """Yield the objects of a list, and of lists in it; another object yields itself.

    A list of the API, such as PodList, has items without kind: they get it.
    """
    node = manifest.node
    kind, items = node.get("kind"), node.get("items")
    if not (isinstance(kind, str) and kind.endswith("List") and isinstance(items, SequenceNode)):
        yield manifest
        return
    single = kind.removesuffix("List")
    for index, item in enumerate(items):
        if not isinstance(item, MappingNode):
            item = MappingNode(items.lines[index])  # noqa: PLW2901 - what is no object is told of as an empty one
        if single and "kind" not in item:
            item = _with_kind(item, single, node.get("apiVersion"))  # noqa: PLW2901 - the same, more of it
        yield from flatten(ManifestNode(manifest.file, item, f"{manifest.path}.items[{index}]"))


def _with_kind(item: MappingNode, kind: str, version: object) -> MappingNode:
    found = MappingNode(item.line)
    found["kind"] = kind
    found.lines.append(item.line)
    if isinstance(version, str):
        found["apiVersion"] = version
        found.lines.append(item.line)
    for key, line in zip(item, item.lines, strict=True):
        found.lines.append(line) if key not in found else None
        found[key] = item[key]
    return found
