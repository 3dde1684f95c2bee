# SPDX-License-Identifier: GPL-2.0-only
"""Services that lead nowhere: whom they should select, and on which port they are answered.

Which pods were meant is guessed from what they are called and what they listen
on; whether the guess is right is not decided here.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from emu.kube.api.objects import (
    Deployment,
    Node,
    Pod,
    ReplicaSet,
    ReplicationController,
    Service,
    StatefulSet,
)
from emu.kube.api.selectors import contains
from emu.verify.fixes.fix import Proposal
from emu.verify.fixes.labels import meaningful
from emu.verify.fixes.remedy import Change, Question, Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from emu.kube.api.objects.service import ServicePort
    from emu.verify.fixes.case import Asked, Case

Scalable: TypeAlias = Deployment | StatefulSet | ReplicaSet | ReplicationController

_WORDS: Final = {
    "Deployment": "deploy",
    "StatefulSet": "sts",
    "ReplicaSet": "rs",
    "ReplicationController": "rc",
}
_PROTOCOLS: Final = frozenset(("TCP", "UDP", "SCTP", "ICMP"))
_MOST: Final = 2  # groups of pods that are proposed


# --- nobody stands behind it ---


def select_pods_that_are_there(case: Case) -> Iterator[Proposal]:
    """Select pods of the namespace that answer, if the selector finds none."""
    asked = case.asked
    if asked is None or not asked.service.spec.selector or _selected(case, asked.service):
        return
    service, selector = asked.service, asked.service.spec.selector
    for labels in _candidates(case, asked)[:_MOST]:
        wanted = _corrected(selector, labels)
        if wanted == selector:
            continue
        old, new = _text(selector), _text(wanted)
        words = f"no pod of {service.metadata.namespace} has {old}: select {new}, which answer on this port"
        change = attrs.evolve(service, spec=attrs.evolve(service.spec, selector=wanted))
        yield Proposal(words, (Change(service, change),))


def start_pods(case: Case) -> Iterator[Proposal]:
    """Give a workload whose pods it selects a replica, if it has none."""
    asked = case.asked
    if asked is None or not asked.service.spec.selector:
        return
    namespace, selector = asked.service.metadata.namespace, asked.service.spec.selector
    for workload in _scalable(case, namespace):
        template = workload.spec.template
        is_none = workload.spec.replicas == 0 and workload.metadata.controller is None
        if is_none and template is not None and contains(template.metadata.labels, selector):
            name = f"{_WORDS[workload.KIND]}/{namespace}/{workload.metadata.name}"
            words = f"{name} has no replicas, so nobody stands behind {_name(asked.service)}: start one"
            yield Proposal(words, (Step(("scale", name, "--replicas=1")),))


def _scalable(case: Case, namespace: str) -> Iterator[Scalable]:
    yield from case.store.list(Deployment, namespace)
    yield from case.store.list(StatefulSet, namespace)
    yield from case.store.list(ReplicaSet, namespace)
    yield from case.store.list(ReplicationController, namespace)


def name_a_port_that_is_there(case: Case) -> Iterator[Proposal]:
    """Name a port that the selected pods have, if `targetPort` is a name that none of them has."""
    asked = case.asked
    if asked is None or not isinstance(asked.port.target_port, str):
        return
    name = asked.port.target_port
    pods = _selected(case, asked.service)
    names = sorted(
        {
            port.name
            for pod in pods
            for container in pod.spec.containers
            for port in container.ports
            if port.name and port.protocol == asked.port.protocol
        }
    )
    if not pods or name in names:
        return
    for other in difflib.get_close_matches(name, names, n=1) or names[:1]:
        words = f"no container of {_name(asked.service)} calls a port {name}: there is {other}"
        yield Proposal(words, (_aimed(asked, other),))
    yield from _by_number(case, asked, pods, f"no container of {_name(asked.service)} calls a port {name}")


# --- nobody listens there ---


def aim_at_a_port_that_listens(case: Case) -> Iterator[Proposal]:
    """Send to a port that the pod listens on, if the Service sends to another one."""
    asked, met = case.asked, case.met
    pod = None if met is None or case.cluster is None else case.pod_at(met.dst)
    if asked is None or pod is None or met is None or met.dport in case.listening(pod, case.protocol):
        return
    why = f"nobody listens on port {met.dport} of {pod.metadata.namespace}/{pod.metadata.name}"
    yield from _by_number(case, asked, [pod], why)


def ask_a_port_that_listens(case: Case) -> Iterator[Proposal]:
    """Ask for a port that the pod listens on, if it was asked itself: no Service translates ports then."""
    met = case.met
    pod = None if met is None or case.cluster is None else case.pod_at(met.dst)
    if case.asked is not None or pod is None or met is None:
        return
    name = f"{pod.metadata.namespace}/{pod.metadata.name}"
    point, _, protocol = case.target.rpartition("/")
    suffix = f"/{protocol}" if protocol.upper() == case.protocol else ""
    point = point if suffix else case.target
    for port in case.listening(pod, case.protocol)[:_MOST]:
        target = f"{point.rpartition(':')[0] or point}:{port}{suffix}"
        words = f"{name} listens on port {port}, not on {met.dport}, and nothing translates it: ask {port}"
        yield Proposal(words, (Question(case.source, target, case.namespace),))


def speak_its_protocol(case: Case) -> Iterator[Proposal]:
    """Give the Service's port the protocol by which the pod listens."""
    asked, met = case.asked, case.met
    pod = None if met is None or case.cluster is None else case.pod_at(met.dst)
    if asked is None or pod is None or met is None:
        return
    for protocol in ("TCP", "UDP", "SCTP"):
        if protocol != asked.port.protocol and met.dport in case.listening(pod, protocol):
            name = _name(asked.service)
            words = f"{name} is for {asked.port.protocol}, and its pods listen by {protocol}: ask by that"
            port = attrs.evolve(asked.port, protocol=protocol)
            target = f"{case.target.rpartition('/')[0]}/{protocol.lower()}"
            named = case.target.upper().endswith(f"/{asked.port.protocol}")
            question = Question(case.source, target if named else case.target, case.namespace)
            yield Proposal(words, (Change(asked.service, _with_port(asked, port)), question))


