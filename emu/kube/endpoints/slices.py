# SPDX-License-Identifier: GPL-2.0-only
"""The slices of a Service: which endpoints go into which, and what has to change.

A pure function from a Service, its pods and the slices there are to the slices
there should be. Endpoints stay in the slice they are in; new ones go first to
slices that change anyway, then to an unchanged one that has room for all of
them, then to new ones.

Source: staging/src/k8s.io/endpointslice/reconciler.go (`reconcileByAddressType`,
`reconcileByPortMapping`, `finalize`), utils.go (`newEndpointSlice`, `setEndpointSliceLabels`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import attrs

from emu.kube.api.defaults import IPV4
from emu.kube.api.objects.meta import Meta, OwnerReference
from emu.kube.api.objects.service import SERVICE_NAME, EndpointSlice
from emu.kube.endpoints import hints
from emu.kube.endpoints.pods import endpoint_of, has_named_target, is_candidate, ports_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from emu.kube.api.objects import Node, Pod, Service
    from emu.kube.api.objects.service import Endpoint, EndpointPort

MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"
CONTROLLER: Final = "endpointslice-controller.k8s.io"
HEADLESS: Final = "service.kubernetes.io/headless"
TRIGGER: Final = "endpoints.kubernetes.io/last-change-trigger-time"
MOST: Final = 100
"""Endpoints in a slice, unless a flag says otherwise."""

_OWN_LABELS: Final = frozenset({SERVICE_NAME, MANAGED_BY, HEADLESS})

Ports: TypeAlias = "tuple[EndpointPort, ...]"
Name: TypeAlias = tuple[str, tuple[str, ...]]
"""What tells endpoints apart: the pod's name and the addresses."""


PortKey: TypeAlias = "frozenset[tuple[str, int | None, str, str | None]]"
"""What tells sets of ports apart, in whatever order they stand."""


class _Group(NamedTuple):
    """Endpoints that share their ports."""

    ports: Ports
    endpoints: list[Endpoint]


def port_key(ports: Ports) -> PortKey:
    """Return what tells a set of ports from others; no name is an empty one."""
    return frozenset((each.name or "", each.port, each.protocol, each.app_protocol) for each in ports)


class Plan(NamedTuple):
    """What has to change: slices to keep (those without a name are new) and names to delete."""

    put: tuple[EndpointSlice, ...] = ()
    delete: tuple[str, ...] = ()
    complaint: str = ""


@attrs.frozen
class Surroundings:
    """What a Service's slices depend on beside it and its pods.

    Attributes:
        node: finds a node by its name, None if there is none.
        nodes: all of them, asked for only where CPUs matter.
        minor: the release of Kubernetes is 1.`minor`.
        most: endpoints in a slice.
        now: the time, for an annotation.
    """

    node: Callable[[str], Node | None]
    nodes: Callable[[], Iterable[Node]]
    minor: int = 35
    most: int = MOST
    now: str = ""


def families(service: Service) -> tuple[str, ...]:
    """Return the families a Service has slices of."""
    return service.spec.ip_families or (IPV4,)


def plan(
    service: Service, pods: Iterable[Pod], existing: Sequence[EndpointSlice], around: Surroundings
) -> Plan:
    """Return what has to change so that slices tell who stands behind `service`.

    Args:
        service: one with a selector.
        pods: those it selects.
        existing: the slices of this Service that the controller made.
        around: what else matters.
    """
    wanted = families(service)
    candidates = sorted((pod for pod in pods if is_candidate(pod)), key=lambda pod: pod.metadata.name)
    put: list[EndpointSlice] = []
    delete = [each.metadata.name for each in existing if each.address_type not in wanted]
    complaints = []
    for family in wanted:
        groups, complaint = _desired(service, candidates, family, around)
        known = sorted(
            (each for each in existing if each.address_type == family), key=lambda each: each.metadata.name
        )
        part = _of_family(service, family, groups, known, around)
        put += part.put
        delete += part.delete
        complaints += [complaint] if complaint else []
    return Plan(tuple(put), tuple(sorted(delete)), "; ".join(complaints))


def _desired(
    service: Service, pods: Iterable[Pod], family: str, around: Surroundings
) -> tuple[dict[PortKey, _Group], str]:
    """Return the endpoints there should be by their ports, and why they have no hints."""
    published = service.spec.publish_not_ready_addresses
    wanted = hints.preference(service, around.minor)
    alike: Ports | None = None  # the ports of all pods, where they cannot differ
    differ = has_named_target(service)
    found: list[tuple[Ports, Endpoint]] = []
    for pod in pods:
        node = around.node(pod.spec.node_name)
        if node is None and not published:
            continue
        endpoint = endpoint_of(pod, service, node, family)
        if endpoint is None:
            continue
        if differ or alike is None:
            alike = ports_of(pod, service)
        found.append((alike, hints.near(endpoint, wanted)))
    complaint = ""
    if hints.is_auto(service):
        try:
            spread = hints.spread([endpoint for _, endpoint in found], around.nodes())
        except hints.NoHintsError as error:
            complaint = f"{error}, addressType: {family}"
        else:
            found = [(ports, each) for (ports, _), each in zip(found, spread, strict=True)]
    groups: dict[PortKey, _Group] = {}
    for ports, endpoint in found:
        key = port_key(ports)
        if key not in groups:
            groups[key] = _Group(ports, [])
        groups[key].endpoints.append(endpoint)
    return groups, complaint


