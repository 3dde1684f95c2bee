# SPDX-License-Identifier: GPL-2.0-only
"""The mirror: Endpoints that people write by hand become slices.

Source: pkg/controller/endpointslicemirroring/{endpointslicemirroring_controller,reconciler,utils}.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import AddressError
from emu.kube.api.defaults import family_of
from emu.kube.api.objects import Endpoints, EndpointSlice, Service
from emu.kube.api.objects.meta import Meta, OwnerReference
from emu.kube.api.objects.service import SERVICE_NAME, Endpoint, EndpointConditions, EndpointPort
from emu.kube.controller import Key, Queue
from emu.kube.endpoints.names import named
from emu.kube.endpoints.pods import has_selector
from emu.kube.endpoints.slices import MANAGED_BY, TRIGGER, port_key
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.kube.api.objects.service import EndpointAddress, EndpointSubset
    from emu.kube.api.store import Change, Store
    from emu.kube.endpoints.index import SliceIndex
    from emu.sim.rng import Streams

CONTROLLER: Final = "endpointslicemirroring-controller.k8s.io"
SKIP: Final = "endpointslice.kubernetes.io/skip-mirror"
LEADER: Final = "control-plane.alpha.kubernetes.io/leader"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
MOST: Final = 1000
"""Addresses of a subset that are mirrored."""


def is_mirrored(endpoints: Endpoints, service: Service | None) -> bool:
    """Whether slices are made of `endpoints`: their Service has no selector, and they do not object."""
    metadata = endpoints.metadata
    return (
        metadata.labels.get(SKIP) != "true"
        and LEADER not in metadata.annotations
        and service is not None
        and not has_selector(service)
    )


def mirror(endpoints: Endpoints, existing: Sequence[EndpointSlice]) -> tuple[list[EndpointSlice], list[str]]:
    """Return the slices that have to be kept for `endpoints`, new ones without a name, and names to delete.

    Args:
        endpoints: those to mirror.
        existing: the slices made of them before.
    """
    spare = {(each.address_type, port_key(each.ports)): each for each in existing}
    kept: list[EndpointSlice] = []
    stay: set[str] = set()
    for family, ports, members in _wanted(endpoints):
        wanted = EndpointSlice(_metadata(endpoints), family, members, ports)
        old = spare.pop((family, port_key(ports)), None)
        if old is None:
            kept.append(wanted)
            continue
        stay.add(old.metadata.name)
        metadata = attrs.evolve(
            old.metadata, labels=wanted.metadata.labels, annotations=wanted.metadata.annotations
        )
        if (members, metadata) != (old.endpoints, old.metadata):
            kept.append(attrs.evolve(wanted, metadata=metadata))
    return kept, [each.metadata.name for each in existing if each.metadata.name not in stay]


def _wanted(
    endpoints: Endpoints,
) -> Iterator[tuple[str, tuple[EndpointPort, ...], tuple[Endpoint, ...]]]:
    for subset in endpoints.subsets:
        ports = tuple(
            EndpointPort(each.name, each.port, each.protocol, each.app_protocol) for each in subset.ports
        )
        by_family: dict[str, list[Endpoint]] = {}
        for address, ready in _addresses(subset):
            by_family.setdefault(family_of(address.ip), []).append(_endpoint(address, ready=ready))
        for family in sorted(by_family):
            yield family, ports, tuple(by_family[family])


def _addresses(subset: EndpointSubset) -> list[tuple[EndpointAddress, bool]]:
    """Return the valid addresses of a subset, those that are ready first, `MOST` at the most."""
    both = [(each, True) for each in subset.addresses] + [
        (each, False) for each in subset.not_ready_addresses
    ]
    return [pair for pair in both if _is_address(pair[0].ip)][:MOST]


def _is_address(text: str) -> bool:
    try:
        IpAddress.parse(text)
    except AddressError:
        return False
    return True


def _endpoint(address: EndpointAddress, *, ready: bool) -> Endpoint:
    return Endpoint(
        (address.ip,),
        EndpointConditions(ready=ready),
        hostname=address.hostname or None,
        target_ref=address.target_ref,
        node_name=address.node_name,
    )


def _metadata(endpoints: Endpoints) -> Meta:
    about = endpoints.metadata
    owner = OwnerReference("Endpoints", about.name, about.uid, controller=True, block_owner_deletion=True)
    return Meta(
        namespace=about.namespace,
        generate_name=f"{about.name}-",
        labels={**about.labels, SERVICE_NAME: about.name, MANAGED_BY: CONTROLLER},
        annotations={
            key: value for key, value in about.annotations.items() if key not in {TRIGGER, LAST_APPLIED}
        },
        owner_references=(owner,),
        generation=1,
    )


class MirroringController:
    """Makes slices of Endpoints whose Service has no selector.

    Args:
        store: the API server.
        streams: where the ends of slices' names are drawn from.
        index: the slices of each Service.
    """

    def __init__(self, store: Store, streams: Streams, index: SliceIndex) -> None:
        self._store = store
        self._streams = streams
        self._index = index
        self.queue = Queue(store, self)
        for kind in (Endpoints, Service, EndpointSlice):
            store.watch(kind, self._changed)
        for endpoints in store.each(Endpoints):
            self.queue.add(Key(endpoints.metadata.namespace, endpoints.metadata.name))

    def reconcile(self, key: Key) -> None:
        """Make the mirror of some Endpoints as it should be."""
        endpoints = self._store.find(Endpoints, key.name, key.namespace)
        service = self._store.find(Service, key.name, key.namespace)
        existing = [
            each for each in self._index.of(key) if each.metadata.labels.get(MANAGED_BY) == CONTROLLER
        ]
        put: list[EndpointSlice] = []
        gone = [each.metadata.name for each in existing]
        if endpoints is not None and is_mirrored(endpoints, service):
            put, gone = mirror(endpoints, existing)
        for each in put:
            self._store.put(each if each.metadata.name else named(each, self._store, self._streams))
        for name in gone:
            self._store.delete(EndpointSlice, name, key.namespace)

    def _changed(self, change: Change) -> None:
        found = change.object
        if not isinstance(found, EndpointSlice):
            self.queue.add(Key(found.metadata.namespace, found.metadata.name))
        elif found.metadata.labels.get(MANAGED_BY) == CONTROLLER:
            self.queue.add(Key(found.metadata.namespace, found.service))