def _by_number(case: Case, asked: Asked, pods: Sequence[Pod], why: str) -> Iterator[Proposal]:
    """Send to a port that all of some pods listen on: first what is named like it, or is the port itself."""
    common = set.intersection(*(set(case.listening(pod, asked.port.protocol)) for pod in pods))
    for number in sorted(common, key=lambda each: (each != asked.port.port, each))[:_MOST]:
        yield Proposal(f"{why}, but on {number}: send there", (_aimed(asked, number),))


def ask_a_port_that_it_has(case: Case) -> Iterator[Proposal]:
    """Ask for a port that the Service has, if it was asked for another one."""
    if case.cluster is None or case.asked is not None:
        return
    text = str(case.verdict.target.address)
    for service in case.store.list(Service):
        if text not in {*service.spec.cluster_ips, service.spec.cluster_ip}:
            continue
        point, _, protocol = case.target.rpartition("/")
        point = point if protocol.upper() in _PROTOCOLS else case.target
        name = point.rpartition(":")[0] or point
        for port in service.spec.ports[:_MOST]:
            words = (
                f"{_name(service)} has no port {case.verdict.target.port}/{case.protocol}: ask {port.port}"
            )
            target = f"{name}:{port.port}/{port.protocol.lower()}"
            yield Proposal(words, (Question(case.source, target, case.namespace),))


def let_the_source_in(case: Case) -> Iterator[Proposal]:
    """Add who asks to those whom the Service's load balancer takes."""
    asked, sent = case.asked, case.sent
    if asked is None or sent is None:
        return
    spec = asked.service.spec
    wanted = (*spec.load_balancer_source_ranges, f"{sent.src}/32")
    change = attrs.evolve(asked.service, spec=attrs.evolve(spec, load_balancer_source_ranges=wanted))
    words = f"{sent.src} is in no range from which {_name(asked.service)} takes packets: add it"
    yield Proposal(words, (Change(asked.service, change),))


# --- nobody stands behind it here ---


