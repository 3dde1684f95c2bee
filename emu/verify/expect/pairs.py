# SPDX-License-Identifier: GPL-2.0-only
"""Whom a line means: the pairs of end points for each of which it has to hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from emu.cluster.cluster import Cluster
from emu.cluster.expectation import SCHEME, split_flow
from emu.cluster.points import is_kind, parse_point, pods_of
from emu.errors import EndPointError, UnknownNameError, did_you_mean
from emu.kube.api.objects import Namespace, Node, Pod
from emu.kube.api.selectors import all_hold
from emu.verify.endpoint import LITERAL
from emu.verify.expect.finding import Pair
from emu.verify.pages import end_point

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.cluster.emulation import Emulation
    from emu.cluster.expectation import Expectation, Party

_SINGLE: Final = frozenset(("svc", "node", "ext"))


def pairs_of(network: Emulation, expectation: Expectation, namespace: str) -> list[Pair]:
    """Return who asks whom, sorted by name; nobody whom `any` means asks himself.

    Args:
        network: where they are.
        expectation: the line.
        namespace: of names without one.

    Raises:
        EndPointError: somebody is named as nobody can be.
        UnknownNameError: somebody is named who is not there.
    """
    sources = _points(network, expectation.source, namespace)
    targets = _points(network, expectation.target, namespace)
    is_any = bool(expectation.source.anybody or expectation.target.anybody)
    flow, own = expectation.target.flow, expectation.source.flow
    if expectation.target.is_page:
        return [Pair(f"{each.name}{own}", expectation.target.point, each.absent) for each in sources]
    return [
        Pair(f"{source.name}{own}", f"{target.name}{flow}", source.absent or target.absent)
        for source in sources
        for target in targets
        if not (is_any and source.key == target.key)
    ]


def strangers_of(lines: Iterable[Expectation]) -> dict[str, set[tuple[str, int]]]:
    """Return the addresses that lines name, each with the protocols and ports on which it is asked."""
    found: dict[str, set[tuple[str, int]]] = {}
    for each in lines:
        for party in (each.source, each.target):
            point, flow = split_flow(end_point(party.point)) if party.is_page else (party.point, party.flow)
            if not LITERAL.fullmatch(point):
                continue
            ports = found.setdefault(point, set())
            number, _, protocol = flow.removeprefix(":").partition("/")
            if number.isdigit():
                ports.add((protocol.upper() or "TCP", int(number)))
    return found


def nobody(network: Emulation, expectation: Expectation, namespace: str) -> str:
    """Return whom a line means that there is not, in words; for one without pairs."""
    for party in (expectation.source, expectation.target):
        if not _points(network, party, namespace):
            return f"nobody is {party.text}"
    return "whom it means has nobody to ask but himself"


class _Point(NamedTuple):
    """An end point, what tells it from others, and why it has no network; empty if it has."""

    name: str
    key: str
    absent: str = ""


def _points(network: Emulation, party: Party, namespace: str) -> list[_Point]:
    if not isinstance(network, Cluster):
        if party.anybody:
            raise EndPointError(f"any {party.anybody} means objects of Kubernetes: here are none")
        if party.is_page:
            raise EndPointError(f"{party.point}: pages are asked of clusters, not of a low-level network")
        return [_Point(party.point, party.point)]
    if party.anybody == "node":
        names = [f"node/{each.metadata.name}" for each in network.store.list(Node)]
        return [_Point(name, name) for name in names]
    if party.anybody == "pod":
        return [_of_pod(each) for each in _any_pod(network, party)]
    if party.is_page or not _is_object(party.point):
        return [_Point(party.point, party.point)]
    point = parse_point(party.point, namespace)
    if point.kind in _SINGLE:
        return [_Point(party.point, party.point)]
    found = [each for each in pods_of(network.store, point) if not each.is_finished]
    if not found:
        raise UnknownNameError(f"{point} has no pods")
    if point.kind == "pod":
        return [_of_pod(found[0])._replace(name=party.point)]
    return [_of_pod(each) for each in found]


def _any_pod(cluster: Cluster, party: Party) -> list[Pod]:
    """Return the pods that have not ended and whose labels meet the selector."""
    if party.namespace and cluster.store.find(Namespace, party.namespace) is None:
        known = [each.metadata.name for each in cluster.store.list(Namespace)]
        raise UnknownNameError(f"no namespace {party.namespace}{did_you_mean(party.namespace, known)}")
    every = cluster.store.list(Pod, party.namespace or None)
    return [
        each
        for each in every
        if not (each.is_finished or each.metadata.is_terminating)
        and all_hold(party.selector, each.metadata.labels)
    ]


def _of_pod(pod: Pod) -> _Point:
    """Return a pod as an end point: without `pod/` where its namespace is no reserved word."""
    name = f"{pod.metadata.namespace}/{pod.metadata.name}"
    absent = "" if pod.status.pod_ip else f"pod {name} has no address: it is {pod.status.phase}"
    return _Point(f"pod/{name}" if is_kind(pod.metadata.namespace) else name, name, absent)


def _is_object(point: str) -> bool:
    """Return whether an end point names an object, and is no address and no name for DNS."""
    if SCHEME in point:
        return False
    return "/" in point or not ("." in point or ":" in point or point[:1].isdigit())
