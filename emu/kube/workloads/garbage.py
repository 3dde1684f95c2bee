# SPDX-License-Identifier: GPL-2.0-only
"""What an object leaves behind when it is deleted goes after it.

Only an owner that was seen to go takes others with it: what names an owner
that never was there, as in an incomplete dump, is left alone.

Source: pkg/controller/garbagecollector/garbagecollector.go `attemptToDeleteItem`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs

from emu.kube.api.deletion import delete, end_if_empty
from emu.kube.api.objects import KINDS, Event
from emu.kube.controller import Key, Queue

if TYPE_CHECKING:
    from emu.kube.api.objects import Known
    from emu.kube.api.store import Change, Store


class _Item(NamedTuple):
    """Where an object is."""

    kind: str
    namespace: str
    name: str


class GarbageCollector:
    """Deletes what only deleted objects own, and namespaces that have become empty."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._dependents: dict[str, dict[_Item, None]] = {}
        self._queue = Queue(store, self)
        for kind in KINDS.values():
            if kind is not Event:
                for each in store.each(kind):
                    self._note(each)
                store.watch(kind, self._changed)

    def reconcile(self, key: Key) -> None:
        """Delete the dependents of the object whose UID `key` has for a name, or end a namespace."""
        if key.namespace:
            end_if_empty(self._store, key.namespace)
            return
        for item in list(self._dependents.pop(key.name, {})):
            found = self._store.find(KINDS[item.kind], item.name, item.namespace)
            if found is not None:
                self._lose_owner(found, key.name)

    def _lose_owner(self, dependent: Known, uid: str) -> None:
        references = dependent.metadata.owner_references
        left = tuple(each for each in references if each.uid != uid)
        if left == references:
            return
        if not left:
            delete(self._store, dependent)
            return
        metadata = attrs.evolve(dependent.metadata, owner_references=left)
        self._store.put(attrs.evolve(dependent, metadata=metadata))

    def _changed(self, change: Change) -> None:
        old, new = change
        if new is None:
            assert old is not None
            if old.metadata.uid in self._dependents:
                self._queue.add(Key("", old.metadata.uid))
            for reference in old.metadata.owner_references:
                self._dependents.get(reference.uid, {}).pop(_item(old), None)
            if old.metadata.namespace:
                self._queue.add(Key(old.metadata.namespace, ""))
        elif old is None or old.metadata.owner_references != new.metadata.owner_references:
            self._note(new)

    def _note(self, obj: Known) -> None:
        for reference in obj.metadata.owner_references:
            self._dependents.setdefault(reference.uid, {})[_item(obj)] = None


def _item(obj: Known) -> _Item:
    return _Item(obj.KIND, obj.metadata.namespace, obj.metadata.name)
