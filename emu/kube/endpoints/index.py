# SPDX-License-Identifier: GPL-2.0-only
"""Who selects whom, without asking everybody.

A Service is filed under one pair of its selector, a pod under each pair of its
labels; so a pod's change finds the Services that may select it, and a Service
the pods it may select, whatever else there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from emu.kube.api.objects import EndpointSlice, Pod, Service
from emu.kube.api.selectors import contains
from emu.kube.controller import Key
from emu.kube.endpoints.pods import has_selector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kube.api.objects.field import Labels
    from emu.kube.api.store import Change, Store

_Pair: TypeAlias = tuple[str, str, str]
"""Namespace, label, value."""


class Selection:
    """The pods each Service selects, and the Services that select each pod; kept up to date.

    Whoever makes one before they watch the store themselves sees it current
    when they are told of a change.
    """

    def __init__(self, store: Store) -> None:
        self._services: dict[_Pair, dict[str, Labels]] = {}
        self._filed: dict[Key, _Pair] = {}
        self._pods: dict[_Pair, dict[str, Pod]] = {}
        self._on_node: dict[str, dict[Key, Pod]] = {}
        for service in store.each(Service):
            self._file_service(service)
        for pod in store.each(Pod):
            self._file_pod(pod)
        store.watch(Service, self._service_changed)
        store.watch(Pod, self._pod_changed)

    def services_of(self, pod: Pod) -> Iterator[Key]:
        """Yield the Services that select `pod`, by its labels as they are in it."""
        namespace, labels = pod.metadata.namespace, pod.metadata.labels
        for key, value in labels.items():
            for name, selector in self._services.get((namespace, key, value), {}).items():
                if contains(labels, selector):
                    yield Key(namespace, name)

    def pods_of(self, service: Service) -> list[Pod]:
        """Return the pods that `service` selects."""
        selector = service.spec.selector
        if not has_selector(service) or not selector:
            return []
        namespace = service.metadata.namespace
        filed = [self._pods.get((namespace, key, value), {}) for key, value in selector.items()]
        fewest = min(filed, key=len)
        return [pod for pod in fewest.values() if contains(pod.metadata.labels, selector)]

    def pods_on(self, node: str) -> list[Pod]:
        """Return the pods of a node."""
        return list(self._on_node.get(node, {}).values())

    # --- filing ---

    def _service_changed(self, change: Change) -> None:
        if isinstance(change.old, Service):
            self._unfile_service(change.old)
        if isinstance(change.new, Service):
            self._file_service(change.new)

    def _file_service(self, service: Service) -> None:
        """File a Service under the pair of its selector that the fewest others are filed under."""
        selector = service.spec.selector
        if selector and has_selector(service):
            namespace, name = service.metadata.namespace, service.metadata.name
            pairs = [(namespace, key, value) for key, value in selector.items()]
            rarest = min(pairs, key=lambda pair: len(self._services.get(pair, {})))
            self._services.setdefault(rarest, {})[name] = selector
            self._filed[Key(namespace, name)] = rarest

    def _unfile_service(self, service: Service) -> None:
        key = Key(service.metadata.namespace, service.metadata.name)
        pair = self._filed.pop(key, None)
        if pair is not None:
            del self._services[pair][key.name]

    def _pod_changed(self, change: Change) -> None:
        old, new = change
        if isinstance(old, Pod) and not (isinstance(new, Pod) and _filed_alike(old, new)):
            for pair in _pairs(old):
                self._pods.get(pair, {}).pop(old.metadata.name, None)
            self._on_node.get(old.spec.node_name, {}).pop(_key(old), None)
        if isinstance(new, Pod):
            self._file_pod(new)

    def _file_pod(self, pod: Pod) -> None:
        for pair in _pairs(pod):
            self._pods.setdefault(pair, {})[pod.metadata.name] = pod
        self._on_node.setdefault(pod.spec.node_name, {})[_key(pod)] = pod


def _key(pod: Pod) -> Key:
    return Key(pod.metadata.namespace, pod.metadata.name)


def _pairs(pod: Pod) -> Iterator[_Pair]:
    namespace = pod.metadata.namespace
    return ((namespace, key, value) for key, value in pod.metadata.labels.items())


def _filed_alike(old: Pod, new: Pod) -> bool:
    return old.metadata.labels == new.metadata.labels and old.spec.node_name == new.spec.node_name


class SliceIndex:
    """The slices of each Service, kept up to date."""

    def __init__(self, store: Store) -> None:
        self._slices: dict[Key, dict[str, EndpointSlice]] = {}
        for each in store.each(EndpointSlice):
            self._file(each)
        store.watch(EndpointSlice, self._changed)

    def of(self, service: Key) -> list[EndpointSlice]:
        """Return the slices of a Service, sorted by name."""
        found = self._slices.get(service, {})
        return [found[name] for name in sorted(found)]

    def _file(self, each: EndpointSlice) -> None:
        key = Key(each.metadata.namespace, each.service)
        self._slices.setdefault(key, {})[each.metadata.name] = each

    def _changed(self, change: Change) -> None:
        if isinstance(change.old, EndpointSlice):
            key = Key(change.old.metadata.namespace, change.old.service)
            self._slices.get(key, {}).pop(change.old.metadata.name, None)
        if isinstance(change.new, EndpointSlice):
            self._file(change.new)
