# SPDX-License-Identifier: GPL-2.0-only
"""Who belongs to whom: an index of the objects of a kind by their controller.

It is kept from changes, so that nobody looks through all pods to find a few.
An owner's children come in the order in which they became its own.

A *stray* names a controller that is not there, or one that was there under
another UID: so are pods of a dump from which owners or UIDs were taken out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar

import attrs

from emu.kube.api.objects import KINDS, Job, Pod, ReplicaSet
from emu.kube.api.objects.meta import OwnerReference
from emu.kube.controller import Key

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kube.api.objects import Known
    from emu.kube.api.objects.field import Labels
    from emu.kube.api.store import Change, Store
    from emu.kube.controller import Queue

C = TypeVar("C", Pod, ReplicaSet, Job)
K = TypeVar("K")

Pair: TypeAlias = tuple[str, str]
"""A label and its value."""

ANY: Final[Pair] = ("", "")
"""No label in particular."""


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


def released(child: C, owner: Known) -> C:
    """Return `child` as one that `owner` controls no more."""
    references = [each for each in child.metadata.owner_references if each.uid != owner.metadata.uid]
    metadata = attrs.evolve(child.metadata, owner_references=tuple(references))
    return attrs.evolve(child, metadata=metadata)


def rarest(labels: Labels) -> Pair:
    """Return one of the labels that whatever is selected has to have; nothing if there is none.

    A hash says more than a name that a dozen workloads share.
    """
    return max(labels.items(), key=lambda pair: (pair[0].endswith("-hash"), pair), default=ANY)


def pairs(labels: Labels) -> list[Pair]:
    """Return all under which something with `labels` is looked for."""
    return [ANY, *labels.items()]


class Children(Generic[C]):
    """The objects of one kind by controller, and those without one by namespace."""

    def __init__(self, store: Store, kind: type[C]) -> None:
        self._store = store
        self._owned: dict[str, dict[str, C]] = {}
        self._lone: dict[tuple[str, Pair], dict[str, C]] = {}
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

    def lone(self, namespace: str, pair: Pair = ANY) -> list[C]:
        """Return the children in a namespace that have no controller, and have a label."""
        found = self._lone.get((namespace, pair))
        return [] if found is None else list(found.values())

    def claim(self, owner: Known, labels: Labels, belongs: Callable[[C], bool]) -> None:
        """Adopt what belongs to `owner` and to nobody else, and let go of what no longer does.

        Args:
            owner: who may control children.
            labels: that all of them have.
            belongs: whether one is the owner's by its name and labels.
        """
        namespace = owner.metadata.namespace
        for child in self.of(owner):
            if not child.metadata.is_terminating and not belongs(child):
                self._store.put(released(child, owner))
        for child in self.lone(namespace, rarest(labels)) + self.strays(namespace, owner):
            if not child.metadata.is_terminating and belongs(child):
                self._store.put(adopted(child, owner))

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
        if old is not None and (new is None or before != after or _is_moved(old, new, after)):
            self._drop(old)  # type: ignore[arg-type]  # of the kind that is watched
        if new is not None:
            self._add(new)  # type: ignore[arg-type]  # so here
        namespace = change.object.metadata.namespace
        for owner in (before, after) if before != after else (after,):
            queue = None if owner is None else self._queues.get(owner.kind)
            if owner is not None and queue is not None:
                queue.add(Key(namespace, owner.name))
        is_alike = old is not None and new is not None and old.metadata.labels == new.metadata.labels
        if new is not None and after is None and (before is not None or not is_alike):
            for call in self._on_lone:
                call(new)  # type: ignore[arg-type]  # so here

    def _add(self, child: C) -> None:
        metadata = child.metadata
        reference = metadata.controller
        if reference is None:
            for pair in pairs(metadata.labels):
                self._lone.setdefault((metadata.namespace, pair), {})[metadata.name] = child
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
        if reference is None:
            for pair in pairs(metadata.labels):
                _take_out(self._lone, (metadata.namespace, pair), metadata.name)
        else:
            _take_out(self._owned, reference.uid, metadata.name)


def _is_moved(old: Known, new: Known, owner: OwnerReference | None) -> bool:
    """Return whether a child without a controller is found under other labels now."""
    return owner is None and old.metadata.labels != new.metadata.labels


def _take_out(kept: dict[K, dict[str, C]], key: K, name: str) -> None:
    del kept[key][name]
    if not kept[key]:
        del kept[key]
