# SPDX-License-Identifier: GPL-2.0-only
"""What checks look at: the objects of the input, and what the cluster made of them.

Nothing here asks a packet: a selector is compared with labels, a range with a range.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import attrs

from emu.errors import AddressError
from emu.kube.api.objects import CronJob, Namespace, NetworkPolicy, Node, Pod, Service
from emu.kube.api.selectors import contains, selects
from emu.kube.dns.addon import LABEL as DNS_LABEL
from emu.kube.dns.addon import NAMESPACE as DNS_NAMESPACE
from emu.wire.addresses import IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emu.cluster.cluster import Cluster
    from emu.cluster.topology.places import Places
    from emu.kube.api.objects import Known
    from emu.kube.api.objects.field import Labels
    from emu.kube.api.objects.meta import LabelSelector
    from emu.kube.api.objects.network import PolicyPeer
    from emu.kube.api.objects.pod import PodSpec, PodTemplateSpec

K = TypeVar("K", bound="Known")


@attrs.frozen(eq=False)
class Body:
    """A pod, or what pods would be made from: then `pod` is None."""

    namespace: str
    labels: Labels
    spec: PodSpec
    pod: Pod | None

    def has_port(self, number: int, protocol: str) -> bool:
        """Return whether a container declares a port."""
        ports = (each for container in self.spec.containers for each in container.ports)
        return any((each.container_port, each.protocol) == (number, protocol) for each in ports)

    def named_port(self, name: str, protocol: str) -> int | None:
        """Return the number of the port that a container calls `name`, None if none does."""
        ports = (each for container in self.spec.containers for each in container.ports)
        return next(
            (each.container_port for each in ports if (each.name, each.protocol) == (name, protocol)), None
        )

    @property
    def declares_ports(self) -> bool:
        """Whether any container declares any port."""
        return any(container.ports for container in self.spec.containers)


class Facts:
    """What there is.

    Args:
        cluster: as the input made it.
        places: where the input has what.
    """

    def __init__(self, cluster: Cluster, places: Places) -> None:
        self.cluster = cluster
        self.store = cluster.store
        self.topology = cluster.topology
        self.places = places

    def given(self, kind: type[K]) -> list[K]:
        """Return the objects of a kind that the input has, as the cluster has them, each once."""
        found = {}
        for each in self.topology.objects:
            if isinstance(each, kind):
                stored = self.store.find(kind, each.metadata.name, each.metadata.namespace)
                found[each.metadata.namespace, each.metadata.name] = stored or each
        return list(found.values())

    @cached_property
    def services(self) -> list[Service]:
        """The Services of the input."""
        return self.given(Service)

    @cached_property
    def policies(self) -> list[NetworkPolicy]:
        """The policies of the input."""
        return self.given(NetworkPolicy)

    @cached_property
    def nodes(self) -> list[Node]:
        """All nodes, by name."""
        return sorted(self.store.each(Node), key=lambda each: each.metadata.name)

    @cached_property
    def bodies(self) -> list[Body]:
        """All pods, and the templates of the input."""
        pods = [
            Body(each.metadata.namespace, each.metadata.labels, each.spec, each)
            for each in self.store.each(Pod)
        ]
        return [*pods, *self._templates()]

    def _templates(self) -> Iterator[Body]:
        for each in self.topology.objects:
            spec = getattr(each, "spec", None)
            if isinstance(each, CronJob):
                spec = each.spec.job_template.spec
            template: PodTemplateSpec | None = getattr(spec, "template", None)
            if template is not None:
                yield Body(each.metadata.namespace, template.metadata.labels, template.spec, None)

    @cached_property
    def namespaces(self) -> dict[str, Labels]:
        """The labels of each namespace."""
        return {each.metadata.name: each.metadata.labels for each in self.store.each(Namespace)}

    @cached_property
    def dns_pods(self) -> list[Body]:
        """The pods that answer for the cluster's DNS."""
        return [
            each
            for each in self.bodies
            if each.pod is not None and each.namespace == DNS_NAMESPACE and contains(each.labels, DNS_LABEL)
        ]

    # --- selecting ---

    def of_service(self, service: Service) -> list[Body]:
        """Return what a Service selects."""
        namespace, selector = service.metadata.namespace, service.spec.selector or {}
        return [
            each for each in self.bodies if each.namespace == namespace and contains(each.labels, selector)
        ]

    def of_policy(self, policy: NetworkPolicy) -> list[Body]:
        """Return what a policy is about."""
        return self.selected([policy.metadata.namespace], policy.spec.pod_selector)

    def of_peer(self, namespace: str, peer: PolicyPeer) -> list[Body]:
        """Return the pods that a peer of a policy of `namespace` means by labels."""
        names = [namespace]
        if peer.namespace_selector is not None:
            names = [
                name for name, labels in self.namespaces.items() if selects(peer.namespace_selector, labels)
            ]
        return self.selected(names, peer.pod_selector)

    def selected(self, namespaces: Iterable[str], selector: LabelSelector | None) -> list[Body]:
        """Return the pods of some namespaces that have the labels; without a selector all of them."""
        wanted = set(namespaces)
        return [
            each
            for each in self.bodies
            if each.namespace in wanted and (selector is None or selects(selector, each.labels))
        ]


def number(bodies: Iterable[Body]) -> int:
    """Return how many pods there are among them."""
    return sum(each.pod is not None for each in bodies)


def pods(count: int) -> str:
    """Return `no pod`, `1 pod`, `3 pods`."""
    return "no pod" if not count else "1 pod" if count == 1 else f"{count} pods"


def directions(policy: NetworkPolicy) -> tuple[str, ...]:
    """Return the types of a policy, said or not: Ingress, and Egress if it has such rules."""
    return policy.spec.policy_types or (("Ingress", "Egress") if policy.spec.egress else ("Ingress",))


def prefix_of(text: str) -> Prefix | None:
    """Return a prefix of IPv4, host bits cleared; None for what is none."""
    try:
        found = Prefix.parse(text, strict=False)
    except AddressError:
        return None
    return found if found.address.family == 4 else None


def address_of(text: str) -> IpAddress | None:
    """Return an address of IPv4, None for what is none."""
    try:
        found = IpAddress.parse(text)
    except AddressError:
        return None
    return found if found.family == 4 else None


def is_within(inner: Prefix, outer: Prefix) -> bool:
    """Return whether all addresses of a prefix are in another one."""
    return inner.length >= outer.length and inner.address in outer


def labels_text(labels: Labels) -> str:
    """Return labels as `kubectl -l` takes them."""
    return ",".join(f"{key}={value}" for key, value in labels.items())
