# SPDX-License-Identifier: GPL-2.0-only
"""Annotations and taints, in kubectl's words and with its answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.apps.tools.finished import Finished
from emu.cluster.editing import called, marking, meant
from emu.errors import CommandError
from emu.kube.api.objects import Node
from emu.kube.api.objects.scheduling import Taint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.cluster.cluster import Cluster
    from emu.cluster.editing import Deed

EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_NAME: Final = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY: Final = rf"(?:[a-z0-9](?:[-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_NAME}"
_TAINT: Final = re.compile(
    rf"(?P<key>{_KEY})(?:=(?P<value>(?:{_NAME})?))?(?::(?P<effect>[A-Za-z]+))?(?P<gone>-)?"
)


def annotate(words: Sequence[str]) -> Deed:
    """Change annotations of objects: `annotate KIND/NAME KEY=VALUE... KEY-... [--overwrite]`."""
    asked, changes = marking("annotate", words, "KIND/NAME KEY=VALUE... KEY-... [--overwrite]")

    def deed(cluster: Cluster) -> Finished:
        lines = []
        for each in meant(cluster, asked):
            annotations = dict(each.metadata.annotations)
            for change in changes:
                key, sign, value = change.partition("=")
                if not sign:
                    annotations.pop(change.removesuffix("-"), None)
                    continue
                if annotations.get(key, value) != value and not asked.overwrite:
                    raise CommandError(
                        "error: --overwrite is false but found the following declared annotation(s): "
                        f"'{key}' already has a value ({annotations[key]})",
                        1,
                    )
                annotations[key] = value
            cluster.store.put(
                attrs.evolve(each, metadata=attrs.evolve(each.metadata, annotations=annotations))
            )
            lines.append(f"{called(each)}/{each.metadata.name} annotated\n")
        return Finished("".join(lines))

    return deed


def taint(words: Sequence[str]) -> Deed:
    """Change taints of nodes: `taint node NAME KEY[=VALUE]:EFFECT... KEY[:EFFECT]-... [--overwrite]`."""
    asked, changes = marking("taint", words, "node NAME KEY[=VALUE]:EFFECT... KEY[:EFFECT]-...", sign=":")
    read = [_read(change) for change in changes]
    gone = all(is_gone for _, is_gone in read)

    def deed(cluster: Cluster) -> Finished:
        lines = []
        for each in meant(cluster, asked):
            if not isinstance(each, Node):
                raise CommandError(f"error: only nodes have taints, not {called(each)}", 1)
            taints = list(each.spec.taints)
            for mark, is_gone in read:
                taints = _changed(each, taints, mark, is_gone=is_gone, overwrite=asked.overwrite)
            cluster.store.put(attrs.evolve(each, spec=attrs.evolve(each.spec, taints=tuple(taints))))
            word = "untainted" if gone else "modified" if asked.overwrite else "tainted"
            lines.append(f"node/{each.metadata.name} {word}\n")
        return Finished("".join(lines))

    return deed


def _read(change: str) -> tuple[Taint, bool]:
    """Return a taint, and whether it is to go; one to go may have no effect, for all of them."""
    found = _TAINT.fullmatch(change)
    if found is None:
        raise CommandError(f"error: invalid taint spec: {change}", 1)
    effect, is_gone = found["effect"] or "", found["gone"] is not None
    if effect not in EFFECTS and not (is_gone and not effect):
        raise CommandError(
            f"error: invalid taint effect: {effect}, unsupported taint effect "
            f"(it is one of {', '.join(EFFECTS)})",
            1,
        )
    return Taint(found["key"], effect, found["value"] or ""), is_gone


def _changed(node: Node, taints: list[Taint], mark: Taint, *, is_gone: bool, overwrite: bool) -> list[Taint]:
    same = [
        each for each in taints if each.key == mark.key and (each.effect == mark.effect or not mark.effect)
    ]
    name = f"{mark.key}:{mark.effect}" if mark.effect else mark.key
    if is_gone and not same:
        raise CommandError(f'error: taint "{name}" not found', 1)
    if not is_gone and same and not overwrite:
        raise CommandError(
            f"error: node {node.metadata.name} already has {mark.key} taint(s) with same effect(s) "
            "and --overwrite is false",
            1,
        )
    left = [each for each in taints if each not in same]
    return left if is_gone else [*left, mark]
