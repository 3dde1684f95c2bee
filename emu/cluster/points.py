# SPDX-License-Identifier: GPL-2.0-only
"""Who is meant: the end points of a cluster, as people write them.

    POINT = [pod/][NS/]POD | KIND/[NS/]NAME[[i]] | NS/NAME[Kind] | svc/[NS/]NAME | node/NAME | ext/NAME

A workload stands for its pods, sorted by name; `[i]` picks one of them, from 0.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import AddressError, EndPointError, UnknownNameError, did_you_mean
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
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from emu.kube.api.objects import Known
    from emu.kube.api.store import Store

DEFAULT_NAMESPACE: Final = "default"

WORKLOADS: Final[Mapping[str, type[Known]]] = {
    "deploy": Deployment,
    "deployment": Deployment,
    "sts": StatefulSet,
    "statefulset": StatefulSet,
    "ds": DaemonSet,
    "daemonset": DaemonSet,
    "rs": ReplicaSet,
    "replicaset": ReplicaSet,
    "rc": ReplicationController,
    "job": Job,
    "cronjob": CronJob,
}
"""What makes pods, by the words before the first slash."""

_SINGLE: Final = {"pod": "pod", "pods": "pod", "svc": "svc", "service": "svc", "node": "node", "ext": "ext"}
_WITHOUT_NAMESPACE: Final = frozenset(("node", "ext"))
_OUTSIDE: Final = "ext/"
_INDEX: Final = re.compile(r"(?P<name>.*)\[(?P<index>\d{1,6})\]")
_KIND: Final = re.compile(r"(?P<name>.*)\[(?P<kind>[A-Za-z]+)\]")
_BY_KIND: Final = {"Pod": "pod", "Service": "svc"} | {cls.KIND: word for word, cls in WORKLOADS.items()}


_BETWEEN: Final[Mapping[str, type[Known]]] = {"ReplicaSet": ReplicaSet, "Job": Job}
"""What stands between a workload and its pods."""


@attrs.frozen
class Point:
    """A word for somebody.

    Attributes:
        kind: `pod`, `svc`, `node`, `ext` or a key of `WORKLOADS`.
        namespace: empty for nodes and hosts outside.
        name: of the object.
        index: which of a workload's pods, None for all.
    """

    kind: str
    namespace: str
    name: str
    index: int | None = None

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        name = place if self.kind == "pod" else f"{self.kind}/{place}"
        return name if self.index is None else f"{name}[{self.index}]"


def is_kind(word: str) -> bool:
    """Return whether a word before the first slash says what is meant, and not which namespace."""
    return word in _SINGLE or word in WORKLOADS


def parse_point(text: str, namespace: str = DEFAULT_NAMESPACE) -> Point:
    """Return whom `text` means; `namespace` is that of names without one.

    Raises:
        EndPointError: it has no such form.
    """
    index: int | None = None
    found = _INDEX.fullmatch(text)
    if found is not None:
        text, index = found["name"], int(found["index"])
    named = _KIND.fullmatch(text)
    if named is not None:
        word = _BY_KIND.get(named["kind"])
        if word is None:
            hint = did_you_mean(named["kind"], _BY_KIND)
            raise EndPointError(f"{text!r}: no kind {named['kind']} has pods{hint}")
        text = f"{word}/{named['name']}"
    first, slash, rest = text.partition("/")
    kind = _SINGLE.get(first, first if first in WORKLOADS else "") if slash else ""
    parts = (rest if kind else text).split("/")
    kind = kind or "pod"
    if kind in _WITHOUT_NAMESPACE:
        parts = ["", *parts]
    elif len(parts) == 1:
        parts = [namespace, *parts]
    if len(parts) != 2 or not parts[1]:
        raise EndPointError(
            f"{text!r} names nobody: it is POD, NS/POD, KIND/[NS/]NAME, node/NAME or ext/NAME"
        )
    if index is not None and kind not in WORKLOADS:
        raise EndPointError(f"{text!r}: only workloads have several pods to choose from")
    return Point(kind, parts[0], parts[1], index)


def find_object(store: Store, point: Point) -> Known:
    """Return the object that `point` names.

    Raises:
        UnknownNameError: there is none.
    """
    kinds: dict[str, type[Known]] = {"pod": Pod, "svc": Service, "node": Node}
    kind = WORKLOADS.get(point.kind) or kinds.get(point.kind)
    found = store.find(kind, point.name, point.namespace) if kind is not None else None
    if found is None:
        raise UnknownNameError(_missing(store, kind or Pod, point))
    return found


def names_of(store: Store, namespaces: Mapping[IpAddress, str]) -> dict[IpAddress, str]:
    """Return whose each address is, as names that may stand for an address.

    Args:
        store: where Services and pods are.
        namespaces: the network namespace of each address.
    """
    pods = {f"{each.metadata.namespace}/{each.metadata.name}": each for each in store.each(Pod)}
    found = {}
    for address, net in namespaces.items():
        kind, _, name = net.partition("/")
        pod = pods.get(net.removeprefix("pod/"))
        if pod is not None:
            found[address] = f"{pod.metadata.name}.{pod.metadata.namespace}.pod"
        else:
            found[address] = f"{name}.{kind}" if name else net
    for service in store.each(Service):
        given = (each.ip for each in service.status.load_balancer.ingress if each.ip)
        for text in (*service.spec.cluster_ips, *service.spec.external_ips, *given):
            try:
                found[IpAddress.parse(text)] = f"{service.metadata.name}.{service.metadata.namespace}.svc"
            except AddressError:
                continue  # `None` of a headless one
    return found


def is_between(store: Store, namespaces: Container[str], text: str, point: Point) -> bool:
    """Return whether `text` names a router, a switch or a load balancer, and no pod is called so.

    Args:
        store: where pods are.
        namespaces: of the network, by name.
        text: as it was given.
        point: what it says otherwise.
    """
    from emu.cluster.underlay.names import is_underlay  # noqa: PLC0415 - documents name end points

    if text not in namespaces or not is_underlay(text):
        return False
    return point.kind != "pod" or store.find(Pod, point.name, point.namespace) is None


def pods_of(store: Store, point: Point) -> list[Pod]:
    """Return the pods that `point` means, sorted by name; none for a node, a Service or a host outside.

    Raises:
        UnknownNameError: there is no such object, or it has no such pod.
    """
    if point.kind in {"svc", "node", "ext"}:
        return []
    if point.kind == "pod":
        pod = store.find(Pod, point.name, point.namespace)
        if pod is None:
            raise UnknownNameError(_missing(store, Pod, point))
        return [pod]
    kind = WORKLOADS[point.kind]
    owner = store.find(kind, point.name, point.namespace)
    if owner is None:
        raise UnknownNameError(_missing(store, kind, point))
    pods = [each for each in store.list(Pod, point.namespace) if _belongs(store, each, owner)]
    if point.index is None:
        return pods
    if point.index >= len(pods):
        raise UnknownNameError(f"{point}: there are {len(pods)} pods, counted from 0")
    return [pods[point.index]]


def _belongs(store: Store, obj: Known, owner: Known) -> bool:
    """Return whether `owner` manages `obj`, itself or by another that it manages."""
    reference = obj.metadata.controller
    if reference is None:
        return False
    if (reference.kind, reference.name) == (owner.KIND, owner.metadata.name):
        return True
    between = _BETWEEN.get(reference.kind)
    if between is None:
        return False
    middle = store.find(between, reference.name, obj.metadata.namespace)
    return middle is not None and _belongs(store, middle, owner)


def service_of(store: Store, point: Point) -> Service:
    """Return the Service that `point` names.

    Raises:
        UnknownNameError: there is none.
    """
    found = store.find(Service, point.name, point.namespace)
    if found is None:
        raise UnknownNameError(_missing(store, Service, point))
    return found


def address_outside(service: Service, namespace: str) -> IpAddress | None:
    """Return the address by which somebody outside asks for a Service: that of its load balancer.

    None for askers of the cluster, and where no balancer has given it one.

    Args:
        service: who is asked.
        namespace: the network namespace of who asks.
    """
    if not namespace.startswith(_OUTSIDE):
        return None
    given = (each.ip for each in service.status.load_balancer.ingress if each.ip)
    return next((IpAddress.parse(each) for each in given), None)


def _missing(store: Store, kind: type[Known], point: Point) -> str:
    if kind is Pod and store.find(Service, point.name, point.namespace) is not None:
        return f"no pod {point.name} in namespace {point.namespace}; did you mean svc/{point.name}?"
    names = [each.metadata.name for each in store.list(kind, point.namespace)]
    word = kind.KIND.lower()
    known = ", ".join(names[:20]) or "none"
    return f"no {word} {point.name} in namespace {point.namespace} (there are {known})" + did_you_mean(
        point.name, names
    )
