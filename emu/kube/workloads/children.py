# SPDX-License-Identifier: GPL-2.0-only
"""Who belongs to whom: an index of the objects of a kind by their controller.

It is kept from changes, so that nobody looks through all pods to find a few.
An owner's children come in the order in which they became its own.

A *stray* names a controller that is not there, or one that was there under
another UID: so are pods of a dump from which owners or UIDs were taken out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import attrs

from emu.kube.api.objects import KINDS, Job, Pod, ReplicaSet
from emu.kube.api.objects.meta import OwnerReference
from emu.kube.controller import Key

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kube.api.objects import Known
    from emu.kube.api.store import Change, Store
    from emu.kube.controller import Queue

C = TypeVar("C", Pod, ReplicaSet, Job)


def owned_by(owner: Known) -> OwnerReference:
    """Return the reference that makes `owner` the controller of what has it."""
    metadata = owner.metadata
    return OwnerReference(
        owner.KIND,
        metadata.name,
        metadata.uid,
        owner.API_VERSION,
        controller=True,
        block_owner_deletion=True,
    )


def adopted(child: C, owner: Known) -> C:
    """Return `child` as one that `owner` controls."""
    references = [each for each in child.metadata.owner_references if not each.controller]
    references.append(owned_by(owner))
    metadata = attrs.evolve(child.metadata, owner_references=tuple(references))
    return attrs.evolve(child, metadata=metadata)


class Children(Generic[C]):
    """The objects of one kind by controller, and those without one by namespace."""

    def __init__(self, store: Store, kind: type[C]) -> None:
        self._store = store
        self._owned: dict[str, dict[str, C]] = {}
        self._lone: dict[str, dict[str, C]] = {}
        self._strays: dict[str, dict[str, C]] = {}
        self._queues: dict[str, Queue] = {}
        self._on_lone: list[Callable[[C], None]] = []
        for each in store.each(kind):
            self._add(each)
        store.watch(kind, self._changed)

    def notify(self, owner_kind: str, queue: Queue, on_lone: Callable[[C], None] | None = None) -> None:
        """Have owners of a kind reconciled when their children change.

        Args:
            owner_kind: such as `ReplicaSet`.
            queue: gets the owner's name.
            on_lone: called with a child that has no controller, as somebody may want to adopt it.
        """
        self._queues[owner_kind] = queue
        if on_lone is not None:
            self._on_lone.append(on_lone)

    def of(self, owner: Known) -> list[C]:
        """Return the children that `owner` controls."""
        found = self._owned.get(owner.metadata.uid)
        return [] if found is None else list(found.values())

    def lone(self, namespace: str) -> list[C]:
        """Return the children in a namespace that have no controller."""
        found = self._lone.get(namespace)
        return [] if found is None else list(found.values())

    def strays(self, namespace: str, owner: Known | None = None) -> list[C]:
        """Return the strays in a namespace: those that name `owner`, or else nobody who is there."""
        found = self._strays.get(namespace)
        if not found:
            return []
        strays = []
        for name, child in list(found.items()):
            reference = child.metadata.controller
            present = None if reference is None else self._owner(namespace, reference)
            if reference is None or (present is not None and present.metadata.uid == reference.uid):
                del found[name]
            elif present is owner and not child.metadata.is_terminating:
                strays.append(child)
        return strays

    def _owner(self, namespace: str, reference: OwnerReference) -> Known | None:
        kind = KINDS.get(reference.kind)
        return None if kind is None else self._store.find(kind, reference.name, namespace)

    # --- changes ---

    def _changed(self, change: Change) -> None:
        old, new = change
        before = None if old is None else old.metadata.controller
        after = None if new is None else new.metadata.controller
        if old is not None and (new is None or before != after):
            self._drop(old)  # type: ignore[arg-type]  # of the kind that is watched
        if new is not None:
            self._add(new)  # type: ignore[arg-type]  # so here
        namespace = change.object.metadata.namespace
        for owner in (before, after) if before != after else (after,):
            queue = None if owner is None else self._queues.get(owner.kind)
            if owner is not None and queue is not None:
                queue.add(Key(namespace, owner.name))
        if new is not None and after is None and (old is None or old.metadata.labels != new.metadata.labels):
            for call in self._on_lone:
                call(new)  # type: ignore[arg-type]  # so here

    def _add(self, child: C) -> None:
        metadata = child.metadata
        reference = metadata.controller
        if reference is None:
            self._lone.setdefault(metadata.namespace, {})[metadata.name] = child
            return
        known = self._owned.setdefault(reference.uid, {})
        if metadata.name not in known:
            owner = self._owner(metadata.namespace, reference)
            if owner is None or owner.metadata.uid != reference.uid:
                self._strays.setdefault(metadata.namespace, {})[metadata.name] = child
        elif metadata.namespace in self._strays and metadata.name in self._strays[metadata.namespace]:
            self._strays[metadata.namespace][metadata.name] = child
        known[metadata.name] = child

    def _drop(self, child: C) -> None:
        metadata = child.metadata
        reference = metadata.controller
        self._strays.get(metadata.namespace, {}).pop(metadata.name, None)
        kept = self._lone if reference is None else self._owned
        key = metadata.namespace if reference is None else reference.uid
        del kept[key][metadata.name]
        if not kept[key]:
            del kept[key]
