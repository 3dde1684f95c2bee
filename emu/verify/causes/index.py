# SPDX-License-Identifier: GPL-2.0-only
"""What is found in the objects of a cluster again and again: found once, until they change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

import attrs

from emu.kube.api.objects import NetworkPolicy, Pod, Service
from emu.kube.api.selectors import selects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kube.api.store import Store


@attrs.define(eq=False)
class Index:
    """Pods and Services by their addresses, and policies by the pods that they isolate.

    Attributes:
        policies: as they were when this was made.
        pods: as they were.
        services: as they were.
    """

    policies: Sequence[NetworkPolicy]
    pods: Sequence[Pod]
    services: Sequence[Service]
    _services: dict[str, Service] = attrs.field(factory=dict, init=False)
    _addresses: dict[str, str] = attrs.field(factory=dict, init=False)
    _isolating: dict[tuple[str, str, str], tuple[str, ...]] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        """Enter what has addresses; of two Services with one address the first."""
        for service in self.services:
            for address in addresses(service):
                self._services.setdefault(address, service)
        for pod in self.pods:
            if pod.status.pod_ip and not pod.spec.host_network and not pod.is_finished:
                self._addresses[pod.status.pod_ip] = f"{pod.metadata.namespace}/{pod.metadata.name}"

    def pod_at(self, address: str) -> str:
        """Return the pod with an address, as `NS/NAME`; empty if there is none."""
        return self._addresses.get(address, "")

    def service_at(self, address: str) -> Service | None:
        """Return the Service with an address, None if there is none."""
        return self._services.get(address)

    def isolating(self, namespace: str, name: str, direction: str) -> tuple[str, ...]:
        """Return the names of the policies that isolate a pod for `ingress` or `egress`, sorted."""
        key = namespace, name, direction
        found = self._isolating.get(key)
        if found is None:
            found = self._isolating[key] = tuple(self._select(*key))
        return found

    def _select(self, namespace: str, name: str, direction: str) -> list[str]:
        here = (each for each in self.pods if each.metadata.name == name)
        pod = next((each for each in here if each.metadata.namespace == namespace), None)
        return [
            policy.metadata.name
            for policy in self.policies
            if pod is not None
            and policy.metadata.namespace == namespace
            and direction in directions(policy)
            and selects(policy.spec.pod_selector, pod.metadata.labels)
        ]


_INDICES: Final[WeakKeyDictionary[Store, Index]] = WeakKeyDictionary()


def index_of(store: Store) -> Index:
    """Return the index of the objects in `store` as they are now."""
    now = store.snapshot(NetworkPolicy), store.snapshot(Pod), store.snapshot(Service)
    found = _INDICES.get(store)
    if found is None or not _is_same((found.policies, found.pods, found.services), now):
        found = _INDICES[store] = Index(*now)
    return found


def _is_same(before: Sequence[object], now: Sequence[object]) -> bool:
    return all(each is other for each, other in zip(before, now, strict=True))


def addresses(service: Service) -> tuple[str, ...]:
    """Return the addresses that are a Service's own: ClusterIPs, external ones, a load balancer's."""
    spec = service.spec
    balanced = (each.ip for each in service.status.load_balancer.ingress if each.ip)
    own = dict.fromkeys((spec.cluster_ip, *spec.cluster_ips, *spec.external_ips, *balanced))
    return tuple(each for each in own if each not in {"", "None"})


def directions(policy: NetworkPolicy) -> tuple[str, ...]:
    """Return the directions that a policy is about, in small letters."""
    spec = policy.spec
    stated = spec.policy_types or (("Ingress", "Egress") if spec.egress else ("Ingress",))
    return tuple(each.lower() for each in stated)
