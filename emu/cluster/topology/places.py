# SPDX-License-Identifier: GPL-2.0-only
"""Where something stands in the input: file and line of an object's field."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.cluster.topology.flatten import flatten
from emu.document import MappingNode, SequenceNode
from emu.kube.api.objects import KINDS
from emu.kube.api.scope import DEFAULT_NAMESPACE, is_namespaced
from emu.kube.api.validation import ManifestNode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.document import Document

OURS: Final = frozenset(("Cluster", "Fabric", "Scenario"))
"""Kinds of documents of which a name says nothing."""

_STEP: Final = re.compile(r"\.(?P<name>\w+)|\[(?P<index>\d+)\]|\['(?P<quoted>[^']*)'\]")


class Subject(NamedTuple):
    """An object by kind, namespace and name; a document of ours by its kind alone."""

    kind: str
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        name = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {name}".rstrip()


class Spot(NamedTuple):
    """A line in a file, and the way to the field from the top of its document."""

    file: str
    line: int
    path: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Places:
    """Finds what was read.

    Args:
        documents: the input. As with `kubectl apply`, the last object of a name counts.
    """

    def __init__(self, documents: Iterable[Document]) -> None:
        self._all: list[tuple[Subject, ManifestNode]] = []
        self._found: dict[Subject, ManifestNode] = {}
        for each in documents:
            if isinstance(each.value, MappingNode):
                for manifest in flatten(ManifestNode(each.file, each.value)):
                    subject = subject_of(manifest.node)
                    self._all.append((subject, manifest))
                    self._found[subject] = manifest

    def has(self, subject: Subject) -> bool:
        """Return whether the input has such an object."""
        return subject in self._found

    def find(self, subject: Subject, path: str = "$") -> Spot:
        """Return where a field of an object stands, or as much of the way to it as there is.

        Raises:
            KeyError: the input has no such object.
        """
        return _spot(self._found[subject], path)

    def repeated(self) -> list[tuple[Subject, list[Spot]]]:
        """Return the objects that the input has more than once, and where."""
        spots: dict[Subject, list[Spot]] = {}
        for subject, manifest in self._all:
            spots.setdefault(subject, []).append(_spot(manifest, "$"))
        return [
            (subject, found)
            for subject, found in spots.items()
            if len(found) > 1 and subject.name and subject.kind not in OURS
        ]


def _spot(manifest: ManifestNode, path: str) -> Spot:
    return Spot(manifest.file, line_of(manifest.node, path), manifest.path + path[1:])


def subject_of(node: MappingNode) -> Subject:
    """Return which object a manifest is of."""
    kind, metadata = str(node.get("kind", "")), node.get("metadata")
    if kind in OURS:
        return Subject(kind)
    name = namespace = ""
    if isinstance(metadata, MappingNode):
        name, namespace = str(metadata.get("name") or ""), str(metadata.get("namespace") or "")
    if is_namespaced(kind, str(node.get("apiVersion", ""))):
        namespace = namespace or DEFAULT_NAMESPACE
    elif kind in KINDS:
        namespace = ""
    return Subject(kind, namespace, name)


def line_of(node: MappingNode, path: str) -> int:
    """Return the line of what `path`, like `$.spec.ports[0]`, leads to, as far as it goes."""
    line = node.line
    at: object = node
    for found in _STEP.finditer(path):
        step = found["quoted"] or found["name"]
        if isinstance(at, MappingNode) and step in at:
            line, at = at.line_of(step), at[step]
        elif isinstance(at, SequenceNode) and found["index"] and int(found["index"]) < len(at):
            line, at = at.lines[int(found["index"])], at[int(found["index"])]
        else:
            break
    return line
