# SPDX-License-Identifier: GPL-2.0-only
"""What packets experience of NetworkPolicies, held against what the policies mean.

For a probe the connections that can come of it are worked out from the objects
alone, one for each pod behind a Service; which of them are allowed is what
`emu.kube.policy.meaning` says; and the verdict has to have those arrive, and no
others, with their shares.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import attrs

from emu.cluster.points import parse_point
from emu.kube.api.objects import Namespace, NetworkPolicy, Node, Pod, Service
from emu.kube.policy.meaning import Connection, Snapshot, meaning
from emu.testing.policy_strategies import OUTSIDE
from emu.testing.promises import internal_ip, promise
from emu.verify.asker import Asker
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emu.cluster.cluster import Cluster
    from emu.kube.api.objects.service import ServicePort
    from emu.testing.invariants import Findings
    from emu.testing.policy_strategies import Probe
    from emu.verify.verdict import Verdict

    End = tuple[IpAddress, int]


@attrs.frozen
class Expected:
    """What is to come of a probe.

    Attributes:
        possible: the ends that it can be sent to.
        allowed: those that it reaches.
    """

    possible: tuple[End, ...]
    allowed: frozenset[End]

    @property
    def share(self) -> Fraction:
        """The probability that it arrives."""
        return Fraction(len(self.allowed), len(self.possible)) if self.possible else Fraction(0)


# --- who can be meant ---


def snapshot_of(cluster: Cluster) -> Snapshot:
    """Return what there is in a cluster, for policies to be judged by."""
    store = cluster.store
    return Snapshot(
        tuple(store.list(NetworkPolicy)),
        tuple(store.list(Pod)),
        tuple(store.list(Namespace)),
        cluster.topology.cluster.policies.host_network_peer,
    )


def connections(cluster: Cluster, probe: Probe) -> Iterator[Connection]:
    """Yield each connection that can come of a probe, as the policies of its ends see it."""
    source, node = _source(cluster, probe.source)
    targets = list(_targets(cluster, probe))
    for target, port in targets:
        owner = _pod_with(cluster, target)
        if source is not None and not source.spec.host_network:
            address = _address(source)
            asker: Pod | None = source
        else:
            address = _address_of_node(cluster, node, owner) if node else OUTSIDE.address
            asker = None
        by_service = probe.target.startswith("svc/")
        yield Connection(
            asker, address, owner, target, probe.protocol, port, node if asker is None else "", by_service
        )


def _source(cluster: Cluster, text: str) -> tuple[Pod | None, str]:
    """Return the pod that asks, if one does, and the node where it is asked; empty for outside."""
    point = parse_point(text)
    match point.kind:
        case "pod":
            pod = cluster.store.get(Pod, point.name, point.namespace)
            return pod, pod.spec.node_name
        case "node":
            return None, point.name
        case _:
            return None, ""


def _targets(cluster: Cluster, probe: Probe) -> Iterator[End]:
    point = parse_point(probe.target)
    match point.kind:
        case "svc":
            service = cluster.store.get(Service, point.name, point.namespace)
            (asked,) = [each for each in service.spec.ports if each.port == probe.port]
            yield from _behind(cluster, service, asked)
        case "pod":
            yield _address(cluster.store.get(Pod, point.name, point.namespace)), probe.port
        case _:
            yield OUTSIDE.address, probe.port


def _behind(cluster: Cluster, service: Service, asked: ServicePort) -> Iterator[End]:
    """Yield address and port of each pod behind a Service; one that lacks a port of the name is not."""
    selector = service.spec.selector or {}
    for pod in cluster.store.list(Pod, service.metadata.namespace):
        if pod.is_ready and selector.items() <= pod.metadata.labels.items():
            target = asked.target_port or asked.port
            numbers = [target] if isinstance(target, int) else _first_called(target, asked.protocol, pod)
            yield from ((_address(pod), number) for number in numbers)


def _first_called(name: str, protocol: str, pod: Pod) -> list[int]:
    """Return the number that the first container to use the name gives it; nobody's, if none does."""
    every = [port for container in pod.spec.containers for port in container.ports]
    return [each.container_port for each in every if (each.name, each.protocol) == (name, protocol)][:1]


def _pod_with(cluster: Cluster, address: IpAddress) -> Pod | None:
    """Return the pod that has an address to itself."""
    found = (each for each in cluster.store.list(Pod) if each.status.pod_ip == str(address))
    return next((each for each in found if not each.spec.host_network), None)


def _address(pod: Pod) -> IpAddress:
    return IpAddress.parse(pod.status.pod_ip)


def _address_of_node(cluster: Cluster, name: str, owner: Pod | None) -> IpAddress:
    """Return the address by which the asked knows a node; to pods elsewhere it may be another one."""
    if owner is None or owner.spec.node_name == name:
        return internal_ip(cluster, name)
    return promise(cluster).node_seen_by_pod(name, owner.spec.node_name).address


# --- what is to come of it ---


def expected(cluster: Cluster, probe: Probe) -> Expected:
    """Return what is to come of a probe, by the meaning of the policies alone."""
    snapshot = snapshot_of(cluster)
    every = list(connections(cluster, probe))
    return Expected(
        tuple((each.target_address, each.port) for each in every),
        frozenset((each.target_address, each.port) for each in every if meaning(snapshot, each).allows),
    )


def check_probes(found: Findings, cluster: Cluster, probes: Iterable[Probe]) -> None:
    """Check that probes arrive where policies let them, and nowhere else; and that they are answered then."""
    asker = Asker(cluster, is_brief=True)
    for probe in probes:
        _check_probe(found, asker.judge(probe.source, probe.question), cluster, probe)


def _check_probe(found: Findings, verdict: Verdict, cluster: Cluster, probe: Probe) -> None:
    wanted = expected(cluster, probe)
    arrived = frozenset(_arrivals(verdict))
    what = f"{probe}: arrives at {_told(arrived)}, allowed are {_told(wanted.allowed)}"
    found.expect("meaning", what, holds=arrived == wanted.allowed)
    if not may_be_misheard(cluster, probe, wanted):
        shares = f"{probe}: delivered {verdict.delivered}, allowed are {wanted.share}"
        found.expect("answered", shares, holds=verdict.delivered == wanted.share)


def _arrivals(verdict: Verdict) -> Iterator[End]:
    for outcome in verdict.outcomes:
        there = outcome.arrival
        if there is not None:
            yield there.address, there.port or 0


def may_be_misheard(cluster: Cluster, probe: Probe, wanted: Expected) -> bool:
    """Return whether somebody may answer datagrams from another address than it was asked at: a node."""
    nodes = {each.addresses("InternalIP")[0] for each in cluster.store.list(Node)}
    return probe.protocol == "UDP" and any(str(address) in nodes for address, _ in wanted.possible)


def _told(ends: Iterable[End]) -> str:
    return ", ".join(sorted(f"{address}:{port}" for address, port in ends)) or "none"
