# SPDX-License-Identifier: GPL-2.0-only
"""What policies are decided from: the objects as they are at one instant."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.kube.api.defaults import family_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from emu.kube.api.objects import NetworkPolicy, Pod
    from emu.kube.api.objects.container import Container
    from emu.kube.api.objects.field import Labels

NAME_LABEL: Final = "kubernetes.io/metadata.name"
"""The label that the API server puts on each namespace."""


class NamedPort(NamedTuple):
    """A port that a container gives a name; `protocol` in capitals."""

    name: str
    protocol: str
    number: int


@attrs.frozen
class PodView:
    """A pod as policies see it: one that has an address and has not ended.

    Attributes:
        namespace: where it is.
        name: of the pod.
        labels: what selectors look at.
        node: where it runs.
        address: of IPv4.
        ports: those with names.
        is_host_network: it has no network of its own, and its node's address.
        group: the same for pods that no selector tells apart.
    """

    namespace: str
    name: str
    labels: Labels
    node: str
    address: str
    ports: tuple[NamedPort, ...] = ()
    is_host_network: bool = False
    group: tuple[str, tuple[tuple[str, str], ...]] = attrs.field(init=False, eq=False, repr=False)

    @group.default
    def _group(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        return self.namespace, tuple(sorted(self.labels.items()))

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name


def view_of(pod: Pod, address: str = "") -> PodView | None:
    """Return a pod as policies see it; None if it does not count.

    Args:
        pod: the pod.
        address: what the node knows of its address before the API does.
    """
    if pod.is_finished or not pod.spec.node_name:
        return None
    status = pod.status
    told = (address, *(each.ip for each in status.pod_ips), status.pod_ip)
    found = next((each for each in told if each and family_of(each) == "IPv4"), "")
    if not found:
        return None
    meta = pod.metadata
    ports = tuple(_named_ports(pod))
    return PodView(
        meta.namespace, meta.name, meta.labels, pod.spec.node_name, found, ports, pod.spec.host_network
    )


def _named_ports(pod: Pod) -> Iterator[NamedPort]:
    for container in _containers(pod):
        for port in container.ports:
            if port.name:
                yield NamedPort(port.name, port.protocol, port.container_port)


def _containers(pod: Pod) -> Iterator[Container]:
    """Yield what runs as long as the pod does."""
    yield from pod.spec.containers
    yield from (each for each in pod.spec.init_containers if each.restart_policy == "Always")


@attrs.frozen
class Snapshot:
    """Everything that policies are decided from.

    Attributes:
        policies: sorted by namespace and name.
        pods: those that count, sorted likewise.
        namespaces: the labels of each namespace.
    """

    policies: tuple[NetworkPolicy, ...] = ()
    pods: tuple[PodView, ...] = ()
    namespaces: Mapping[str, Labels] = MappingProxyType({})

    def labels_of(self, namespace: str) -> Labels:
        """Return the labels of a namespace, with the one that each has."""
        return {**self.namespaces.get(namespace, {}), NAME_LABEL: namespace}
