# SPDX-License-Identifier: GPL-2.0-only
"""The EndpointSlice controller: watches Services, pods and nodes, and keeps slices as they should be.

Source: pkg/controller/endpointslice/endpointslice_controller.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.objects import EndpointSlice, Node, Pod, Service
from emu.kube.controller import Key, Queue
from emu.kube.endpoints import hints, slices
from emu.kube.endpoints.names import named
from emu.kube.endpoints.pods import ZONE, has_selector
from emu.kube.events import WARNING, record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kube.api.store import Change, Store
    from emu.kube.endpoints.index import Selection, SliceIndex
    from emu.sim.rng import Streams

NAME: Final = "endpoint-slice-controller"


class EndpointSliceController:
    """Makes the slices of Services with a selector.

    Args:
        store: the API server.
        streams: where the ends of slices' names are drawn from, for each Service from its own.
        selection: who selects whom.
        index: the slices of each Service.
        minor: the release of Kubernetes is 1.`minor`.
        most: endpoints in a slice.
    """

    def __init__(
        self,
        store: Store,
        streams: Streams,
        selection: Selection,
        index: SliceIndex,
        *,
        minor: int = 35,
        most: int = slices.MOST,
    ) -> None:
        self._store = store
        self._streams = streams
        self._selection = selection
        self._index = index
        self._minor = minor
        self._most = most
        self._writing = False  # what we do ourselves is right already
        self._complaints: dict[Key, str] = {}
        self._automatic: set[Key] = set()
        self.queue = Queue(store, self)
        store.watch(Service, self._service_changed)
        store.watch(Pod, self._pod_changed)
        store.watch(Node, self._node_changed)
        store.watch(EndpointSlice, self._slice_changed)
        for service in store.each(Service):
            self._service_changed_to(service)

    def reconcile(self, key: Key) -> None:
        """Make the slices of a Service as they should be; those of one that is gone go too."""
        service = self._store.find(Service, key.name, key.namespace)
        existing = [each for each in self._index.of(key) if is_ours(each)]
        if service is None:
            for each in existing:
                self._store.delete(EndpointSlice, each.metadata.name, key.namespace)
            return
        if not has_selector(service):
            return
        around = slices.Surroundings(self._node, self._nodes, self._minor, self._most, self._store.now)
        plan = slices.plan(service, self._selection.pods_of(service), existing, around)
        self._writing = True
        for each in plan.put:
            self._store.put(each if each.metadata.name else named(each, self._store, self._streams))
        for name in plan.delete:
            self._store.delete(EndpointSlice, name, key.namespace)
        self._writing = False
        if plan.complaint and plan.complaint != self._complaints.get(key):
            record(self._store, service, WARNING, "TopologyAwareHintsDisabled", plan.complaint, NAME)
        self._complaints[key] = plan.complaint

    def _node(self, name: str) -> Node | None:
        return self._store.find(Node, name)

    def _nodes(self) -> Iterable[Node]:
        return self._store.each(Node)

    # --- watching ---

    def _service_changed(self, change: Change) -> None:
        if isinstance(change.new, Service):
            self._service_changed_to(change.new)
        elif isinstance(change.old, Service):
            key = Key(change.old.metadata.namespace, change.old.metadata.name)
            self._automatic.discard(key)
            self._complaints.pop(key, None)
            self.queue.add(key)

    def _service_changed_to(self, service: Service) -> None:
        key = Key(service.metadata.namespace, service.metadata.name)
        if has_selector(service) and hints.is_auto(service):
            self._automatic.add(key)
        else:
            self._automatic.discard(key)
        self.queue.add(key)

    def _pod_changed(self, change: Change) -> None:
        old, new = change
        if isinstance(old, Pod) and isinstance(new, Pod):
            if is_same_endpoint(old, new):
                return
            if old.metadata.labels == new.metadata.labels:
                self.queue.add_all(self._selection.services_of(new))
                return
        for pod in (old, new):
            if isinstance(pod, Pod):
                self.queue.add_all(self._selection.services_of(pod))

    def _node_changed(self, change: Change) -> None:
        old, new = change
        if isinstance(old, Node) and isinstance(new, Node):
            if _zone(old) != _zone(new):
                self._requeue_pods_of(new)
            if (_zone(old), old.is_ready, old.status.allocatable) == (
                _zone(new),
                new.is_ready,
                new.status.allocatable,
            ):
                return
        else:
            found = change.object
            assert isinstance(found, Node)
            self._requeue_pods_of(found)
        self.queue.add_all(sorted(self._automatic))

    def _requeue_pods_of(self, node: Node) -> None:
        for pod in self._selection.pods_on(node.metadata.name):
            self.queue.add_all(self._selection.services_of(pod))

    def _slice_changed(self, change: Change) -> None:
        """Put right what somebody else has done to a slice of ours."""
        if self._writing:
            return
        for each in change:
            if isinstance(each, EndpointSlice) and is_ours(each) and each.service:
                self.queue.add(Key(each.metadata.namespace, each.service))


def is_ours(found: EndpointSlice) -> bool:
    """Whether a slice says that this controller manages it."""
    return found.metadata.labels.get(slices.MANAGED_BY) == slices.CONTROLLER


def is_same_endpoint(old: Pod, new: Pod) -> bool:
    """Whether nothing that endpoints show has changed between two states of a pod."""
    return (
        old.metadata.labels == new.metadata.labels
        and old.metadata.is_terminating == new.metadata.is_terminating
        and old.metadata.uid == new.metadata.uid
        and old.is_ready == new.is_ready
        and old.is_finished == new.is_finished
        and old.status.pod_ip == new.status.pod_ip
        and old.status.pod_ips == new.status.pod_ips
        and (old.spec is new.spec or old.spec == new.spec)
    )


def _zone(node: Node) -> str | None:
    return node.metadata.labels.get(ZONE)
