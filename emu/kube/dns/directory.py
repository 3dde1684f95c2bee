# SPDX-License-Identifier: GPL-2.0-only
"""What CoreDNS keeps of the API: Services by name and address, endpoints, pods by address.

All replicas share one: the API tells all of them at once.

Source: coredns plugin/kubernetes/controller.go, object/{service,endpoint,pod}.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from emu.kube.api.objects import EndpointSlice, Namespace, Pod, Service
from emu.kube.controller import Key
from emu.kube.endpoints.index import SliceIndex
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kube.api.store import Change, Store


class Backend(NamedTuple):
    """A ready endpoint, at one of its ports; `port` is -1 where its slice has none."""

    address: str
    hostname: str
    pod: str
    port_name: str
    port: int
    protocol: str


class Directory:
    """Answers questions about what there is now.

    Args:
        store: the API server.
        index: the slices of each Service; a new one if there is none yet.
    """

    is_still: ClassVar[bool] = True

    def __init__(self, store: Store, index: SliceIndex | None = None) -> None:
        self._store = store
        self._slices = index or SliceIndex(store)
        self._by_cluster_ip: dict[str, dict[Key, None]] = {}
        self._by_endpoint: dict[str, dict[Key, int]] = {}
        self._by_pod_ip: dict[str, dict[Key, None]] = {}
        self.serial = self._seconds()
        for service in store.each(Service):
            self._count_service(service)
        for each in store.each(EndpointSlice):
            self._count_slice(each, 1)
        for pod in store.each(Pod):
            self._count_pod(pod)
        store.watch(Service, self._service_changed)
        store.watch(EndpointSlice, self._slice_changed)
        store.watch(Pod, self._pod_changed)

    # --- questions ---

    def has_namespace(self, name: str) -> bool:
        """Whether there is a namespace of that name."""
        return self._store.find(Namespace, name) is not None

    def service(self, namespace: str, name: str) -> Service | None:
        """Return a Service, None if there is none."""
        return self._store.find(Service, name, namespace)

    def backends(self, service: Key) -> Iterator[Backend]:
        """Yield the ready endpoints of a Service, once for each port."""
        for each in self._slices.of(service):
            if each.address_type == "FQDN":
                continue
            ports = [(port.name or "", port.port or 0, port.protocol) for port in each.ports]
            for endpoint in each.endpoints:
                if endpoint.conditions.ready is False:
                    continue
                pod = endpoint.target_ref.name if endpoint.target_ref is not None else ""
                for address in endpoint.addresses:
                    for name, number, protocol in ports or [("", -1, "")]:
                        yield Backend(address, endpoint.hostname or "", pod, name, number, protocol)

    def service_at(self, address: str) -> Key | None:
        """Return the Service that has a ClusterIP, None if none has."""
        return min(self._by_cluster_ip.get(address, {}), default=None)

    def services_behind(self, address: str) -> list[Key]:
        """Return the Services that have an endpoint with the address."""
        return sorted(self._by_endpoint.get(address, {}))

    def pods_at(self, address: str) -> list[Pod]:
        """Return the pods that have an address and have not ended."""
        found = (
            self._store.find(Pod, key.name, key.namespace) for key in sorted(self._by_pod_ip.get(address, {}))
        )
        return [pod for pod in found if pod is not None and not pod.is_finished]

    # --- keeping up ---

    def _seconds(self) -> int:
        return (self._store.epoch + self._store.loop.now) // SECOND

    def _service_changed(self, change: Change) -> None:
        self.serial = self._seconds()
        if isinstance(change.old, Service):
            key = _key(change.old)
            for address in change.old.spec.cluster_ips:
                self._by_cluster_ip.get(address, {}).pop(key, None)
        if isinstance(change.new, Service):
            self._count_service(change.new)

    def _count_service(self, service: Service) -> None:
        for address in service.spec.cluster_ips:
            if address and address != "None":
                self._by_cluster_ip.setdefault(address, {})[_key(service)] = None

    def _slice_changed(self, change: Change) -> None:
        self.serial = self._seconds()
        if isinstance(change.old, EndpointSlice):
            self._count_slice(change.old, -1)
        if isinstance(change.new, EndpointSlice):
            self._count_slice(change.new, 1)

    def _count_slice(self, each: EndpointSlice, step: int) -> None:
        key = Key(each.metadata.namespace, each.service)
        for endpoint in each.endpoints:
            for address in endpoint.addresses:
                counts = self._by_endpoint.setdefault(address, {})
                counts[key] = counts.get(key, 0) + step
                if not counts[key]:
                    del counts[key]

    def _pod_changed(self, change: Change) -> None:
        old, new = change
        if isinstance(old, Pod) and isinstance(new, Pod) and old.status.pod_ip == new.status.pod_ip:
            return
        if isinstance(old, Pod):
            self._by_pod_ip.get(old.status.pod_ip, {}).pop(_key(old), None)
        if isinstance(new, Pod):
            self._count_pod(new)

    def _count_pod(self, pod: Pod) -> None:
        if pod.status.pod_ip:
            self._by_pod_ip.setdefault(pod.status.pod_ip, {})[_key(pod)] = None


def _key(obj: Service | Pod) -> Key:
    return Key(obj.metadata.namespace, obj.metadata.name)
