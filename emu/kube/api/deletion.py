# SPDX-License-Identifier: GPL-2.0-only
"""The end of an object: everybody who deletes one asks here.

    pod on a node, grace left   deletionTimestamp is set; the kubelet ends it and takes it out of the store
    other pods                  are gone at once
    namespace                   Terminating, all in it deleted, gone when it is empty
    anything else               is gone at once, and what it owns goes after it (`emu.kube.workloads.garbage`)

Finalizers are not waited for: what they stand for, such as a load balancer in
a cloud, is not here.

Source: staging/src/k8s.io/apiserver/pkg/registry/rest/delete.go,
pkg/registry/core/pod/strategy.go `CheckGracefulDelete`, pkg/controller/namespace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.api.objects import KINDS, Event, Namespace, Pod
from emu.kube.api.timestamps import parse, stamp
from emu.sim.time import SECOND, later

if TYPE_CHECKING:
    from emu.kube.api.objects import Known
    from emu.kube.api.store import Store

PURGED_LAST: Final = ("Pod", "Event")
"""In a namespace these go after all else: their owners must not make new ones."""


def delete(
    store: Store, obj: Known, grace_seconds: int | None = None, *, force: bool = False, orphan: bool = False
) -> None:
    """Delete `obj`, or begin to; what is terminating already may only come to its end sooner.

    Args:
        store: where it is; one that is not there any more is nothing to do.
        obj: of any kind.
        grace_seconds: for a pod, in the place of its own terminationGracePeriodSeconds.
        force: do not wait for the kubelet.
        orphan: let what it owns stand alone instead of going after it.
    """
    found = store.find(type(obj), obj.metadata.name, obj.metadata.namespace)
    if found is None:
        return
    if orphan:
        disown(store, found)
    if isinstance(found, Pod):
        _delete_pod(store, found, 0 if force else grace_seconds)
    elif isinstance(found, Namespace):
        _delete_namespace(store, found)
    else:
        store.delete(type(found), found.metadata.name, found.metadata.namespace)


def _delete_pod(store: Store, pod: Pod, grace_seconds: int | None) -> None:
    metadata = pod.metadata
    grace = pod.spec.termination_grace_period_seconds if grace_seconds is None else grace_seconds
    if not pod.spec.node_name or pod.is_finished or grace <= 0:
        store.delete(Pod, metadata.name, metadata.namespace)
        return
    deadline = later(store.loop.now, grace * SECOND)
    if metadata.deletion_timestamp is not None:
        known = parse(metadata.deletion_timestamp, store.epoch)
        if known is not None and known <= deadline:
            return
    metadata = attrs.evolve(
        metadata,
        deletion_timestamp=stamp(deadline, store.epoch),
        deletion_grace_period_seconds=grace,
    )
    store.put(attrs.evolve(pod, metadata=metadata))


def disown(store: Store, owner: Known) -> None:
    """Take `owner` out of the owner references of all objects."""
    uid = owner.metadata.uid
    for kind in KINDS.values():
        for each in list(store.each(kind)):
            references = each.metadata.owner_references
            left = tuple(reference for reference in references if reference.uid != uid)
            if left != references:
                metadata = attrs.evolve(each.metadata, owner_references=left)
                store.put(attrs.evolve(each, metadata=metadata))


# --- namespaces ---


def _delete_namespace(store: Store, namespace: Namespace) -> None:
    metadata = namespace.metadata
    if not metadata.is_terminating:
        metadata = attrs.evolve(metadata, deletion_timestamp=store.now)
        status = attrs.evolve(namespace.status, phase="Terminating")
        store.put(attrs.evolve(namespace, metadata=metadata, status=status))
    kinds = [kind for name, kind in KINDS.items() if kind.NAMESPACED and name not in PURGED_LAST]
    for kind in (*kinds, *(KINDS[name] for name in PURGED_LAST)):
        for each in store.list(kind, metadata.name):
            delete(store, each)
    for key in [key for key in store.others if key[1] == metadata.name]:
        del store.others[key]
    end_if_empty(store, metadata.name)


def end_if_empty(store: Store, name: str) -> None:
    """Take a namespace that is Terminating out of the store once nothing but events is in it."""
    namespace = store.find(Namespace, name)
    if namespace is None or not namespace.metadata.is_terminating:
        return
    kinds = (kind for kind in KINDS.values() if kind.NAMESPACED and kind is not Event)
    if not any(store.list(kind, name) for kind in kinds):
        for event in store.list(Event, name):
            store.delete(Event, event.metadata.name, name)
        store.delete(Namespace, name)
