# SPDX-License-Identifier: GPL-2.0-only
"""The Endpoints controller: one object for each Service, as it was before there were slices.

Source: pkg/controller/endpoint/endpoints_controller.go, pkg/api/v1/endpoints/util.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.kube.api.objects import Endpoints, Pod, Service
from emu.kube.api.objects.meta import Meta
from emu.kube.api.objects.service import EndpointAddress, EndpointsPort, EndpointSubset
from emu.kube.controller import Key, Queue
from emu.kube.endpoints.controller import is_same_endpoint
from emu.kube.endpoints.pods import addresses, has_selector, hostname, is_candidate, port_number, reference
from emu.kube.endpoints.slices import HEADLESS, TRIGGER, families

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kube.api.store import Change, Store
    from emu.kube.endpoints.index import Selection

MANAGED_BY: Final = "endpoints.kubernetes.io/managed-by"
CONTROLLER: Final = "endpoint-controller"
OVER_CAPACITY: Final = "endpoints.kubernetes.io/over-capacity"
MOST: Final = 1000
"""Addresses in an object; what is beyond is cut off, those that are not ready first."""

_LABELLED_SINCE: Final = 33


class _Group(NamedTuple):
    """The addresses that have some ports."""

    ports: tuple[EndpointsPort, ...]
    ready: list[EndpointAddress]
    other: list[EndpointAddress]


def endpoints_of(
    service: Service, pods: Iterable[Pod], old: Endpoints | None, *, minor: int = 35, now: str = ""
) -> Endpoints:
    """Return the Endpoints of `service`, `old` itself if nothing changes.

    Args:
        service: one with a selector.
        pods: those it selects.
        old: what there is.
        minor: the release of Kubernetes is 1.`minor`.
        now: the time, for an annotation.
    """
    published = service.spec.publish_not_ready_addresses
    family = families(service)[0]
    groups: dict[tuple[tuple[str, int, str], ...], _Group] = {}
    for pod in pods:
        if not is_candidate(pod) or (pod.metadata.is_terminating and not published):
            continue
        found = addresses(pod, family)
        ports = _ports(pod, service)
        if not found or (service.spec.ports and not ports):
            continue
        group = groups.setdefault(
            tuple((each.name, each.port, each.protocol) for each in ports), _Group(ports, [], [])
        )
        address = EndpointAddress(
            found[0], hostname(pod, service) or "", pod.spec.node_name or None, reference(pod)
        )
        (group.ready if published or pod.is_ready else group.other).append(address)
    ordered = [_Group(each.ports, _sorted(each.ready), _sorted(each.other)) for each in groups.values()]
    ordered.sort(key=lambda group: [(each.port, each.protocol, each.name) for each in group.ports])
    subsets, truncated = _truncate(ordered)
    return _finish(service, subsets, old, minor=minor, now=now, truncated=truncated)


def _ports(pod: Pod, service: Service) -> tuple[EndpointsPort, ...]:
    found = ((port, port_number(pod, port)) for port in service.spec.ports)
    return tuple(
        EndpointsPort(number, port.name, port.protocol, port.app_protocol)
        for port, number in found
        if number is not None
    )


def _sorted(found: Iterable[EndpointAddress]) -> list[EndpointAddress]:
    """Sort by the address as text, as the API shows them."""
    return sorted(found, key=lambda each: (each.ip, each.target_ref.name if each.target_ref else ""))


def _truncate(groups: Iterable[_Group]) -> tuple[tuple[EndpointSubset, ...], bool]:
    """Return the subsets with `MOST` addresses in all, ready ones first, and whether some are cut."""
    groups = list(groups)
    room = MOST
    kept: list[tuple[list[EndpointAddress], list[EndpointAddress]]] = []
    for group in groups:
        kept.append((group.ready[:room], []))
        room -= len(kept[-1][0])
    for index, group in enumerate(groups):
        kept[index] = (kept[index][0], group.other[:room])
        room -= len(kept[index][1])
    truncated = sum(len(group.ready) + len(group.other) for group in groups) > MOST
    subsets = tuple(
        EndpointSubset(tuple(ready), tuple(other), group.ports)
        for group, (ready, other) in zip(groups, kept, strict=True)
        if ready or other
    )
    return subsets, truncated


def _finish(
    service: Service,
    subsets: tuple[EndpointSubset, ...],
    old: Endpoints | None,
    *,
    minor: int,
    now: str,
    truncated: bool,
) -> Endpoints:
    found = labels(service, minor)
    metadata = old.metadata if old is not None else Meta(service.metadata.name, service.metadata.namespace)
    is_marked = metadata.annotations.get(OVER_CAPACITY) == "truncated"
    if (
        old is not None
        and old.subsets == subsets
        and dict(metadata.labels) == found
        and is_marked is truncated
    ):
        return old
    annotations = {**metadata.annotations}
    if now:
        annotations[TRIGGER] = now
    if truncated:
        annotations[OVER_CAPACITY] = "truncated"
    else:
        annotations.pop(OVER_CAPACITY, None)
    metadata = attrs.evolve(metadata, labels=found, annotations=annotations)
    return (
        Endpoints(metadata, subsets) if old is None else attrs.evolve(old, metadata=metadata, subsets=subsets)
    )


def labels(service: Service, minor: int) -> dict[str, str]:
    """Return the labels of a Service's Endpoints."""
    found = {key: value for key, value in service.metadata.labels.items() if key != HEADLESS}
    if minor >= _LABELLED_SINCE:
        found[MANAGED_BY] = CONTROLLER
    if service.is_headless:
        found[HEADLESS] = ""
    return found


class EndpointsController:
    """Makes the Endpoints of Services with a selector.

    Args:
        store: the API server.
        selection: who selects whom.
        minor: the release of Kubernetes is 1.`minor`.
    """

    def __init__(self, store: Store, selection: Selection, *, minor: int = 35) -> None:
        self._store = store
        self._selection = selection
        self._minor = minor
        self._writing = False  # what we do ourselves is right already
        self.queue = Queue(store, self)
        store.watch(Service, self._service_changed)
        store.watch(Pod, self._pod_changed)
        store.watch(Endpoints, self._endpoints_changed)
        for service in store.each(Service):
            self.queue.add(Key(service.metadata.namespace, service.metadata.name))

    def reconcile(self, key: Key) -> None:
        """Make the Endpoints of a Service as they should be; they go with it."""
        service = self._store.find(Service, key.name, key.namespace)
        if service is None:
            self._store.delete(Endpoints, key.name, key.namespace)
        elif has_selector(service):
            old = self._store.find(Endpoints, key.name, key.namespace)
            pods = self._selection.pods_of(service)
            wanted = endpoints_of(service, pods, old, minor=self._minor, now=self._store.now)
            if wanted is not old:
                self._writing = True
                self._store.put(wanted)
                self._writing = False

    def _service_changed(self, change: Change) -> None:
        metadata = change.object.metadata
        self.queue.add(Key(metadata.namespace, metadata.name))

    def _pod_changed(self, change: Change) -> None:
        old, new = change
        if isinstance(old, Pod) and isinstance(new, Pod) and is_same_endpoint(old, new):
            return
        for pod in (old, new):
            if isinstance(pod, Pod):
                self.queue.add_all(self._selection.services_of(pod))

    def _endpoints_changed(self, change: Change) -> None:
        metadata = change.object.metadata
        if not self._writing and self._store.find(Service, metadata.name, metadata.namespace) is not None:
            self.queue.add(Key(metadata.namespace, metadata.name))
