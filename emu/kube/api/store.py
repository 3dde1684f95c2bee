# SPDX-License-Identifier: GPL-2.0-only
"""The API server: it keeps objects, numbers their changes, and tells whoever watches.

Objects never change; a change is a new object in the place of the old one.
Watchers are told at once, in the order in which they began to watch, so
components put what they hear into a queue of their own and work later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeAlias, TypeVar

import attrs

from emu.errors import UnknownNameError
from emu.kube.api.objects import KINDS, Known, Other
from emu.kube.api.scope import with_namespace
from emu.kube.api.timestamps import stamp
from emu.kube.api.uids import new_uid

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    from emu.kube.api.objects import Object
    from emu.sim.loop import EventLoop

K = TypeVar("K", bound="Known")


class Change(NamedTuple):
    """An object was added (no `old`), changed, or deleted (no `new`)."""

    old: Known | None
    new: Known | None

    @property
    def object(self) -> Known:
        """The object as it is, or as it was when it was deleted."""
        found = self.new if self.new is not None else self.old
        assert found is not None
        return found


Watcher: TypeAlias = Callable[[Change], None]


class Store:
    """Objects by kind, namespace and name.

    Args:
        loop: the clock.
        epoch: nanoseconds since 1970 of the clock's zero.
        random: where UIDs come from.
    """

    is_still: ClassVar[bool] = True

    def __init__(self, loop: EventLoop, epoch: int, random: random.Random) -> None:
        self.loop = loop
        self.epoch = epoch
        self.revision = 0
        self.others: dict[tuple[str, str, str], Other] = {}
        self._random = random
        self._objects: dict[str, dict[tuple[str, str], Known]] = {kind: {} for kind in KINDS}
        self._sorted: dict[str, tuple[Known, ...] | None] = {}
        self._watchers: dict[str, list[Watcher]] = {kind: [] for kind in KINDS}

    # --- reading ---

    @property
    def now(self) -> str:
        """The time, as objects have it."""
        return stamp(self.loop.now, self.epoch)

    def find(self, kind: type[K], name: str, namespace: str = "") -> K | None:
        """Return an object, None if there is none."""
        return self._objects[kind.KIND].get((namespace, name))  # type: ignore[return-value]  # by kind

    def get(self, kind: type[K], name: str, namespace: str = "") -> K:
        """Return an object.

        Raises:
            UnknownNameError: there is none.
        """
        found = self.find(kind, name, namespace)
        if found is None:
            raise UnknownNameError(f"there is no {kind.KIND} {'/'.join(filter(None, (namespace, name)))}")
        return found

    def list(self, kind: type[K], namespace: str | None = None) -> list[K]:
        """Return all objects of a kind, or those of a namespace, sorted by namespace and name."""
        found = self.snapshot(kind)
        if namespace is None:
            return list(found)
        return [each for each in found if each.metadata.namespace == namespace]

    def snapshot(self, kind: type[K]) -> Sequence[K]:
        """Return all objects of a kind as they are now, sorted: one sequence for all who ask at a time."""
        found = self._sorted.get(kind.KIND)
        if found is None:
            kept = self._objects[kind.KIND]
            found = self._sorted[kind.KIND] = tuple(kept[key] for key in sorted(kept))
        return found  # type: ignore[return-value]  # each kind is in its own dictionary

    def each(self, kind: type[K]) -> Iterator[K]:
        """Yield all objects of a kind in the order in which they were made."""
        yield from self._objects[kind.KIND].values()  # type: ignore[misc]  # each kind is in its own dictionary

    def count(self, kind: type[Known]) -> int:
        """Return how many objects of a kind there are."""
        return len(self._objects[kind.KIND])

    # --- writing ---

    def put(self, obj: K) -> K:
        """Keep `obj` in the place of the one of its name, and return it with UID, time and revision.

        One that is as it was is not kept again, and nobody is told.
        """
        kept = self._objects[obj.KIND]
        key = obj.metadata.namespace, obj.metadata.name
        old = kept.get(key)
        if old is not None:
            metadata = attrs.evolve(
                obj.metadata,
                uid=old.metadata.uid,
                creation_timestamp=old.metadata.creation_timestamp,
                resource_version=old.metadata.resource_version,
            )
            if metadata != obj.metadata:
                obj = attrs.evolve(obj, metadata=metadata)
            if obj == old:
                return old
        self.revision += 1
        metadata = attrs.evolve(
            obj.metadata,
            uid=obj.metadata.uid or self.new_uid(),
            creation_timestamp=obj.metadata.creation_timestamp or self.now,
            resource_version=str(self.revision),
        )
        obj = attrs.evolve(obj, metadata=metadata)
        kept[key] = obj
        self._sorted[obj.KIND] = None
        self._tell(obj.KIND, Change(old, obj))
        return obj

    def delete(self, kind: type[K], name: str, namespace: str = "") -> K | None:
        """Take an object away and return it; None if there was none."""
        old = self._objects[kind.KIND].pop((namespace, name), None)
        if old is None:
            return None
        self.revision += 1
        self._sorted[kind.KIND] = None
        self._tell(kind.KIND, Change(old, None))
        return old  # type: ignore[return-value]  # each kind is in its own dictionary

    def keep(self, other: Object) -> None:
        """Keep an object of any kind; one that emu does not read is only kept."""
        if isinstance(other, Other):
            placed = with_namespace(other)
            self.others[placed.kind, placed.metadata.namespace, placed.metadata.name] = placed
        else:
            self.put(other)

    def new_uid(self) -> str:
        """Return a UID that nobody has."""
        return new_uid(self._random)

    # --- watching ---

    def watch(self, kind: type[Known], watcher: Watcher) -> None:
        """Tell `watcher` of every change to an object of a kind from now on."""
        self._watchers[kind.KIND].append(watcher)

    def _tell(self, kind: str, change: Change) -> None:
        for watcher in self._watchers[kind]:
            watcher(change)
