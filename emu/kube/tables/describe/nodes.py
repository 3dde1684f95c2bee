# SPDX-License-Identifier: GPL-2.0-only
"""Descriptions of nodes and namespaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.objects import Pod
from emu.kube.api.objects.node import NodeInfo
from emu.kube.tables.cells.others import inner
from emu.kube.tables.cells.words import roles
from emu.kube.tables.describe import resources
from emu.kube.tables.describe.page import UNSET, date
from emu.kube.tables.describe.resources import Quantity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.kube.api.objects import Namespace, Node
    from emu.kube.api.objects.meta import Condition
    from emu.kube.api.objects.scheduling import Taint
    from emu.kube.tables.describe.page import Page
    from emu.kube.tables.world import World

_NOTHING: Final = Quantity()
_STANDARD: Final = ("cpu", "memory", "ephemeral-storage")


def node(page: Page, one: Node, world: World) -> None:
    """Write the description of a node, without its events."""
    spec, status = one.spec, one.status
    page.field("Name", one.metadata.name)
    page.field("Roles", roles(one.metadata.labels))
    page.metadata(one.metadata)
    page.field("CreationTimestamp", date(one.metadata.creation_timestamp))
    page.several("Taints", map(_taint, sorted(spec.taints, key=lambda each: (each.effect, each.key))))
    page.field("Unschedulable", str(spec.unschedulable).lower())
    _lease(page, one, world)
    if status.conditions:
        page.line("Conditions:")
        page.table(
            1,
            "Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage",
            map(_condition, status.conditions),
        )
    page.line("Addresses:")
    for address in status.addresses:
        page.field(address.type, address.address, 1)
    for title, amounts in (("Capacity", status.capacity), ("Allocatable", status.allocatable)):
        if amounts:
            page.line(f"{title}:")
            for name in sorted(amounts):
                page.field(name, resources.read(amounts[name]), 1)
    _system(page, status.node_info or NodeInfo(), world)
    for title, value in (
        ("PodCIDR", spec.pod_cidr),
        ("PodCIDRs", ",".join(spec.pod_cidrs)),
        ("ProviderID", spec.provider_id),
    ):
        if value:
            page.field(title, value)
    _pods(page, one, world)


def _taint(one: Taint) -> str:
    return f"{one.key}={one.value}:{one.effect}" if one.value else f"{one.key}:{one.effect}"


def _condition(one: Condition) -> str:
    heartbeat = one.rest.get("lastHeartbeatTime")
    seen = date(heartbeat if isinstance(heartbeat, str) else None)
    changed = date(one.last_transition_time)
    return f"{one.type} \t{one.status} \t{seen} \t{changed} \t{one.reason} \t{one.message}"


def _lease(page: Page, one: Node, world: World) -> None:
    """Write when the kubelet last said that it lives."""
    name = one.metadata.name
    lease = world.objects.others.get(("Lease", "kube-node-lease", name))
    if lease is None:
        page.field("Lease", f'Failed to get lease: leases.coordination.k8s.io "{name}" not found')
        return
    page.line("Lease:")
    spec = inner(dict(lease.rest), "spec")
    page.field("HolderIdentity", inner(spec, "holderIdentity") or UNSET, 1)
    for title, key in (("AcquireTime", "acquireTime"), ("RenewTime", "renewTime")):
        found = inner(spec, key)
        page.field(title, date(found) if isinstance(found, str) else UNSET, 1)


def _system(page: Page, info: NodeInfo, world: World) -> None:
    page.line("System Info:")
    for title, value in (
        ("Machine ID", info.machine_id),
        ("System UUID", info.system_uuid),
        ("Boot ID", info.boot_id),
        ("Kernel Version", info.kernel_version),
        ("OS Image", info.os_image),
        ("Operating System", info.operating_system),
        ("Architecture", info.architecture),
        ("Container Runtime Version", info.container_runtime_version),
        ("Kubelet Version", info.kubelet_version),
        *((("Kube-Proxy Version", info.kube_proxy_version),) if not world.is_from(1, 36) else ()),
    ):
        page.field(title, value, 1)


# --- what the pods of a node ask for ---


def _pods(page: Page, one: Node, world: World) -> None:
    pods = [
        each
        for each in world.objects.list(Pod)
        if each.spec.node_name == one.metadata.name and not each.is_finished
    ]
    given = one.status.allocatable or one.status.capacity
    allocatable = {name: resources.read(value) for name, value in given.items()}
    page.field("Non-terminated Pods", f"({len(pods)} in total)")
    header = "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge"
    page.table(1, header, (_pod(each, allocatable, world) for each in pods))
    page.line("Allocated resources:")
    page.line("(Total limits may be over 100 percent, i.e., overcommitted.)", 1)
    page.table(1, "Resource\tRequests\tLimits", _totals(pods, allocatable))


def _pod(one: Pod, allocatable: Mapping[str, Quantity], world: World) -> str:
    requests, limits = resources.of_pod(one, "requests"), resources.of_pod(one, "limits")
    shares = (
        _share(amounts.get(name, _NOTHING), allocatable.get(name, _NOTHING))
        for name in ("cpu", "memory")
        for amounts in (requests, limits)
    )
    age = world.since(one.metadata.creation_timestamp)
    return "\t".join((one.metadata.namespace, one.metadata.name, "", *shares, age))


def _totals(pods: Sequence[Pod], allocatable: Mapping[str, Quantity]) -> list[str]:
    """Return the rows of the sum of all pods: what every node has, huge pages, then all else."""
    requests, limits = resources.of_pods(pods, "requests"), resources.of_pods(pods, "limits")
    huge = sorted(name for name in allocatable if name.startswith("hugepages-"))
    others = sorted(set(allocatable) - {*_STANDARD, *huge, "pods"})
    rows = []
    for name in (*_STANDARD, *huge):
        whole = allocatable.get(name, _NOTHING)
        shares = [_share(amounts.get(name, _NOTHING), whole) for amounts in (requests, limits)]
        rows.append("\t".join((name, *shares)))
    texts = (f"{name}\t{requests.get(name, _NOTHING)}\t{limits.get(name, _NOTHING)}" for name in others)
    return [*rows, *texts]


def _share(part: Quantity, whole: Quantity) -> str:
    percent = int(part.amount * 100 / whole.amount) if whole.amount else 0
    return f"{part} ({percent}%)"


def namespace(page: Page, one: Namespace, world: World) -> None:
    """Write the description of a namespace; it has no events."""
    page.field("Name", one.metadata.name)
    page.metadata(one.metadata)
    page.field("Status", one.status.phase)
    name = one.metadata.name
    for kind, sentence in (
        ("ResourceQuota", "No resource quota."),
        ("LimitRange", "No LimitRange resource."),
    ):
        kept = [key[2] for key in sorted(world.objects.others) if key[:2] == (kind, name)]
        page.line("")
        page.line(f"{kind}: {', '.join(kept)}" if kept else sentence)
