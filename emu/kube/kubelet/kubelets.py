# SPDX-License-Identifier: GPL-2.0-only
"""All kubelets of a cluster: each hears of the pods of its own node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kube.api.objects import Pod
from emu.kube.controller import Key, Queue
from emu.kube.kubelet.kubelet import Kubelet

if TYPE_CHECKING:
    from emu.fabric.driver import Fabric
    from emu.kube.api.store import Change, Store
    from emu.kube.kubelet.kubelet import Settings
    from emu.kube.kubelet.machine import Machine


class Kubelets:
    """The kubelets by the names of their nodes."""

    def __init__(self, fabric: Fabric, store: Store, settings: Settings) -> None:
        self.by_node: dict[str, Kubelet] = {}
        self._fabric = fabric
        self._store = store
        self._settings = settings
        self._node_of: dict[Key, str] = {}  # where a pod was last seen to be
        self._bound: dict[str, list[Key]] | None = None  # by node; None after a change
        self._queue = Queue(store, self)
        store.watch(Pod, self._hear)

    def start(self, machine: Machine) -> Kubelet:
        """Start the kubelet of a node; pods that are bound to it already begin."""
        kubelet = self.by_node[machine.name] = Kubelet(self._fabric, self._store, machine, self._settings)
        self.look_again(machine.name)
        return kubelet

    def stop(self, name: str) -> None:
        """End the kubelet of a node, and all that runs there."""
        kubelet = self.by_node.pop(name, None)
        if kubelet is not None:
            kubelet.crash()

    def look_again(self, name: str) -> None:
        """Have the kubelet of a node look at all its pods, as when it starts."""
        bound = self._bound
        if bound is None:
            bound = self._bound = {}
            for pod in self._store.each(Pod):
                key = Key(pod.metadata.namespace, pod.metadata.name)
                bound.setdefault(pod.spec.node_name, []).append(key)
        self._queue.add_all(bound.get(name, ()))

    def _hear(self, change: Change) -> None:
        pod = change.object
        assert isinstance(pod, Pod)
        self._bound = None
        if pod.spec.node_name:
            old, new = change
            if old is not None and new is not None and _is_status_alone(old, new):
                return
            self._queue.add(Key(pod.metadata.namespace, pod.metadata.name))

    def reconcile(self, key: Key) -> None:
        """Have the right kubelets look at a pod: that of its node, and that of the node where it was."""
        pod = self._store.find(Pod, key.name, key.namespace)
        before = self._node_of.pop(key, "")
        now = pod.spec.node_name if pod is not None else ""
        if now:
            self._node_of[key] = now
        for name in dict.fromkeys((before, now)):
            kubelet = self.by_node.get(name)
            if kubelet is not None:
                kubelet.sync(key)


def _is_status_alone(old: object, new: object) -> bool:
    """Return whether nothing changed that a kubelet acts on."""
    assert isinstance(old, Pod)
    assert isinstance(new, Pod)
    return (
        old.spec is new.spec
        and old.metadata.uid == new.metadata.uid
        and old.metadata.deletion_timestamp == new.metadata.deletion_timestamp
    )
