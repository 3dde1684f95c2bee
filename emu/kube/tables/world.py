# SPDX-License-Identifier: GPL-2.0-only
"""What tables and descriptions are made from: objects, the time, and the version of Kubernetes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol, TypeVar

from attrs import frozen

from emu.kube.api.objects import Other
from emu.kube.api.timestamps import age
from emu.kube.tables.ages import human
from emu.sim.time import Instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from emu.kube.api.objects import Known, Object

KindT = TypeVar("KindT", bound="Known")


class Objects(Protocol):
    """Where objects are; the store of the API server is one such place."""

    @property
    def others(self) -> Mapping[tuple[str, str, str], Other]:
        """What is kept without being read, by kind, namespace and name."""

    def list(self, kind: type[KindT], namespace: str | None = None) -> list[KindT]:
        """Return all objects of a kind, or those of a namespace, sorted by namespace and name."""


class Snapshot:
    """Objects that somebody holds in their hands."""

    def __init__(self, objects: Iterable[Object]) -> None:
        found = sorted(objects, key=lambda each: (each.metadata.namespace, each.metadata.name))
        self.others = {
            (each.kind, each.metadata.namespace, each.metadata.name): each
            for each in found
            if isinstance(each, Other)
        }
        self._known = [each for each in found if not isinstance(each, Other)]

    def list(self, kind: type[KindT], namespace: str | None = None) -> list[KindT]:
        """Return all objects of a kind, or those of a namespace, sorted by namespace and name."""
        of_kind = [each for each in self._known if isinstance(each, kind)]
        return [each for each in of_kind if namespace in {None, each.metadata.namespace}]


def version_numbers(text: str) -> tuple[int, int]:
    """Return `1.35`, `v1.35.2` and the like as two numbers.

    Raises:
        ValueError: it is no version.
    """
    found = re.match(r"v?(\d+)\.(\d+)", text)
    if found is None:
        raise ValueError(f"{text!r} is no version of Kubernetes")
    return int(found[1]), int(found[2])


@frozen
class World:
    """Everything that an answer depends on beside its question.

    `now` is in nanoseconds since 1970. A table that `is_wide` has more columns, and cuts less.
    """

    objects: Objects
    now: int
    version: tuple[int, int] = (1, 35)
    is_wide: bool = False

    def since(self, text: str | None) -> str:
        """Return how long ago a time of an object was, `<unknown>` without one."""
        elapsed = age(text, Instant(self.now), 0)
        return "<unknown>" if elapsed is None else human(elapsed)

    def is_from(self, major: int, minor: int) -> bool:
        """Return whether the cluster has this version or a later one."""
        return self.version >= (major, minor)