def take_endpoints_of_other_nodes(case: Case) -> Iterator[Proposal]:
    """Let nodes without a pod of the Service pass it on, or ask a node that has one."""
    asked = case.asked
    if asked is None:
        return
    service, spec = asked.service, asked.service.spec
    if spec.external_traffic_policy == "Local":
        words = f"{_name(service)} is only answered by nodes with a pod of it: let the others pass it on"
        note = " (the client's address is lost then)"
        change = attrs.evolve(service, spec=attrs.evolve(spec, external_traffic_policy="Cluster"))
        yield Proposal(words + note, (Change(service, change),))
    if spec.internal_traffic_policy == "Local":
        words = f"{_name(service)} takes pods of the client's node alone, and there is none: take any"
        change = attrs.evolve(service, spec=attrs.evolve(spec, internal_traffic_policy="Cluster"))
        yield Proposal(words, (Change(service, change),))
    if asked.by_node:
        hosts = {pod.spec.node_name for pod in _selected(case, service) if pod.is_ready}
        for node in case.store.list(Node):
            if node.metadata.name in hosts:
                name = f"node/{node.metadata.name}"
                words = f"{name} has a pod of {_name(service)}: ask there"
                target = f"{name}:{asked.port.node_port}/{asked.port.protocol.lower()}"
                yield Proposal(words, (Question(case.source, target, case.namespace),))
                return


# --- which pods ---


def _selected(case: Case, service: Service) -> list[Pod]:
    selector = service.spec.selector
    if not selector:
        return []
    pods = case.store.list(Pod, service.metadata.namespace)
    return [each for each in pods if contains(each.metadata.labels, selector) and not each.is_finished]


def _candidates(case: Case, asked: Asked) -> list[Mapping[str, str]]:
    """Return the labels of pods that may have been meant, once each, the likeliest first."""
    service = asked.service
    assert service.spec.selector is not None
    found: dict[tuple[tuple[str, str], ...], float] = {}
    for pod in case.store.list(Pod, service.metadata.namespace):
        labels = meaningful(pod.metadata.labels)
        if not labels or pod.is_finished or not _has_port(case, pod, asked.port):
            continue
        found.setdefault(tuple(sorted(labels.items())), _likeness(service, labels))
    return [dict(labels) for labels in sorted(found, key=lambda each: (-found[each], each))]


def _has_port(case: Case, pod: Pod, port: ServicePort) -> bool:
    target = port.target_port if port.target_port is not None else port.port
    if isinstance(target, str):
        declared = (each for container in pod.spec.containers for each in container.ports)
        return any(each.name == target and each.protocol == port.protocol for each in declared)
    return target in case.listening(pod, port.protocol)


def _likeness(service: Service, labels: Mapping[str, str]) -> float:
    """Return how much a Service looks as if it were about pods with these labels."""
    selector = service.spec.selector or {}
    shared = [key for key in selector if key in labels]
    alike = sum(_ratio(selector[key], labels[key]) for key in shared)
    values = max((_ratio(service.metadata.name, value) for value in labels.values()), default=0.0)
    return 2 * alike + values


def _ratio(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def _corrected(selector: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, str]:
    """Return the selector with what the pods have: keys that they have not are replaced by those nearest."""
    wanted: dict[str, str] = {}
    for key, value in selector.items():
        if key in labels:
            wanted[key] = labels[key]
            continue
        same = [other for other, text in labels.items() if text == value]
        near = same or difflib.get_close_matches(key, labels, n=1)
        wanted |= {other: labels[other] for other in near[:1]}
    return wanted or dict(labels)


# --- writing ---


def _aimed(asked: Asked, target: int | str) -> Change:
    return Change(asked.service, _with_port(asked, attrs.evolve(asked.port, target_port=target)))


def _with_port(asked: Asked, port: ServicePort) -> Service:
    service = asked.service
    ports = tuple(port if each == asked.port else each for each in service.spec.ports)
    return attrs.evolve(service, spec=attrs.evolve(service.spec, ports=ports))


def _name(service: Service) -> str:
    return f"svc/{service.metadata.namespace}/{service.metadata.name}"


def _text(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())
