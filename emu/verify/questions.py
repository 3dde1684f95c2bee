# SPDX-License-Identifier: GPL-2.0-only
"""Which questions tell who reaches whom in a cluster: who may ask, whom, and on which ports.

all workloads  --> every Service's ports, every workload's ports, hosts outside that serve
hosts outside  --> node ports, load balancers' and external addresses

Objects only say what is worth asking; what is answered comes from packets.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.cluster.expectation import SCHEME
from emu.cluster.outside import LAPTOP
from emu.kube.api.objects import (
    CronJob,
    DaemonSet,
    Deployment,
    Job,
    Node,
    Pod,
    ReplicaSet,
    ReplicationController,
    Service,
    StatefulSet,
)
from emu.kube.api.selectors import contains
from emu.kube.dns.addon import LABEL as DNS_LABEL
from emu.kube.dns.addon import NAMESPACE as DNS_NAMESPACE
from emu.kube.endpoints.pods import has_selector, port_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from emu.cluster.cluster import Cluster
    from emu.kube.api.objects import Known
    from emu.kube.api.store import Store

_WORDS: Final[Mapping[str, tuple[str, type[Known]]]] = {
    "Deployment": ("deploy", Deployment),
    "StatefulSet": ("sts", StatefulSet),
    "DaemonSet": ("ds", DaemonSet),
    "ReplicaSet": ("rs", ReplicaSet),
    "ReplicationController": ("rc", ReplicationController),
    "Job": ("job", Job),
    "CronJob": ("cronjob", CronJob),
}
_DOMAIN: Final = "cluster.local"


class Port(NamedTuple):
    """A port that is asked; `protocol` in capitals, and ICMP has number 0."""

    number: int
    protocol: str

    def __str__(self) -> str:
        return f"{self.number}/{self.protocol}" if self.number else self.protocol


class Member(NamedTuple):
    """One that asks or is asked: what people are shown, and the end point that means it."""

    shown: str
    point: str


@attrs.frozen
class Party:
    """Some that whoever wrote the manifests meant to be alike: the pods of a workload, all nodes.

    Attributes:
        point: all of them, as an end point where there is one for them.
        shown: the same for people: `shop/web-*`.
        members: each of them, sorted.
    """

    point: str
    shown: str
    members: tuple[Member, ...]


@attrs.frozen
class Workload:
    """Pods that one object makes, or a pod that stands alone.

    Attributes:
        party: its pods that have a network.
        namespace: of all of them.
        ports: what its containers declare, and what Services lead to.
    """

    party: Party
    namespace: str
    ports: tuple[Port, ...] = ()


@attrs.frozen
class Flow:
    """Whether the members of a party reach those of another, on one port."""

    source: Party
    target: Party
    port: Port

    @property
    def key(self) -> tuple[str, str, Port]:
        """What tells it from other flows, in another cluster, too."""
        return self.source.point, self.target.point, self.port

    @property
    def questions(self) -> Iterator[tuple[Member, Member]]:
        """Who asks whom. Nobody is asked whether he reaches himself: that leaves no pod."""
        for source in self.source.members:
            for target in self.target.members:
                if source != target:
                    yield source, target

    def text(self, target: Member) -> str:
        """Return the end point of a question: `svc/shop/web:80/TCP`."""
        return asked(target.point, str(self.port))


def asked(point: str, port: str) -> str:
    """Return an end point with its port, `svc/shop/web:80/TCP`, or a protocol that has none; a URL alone."""
    if SCHEME in point:
        return point
    return f"{point}:{port}" if "/" in port else f"{point}/{port}"


def count(flows: Iterable[Flow]) -> int:
    """Return how many questions some flows are."""
    return sum(1 for flow in flows for _ in flow.questions)


def is_called(party: Party, patterns: Sequence[str]) -> bool:
    """Return whether one of `patterns` (with `*` and `?`) names a party or a member; none names all."""
    names = {party.point, party.shown, *(name for member in party.members for name in member)}
    return not patterns or any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def choose(cluster: Cluster) -> tuple[Flow, ...]:
    """Return the flows that tell who reaches whom, sorted by who asks."""
    asking = workloads(cluster.store)
    inside = [*_services(cluster.store), *_pods(asking), *_outside(cluster)]
    flows = [Flow(each.party, target, port) for each in asking for target, port in inside]
    doors = list(_doors(cluster.store))
    flows += [Flow(host, target, port) for host in _hosts(cluster) for target, port in doors]
    return tuple(flows)


# --- who there is ---


def workloads(store: Store, *, system: bool = False) -> tuple[Workload, ...]:
    """Return the workloads whose pods have a network, sorted by namespace and name.

    Args:
        store: the API server.
        system: with the cluster's DNS, which answers and does not ask.
    """
    found: dict[tuple[str, str, str], list[Pod]] = {}
    for pod in store.each(Pod):
        if pod.status.pod_ip and not pod.is_finished and (system or not _is_dns(pod)):
            kind, name = owner_of(store, pod)
            found.setdefault((pod.metadata.namespace, name, kind), []).append(pod)
    services = [each for each in store.each(Service) if has_selector(each)]
    return tuple([_workload(key, pods, services) for key, pods in sorted(found.items())])


def others(cluster: Cluster) -> tuple[Workload, ...]:
    """Return who is no pod, with the ports on which each answers: nodes, hosts outside, and Services."""
    store = cluster.store
    node_ports = tuple(
        sorted(
            Port(port.node_port, port.protocol)
            for service in store.each(Service)
            for port in service.spec.ports
            if port.node_port
        )
    )
    found = {
        each: Workload(_single(each), "", node_ports)
        for each in sorted(f"node/{node.metadata.name}" for node in store.each(Node))
    }
    for host in cluster.topology.fabric.external or (LAPTOP,):
        served = tuple(Port(number, protocol) for protocol, number in host.serves)
        found[f"ext/{host.name}"] = Workload(_single(f"ext/{host.name}"), "", served)
    for party, port in _services(store):
        known = found.get(party.point, Workload(party, ""))
        found[party.point] = attrs.evolve(known, ports=(*known.ports, port))
    return tuple(found.values())


def owner_of(store: Store, pod: Pod) -> tuple[str, str]:
    """Return who makes a pod, as end points spell kind and name: the Deployment, not its ReplicaSet."""
    namespace = pod.metadata.namespace
    found, at = ("pod", pod.metadata.name), pod.metadata.controller
    while at is not None and at.kind in _WORDS:
        word, kind = _WORDS[at.kind]
        owner = store.find(kind, at.name, namespace)
        if owner is None:
            break
        found, at = (word, at.name), owner.metadata.controller
    return found


def _workload(key: tuple[str, str, str], pods: list[Pod], services: Iterable[Service]) -> Workload:
    namespace, name, kind = key
    members = sorted(
        Member(f"{namespace}/{pod.metadata.name}", f"pod/{namespace}/{pod.metadata.name}") for pod in pods
    )
    point = members[0].point if kind == "pod" else f"{kind}/{namespace}/{name}"
    shown = members[0].shown if kind == "pod" else f"{namespace}/{name}-*"
    ports = dict.fromkeys(port for pod in pods for port in _ports(pod, services))
    return Workload(Party(point, shown, tuple(members)), namespace, tuple(sorted(ports)))


def _ports(pod: Pod, services: Iterable[Service]) -> Iterator[Port]:
    """Yield the ports that a pod's containers declare, and those that Services lead to."""
    for container in pod.spec.containers:
        for each in container.ports:
            yield Port(each.container_port, each.protocol)
    for service in services:
        selector = service.spec.selector or {}
        if service.metadata.namespace != pod.metadata.namespace or not contains(
            pod.metadata.labels, selector
        ):
            continue
        for port in service.spec.ports:
            number = port_number(pod, port)
            if number is not None:
                yield Port(number, port.protocol)


