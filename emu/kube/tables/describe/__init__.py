# SPDX-License-Identifier: GPL-2.0-only
"""`kubectl describe`: from a request and objects to what is printed."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from emu.errors import CommandError
from emu.kube.tables import kinds
from emu.kube.tables.answer import Answer
from emu.kube.tables.describe import events, jobs, network, nodes, others, pods, services, workloads
from emu.kube.tables.describe.page import Page
from emu.kube.tables.find import everything, find, manifest_kind, not_found, warnings
from emu.kube.tables.get import nothing
from emu.kube.tables.world import World, version_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emu.kube.api.objects import Object
    from emu.kube.tables.request import Request, Target
    from emu.kube.tables.world import Objects

__all__ = ["DESCRIBERS", "describe"]

DESCRIBERS: Final[Mapping[str, Callable[[Page, Any, World], None]]] = MappingProxyType(
    {
        "Pod": pods.pod,
        "Node": nodes.node,
        "Namespace": nodes.namespace,
        "Service": services.service,
        "Endpoints": services.endpoints,
        "EndpointSlice": services.endpoint_slice,
        "Deployment": workloads.deployment,
        "ReplicaSet": workloads.replica_set,
        "ReplicationController": workloads.replication_controller,
        "StatefulSet": workloads.stateful_set,
        "DaemonSet": workloads.daemon_set,
        "Job": jobs.job,
        "CronJob": jobs.cron_job,
        "NetworkPolicy": network.policy,
        "Ingress": network.ingress,
        "IngressClass": network.ingress_class,
        "ConfigMap": others.config_map,
    }
)
"""What writes the description of each kind; all others are written as their manifests are."""

_WITHOUT_EVENTS: Final = frozenset({"NetworkPolicy", "Namespace", "Event", "Secret"})


def describe(request: Request, objects: Objects, *, now: int, version: str = "1.35") -> Answer:
    """Return what `kubectl describe` prints.

    Args:
        request: what is asked, see `emu.kube.tables.request.parse`. A name that nothing
            has stands for all names that begin with it.
        objects: the store, or anything that lists objects as it does.
        now: nanoseconds since 1970, from which ages are counted.
        version: of Kubernetes.
    """
    try:
        found = find(request, objects)
        described = [one for group in found.groups for one in group.objects]
        missing = []
        for target in request.targets if found.missing else ():
            longer, complaint = _by_prefix(request, target, objects)
            described += longer
            missing += complaint
    except CommandError as error:
        return Answer(stderr=f"{error}\n", status=error.status)
    world = World(objects, now, version_numbers(version))
    notes = [*warnings(found.groups, world.version), *missing]
    if not described and not found.missing:
        notes.append(nothing(request, found))
    index = events.Index(world) if request.options.show_events and described else None
    texts = (_text(one, world, index) for one in described)
    return Answer("\n\n".join(texts), "".join(f"{note}\n" for note in notes), 1 if missing else 0)


def _by_prefix(request: Request, target: Target, objects: Objects) -> tuple[list[Object], list[str]]:
    """Return what begins with a name that nothing has, or the complaint that there is nothing."""
    kind = kinds.find(target.kind, objects)
    namespace = request.options.namespace if kind.is_namespaced else None
    candidates = everything(kind, namespace, objects)
    name = target.name
    if name is None or any(one.metadata.name == name for one in candidates):
        return [], []
    longer = [one for one in candidates if one.metadata.name.startswith(name)]
    return longer, [] if longer else [not_found(kind, name)]


def _text(one: Object, world: World, index: events.Index | None) -> str:
    kind = manifest_kind(one)
    page = Page()
    DESCRIBERS.get(kind, others.anything)(page, one, world)
    if index is not None and kind not in _WITHOUT_EVENTS:
        index.write(page, one)
    return page.text()