def _of_family(
    service: Service,
    family: str,
    groups: Mapping[PortKey, _Group],
    existing: Sequence[EndpointSlice],
    around: Surroundings,
) -> Plan:
    known: dict[PortKey, list[EndpointSlice]] = {}
    for each in existing:
        known.setdefault(port_key(each.ports), []).append(each)
    wanted: list[EndpointSlice] = []
    for key, (ports, endpoints) in groups.items():
        wanted += _fill(family, ports, endpoints, known.get(key, ()), around.most)
    if not wanted:
        wanted = [EndpointSlice(Meta(), family)]
    kept = {each.metadata.name for each in wanted}
    spare = [each for each in existing if each.metadata.name not in kept]
    put = []
    for each in wanted:
        old: EndpointSlice | None = each if each.metadata.name else None
        if not each.metadata.name and spare:
            old = spare.pop(0)
        before = next((one for one in existing if old and one.metadata.name == old.metadata.name), None)
        finished = _finish(service, each, before, around.now)
        if finished is not before:
            put.append(finished)
    return Plan(tuple(put), tuple(each.metadata.name for each in spare))


def name_of(endpoint: Endpoint) -> Name:
    """Return what tells an endpoint from others."""
    return (endpoint.target_ref.name if endpoint.target_ref is not None else "", endpoint.addresses)


def _fill(
    family: str,
    ports: Ports,
    endpoints: Iterable[Endpoint],
    existing: Sequence[EndpointSlice],
    most: int,
) -> list[EndpointSlice]:
    """Return the slices of one set of ports; those without a name are new, an empty one is none."""
    left = {name_of(each): each for each in endpoints}
    unchanged: list[EndpointSlice] = []
    changed: list[tuple[EndpointSlice, list[Endpoint]]] = []
    for each in existing:
        stay = [left.pop(name) for one in each.endpoints if (name := name_of(one)) in left]
        if len(stay) <= most and list(each.endpoints) == stay:
            unchanged.append(each)
            continue
        while len(stay) > most:
            gone = stay.pop()
            left[name_of(gone)] = gone
        changed.append((each, stay))
    rest = [left[name] for name in sorted(left)]
    for _, stay in sorted(changed, key=lambda pair: -len(pair[1])):
        room = most - len(stay)
        stay.extend(rest[:room])
        rest = rest[room:]
    while rest:
        piece, rest = rest[:most], rest[most:]
        fitting = [each for each in unchanged if len(each.endpoints) + len(piece) <= most]
        if fitting:
            fullest = max(fitting, key=lambda each: len(each.endpoints))
            unchanged.remove(fullest)
            changed.append((fullest, [*fullest.endpoints, *piece]))
        else:
            changed.append((EndpointSlice(Meta(), family, ports=ports), piece))
    made = [attrs.evolve(each, endpoints=tuple(sorted(stay, key=name_of))) for each, stay in changed if stay]
    return [each for each in (*unchanged, *made) if each.endpoints]


def _finish(service: Service, wanted: EndpointSlice, old: EndpointSlice | None, now: str) -> EndpointSlice:
    """Return `wanted` with its metadata, `old` itself if nothing about it changes."""
    found = labels(service)
    if old is None:
        about = service.metadata
        owner = OwnerReference("Service", about.name, about.uid, controller=True, block_owner_deletion=True)
        metadata = Meta(
            namespace=about.namespace,
            labels=found,
            annotations={TRIGGER: now} if now else {},
            owner_references=(owner,),
            generate_name=f"{about.name}-",
            generation=1,
        )
        return attrs.evolve(wanted, metadata=metadata)
    same = (
        wanted.endpoints == old.endpoints
        and port_key(wanted.ports) == port_key(old.ports)
        and old.metadata.labels == found
    )
    if same:
        return old
    annotations = {**old.metadata.annotations, TRIGGER: now} if now else old.metadata.annotations
    generation = None if old.metadata.generation is None else old.metadata.generation + 1
    metadata = attrs.evolve(old.metadata, labels=found, annotations=annotations, generation=generation)
    return attrs.evolve(wanted, metadata=metadata)


def labels(service: Service) -> dict[str, str]:
    """Return the labels of a Service's slices: its own, and what tells whose they are."""
    found = {key: value for key, value in service.metadata.labels.items() if key not in _OWN_LABELS}
    found[MANAGED_BY] = CONTROLLER
    found[SERVICE_NAME] = service.metadata.name
    if service.is_headless:
        found[HEADLESS] = ""
    return found