def _is_dns(pod: Pod) -> bool:
    return pod.metadata.namespace == DNS_NAMESPACE and contains(pod.metadata.labels, DNS_LABEL)


def _hosts(cluster: Cluster) -> Iterator[Party]:
    """Yield the hosts outside, from which everybody may come."""
    for each in cluster.topology.fabric.external or (LAPTOP,):
        yield _single(f"ext/{each.name}")


# --- whom they ask ---


def _services(store: Store) -> Iterator[tuple[Party, Port]]:
    """Yield the ports of Services; a headless one is asked by its name, for it has no address."""
    for service in _sorted(store):
        namespace, name = service.metadata.namespace, service.metadata.name
        if service.spec.type == "ExternalName":
            continue
        shown = f"svc/{namespace}/{name}"
        asked = f"{name}.{namespace}.svc.{_DOMAIN}" if service.is_headless else shown
        for port in service.spec.ports:
            yield Party(shown, shown, (Member(shown, asked),)), Port(port.port, port.protocol)


def _pods(asked: Iterable[Workload]) -> Iterator[tuple[Party, Port]]:
    for each in asked:
        for port in each.ports:
            yield each.party, port


def _outside(cluster: Cluster) -> Iterator[tuple[Party, Port]]:
    for each in cluster.topology.fabric.external:
        for protocol, number in each.serves:
            yield _single(f"ext/{each.name}"), Port(number, protocol)


def _doors(store: Store) -> Iterator[tuple[Party, Port]]:
    """Yield where the cluster can be entered: node ports, and addresses that Services have outside."""
    names = sorted(each.metadata.name for each in store.each(Node))
    nodes = Party("node/*", "node/*", tuple([Member(f"node/{name}", f"node/{name}") for name in names]))
    for service in _sorted(store):
        for port in service.spec.ports:
            if port.node_port:
                yield nodes, Port(port.node_port, port.protocol)
        given = [each.ip for each in service.status.load_balancer.ingress if each.ip]
        for address in dict.fromkeys((*service.spec.external_ips, *given)):
            if ":" in address:
                continue  # IPv6
            for port in service.spec.ports:
                yield _single(address), Port(port.port, port.protocol)


def _sorted(store: Store) -> list[Service]:
    return sorted(store.each(Service), key=lambda each: (each.metadata.namespace, each.metadata.name))


def _single(point: str) -> Party:
    return Party(point, point, (Member(point, point),))
