# SPDX-License-Identifier: GPL-2.0-only
"""Descriptions of what keeps pods running."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kube.api.objects import Pod, ReplicaSet
from emu.kube.tables.cells.others import inner
from emu.kube.tables.cells.words import NONE, pairs, selector
from emu.kube.tables.describe.page import date
from emu.kube.tables.describe.pods import template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kube.api.objects import DaemonSet, Deployment, ReplicationController, StatefulSet
    from emu.kube.api.objects.meta import Meta
    from emu.kube.tables.describe.page import Page
    from emu.kube.tables.world import World


def _heading(page: Page, metadata: Meta, *, created: bool = False) -> None:
    page.field("Name", metadata.name)
    page.field("Namespace", metadata.namespace)
    if created:
        page.field("CreationTimestamp", date(metadata.creation_timestamp))


def deployment(page: Page, one: Deployment, world: World) -> None:
    """Write the description of a Deployment, without its events."""
    spec, status = one.spec, one.status
    _heading(page, one.metadata, created=True)
    page.metadata(one.metadata)
    page.field("Selector", selector(spec.selector))
    page.field(
        "Replicas",
        f"{spec.replicas} desired | {status.updated_replicas or 0} updated | {status.replicas or 0} total | "
        f"{status.available_replicas or 0} available | {status.unavailable_replicas or 0} unavailable",
    )
    page.field("StrategyType", spec.strategy.type)
    page.field("MinReadySeconds", spec.min_ready_seconds)
    if spec.strategy.type == "RollingUpdate":
        rolling = spec.strategy.rolling_update
        down = "25%" if rolling is None or rolling.max_unavailable is None else rolling.max_unavailable
        up = "25%" if rolling is None or rolling.max_surge is None else rolling.max_surge
        page.field("RollingUpdateStrategy", f"{down} max unavailable, {up} max surge")
    template(page, spec.template, world)
    page.conditions(status.conditions)
    old, new = _replica_sets(one, world)
    if old or new:
        page.field("OldReplicaSets", _listed(old))
        page.field("NewReplicaSet", _listed(new))


def _replica_sets(one: Deployment, world: World) -> tuple[list[ReplicaSet], list[ReplicaSet]]:
    """Return the old and the new ReplicaSets: the new one has the Deployment's revision."""
    revision = "deployment.kubernetes.io/revision"
    owned = [
        each for each in world.objects.list(ReplicaSet, one.metadata.namespace) if _owns(one.metadata, each)
    ]
    current = one.metadata.annotations.get(revision)
    new = [each for each in owned if current and each.metadata.annotations.get(revision) == current][:1]
    if not new and owned:
        new = [max(owned, key=lambda each: each.metadata.creation_timestamp or "")]
    return [each for each in owned if each not in new], new


def _owns(owner: Meta, owned: ReplicaSet | Pod) -> bool:
    """Return whether an object is managed by another."""
    found = owned.metadata.controller
    return found is not None and found.uid == owner.uid and found.name == owner.name


def _listed(sets: Sequence[ReplicaSet]) -> str:
    texts = (
        f"{one.metadata.name} ({one.status.replicas or 0}/{one.spec.replicas} replicas created)"
        for one in sets
    )
    return ", ".join(texts) or NONE


def _pods(page: Page, owner: Meta, world: World) -> None:
    """Write how many pods of a workload are in which phase."""
    phases = [one.status.phase for one in world.objects.list(Pod, owner.namespace) if _owns(owner, one)]
    page.field(
        "Pods Status",
        f"{phases.count('Running')} Running / {phases.count('Pending')} Waiting / "
        f"{phases.count('Succeeded')} Succeeded / {phases.count('Failed')} Failed",
    )


def replica_set(page: Page, one: ReplicaSet, world: World) -> None:
    """Write the description of a ReplicaSet, without its events."""
    _heading(page, one.metadata)
    page.field("Selector", selector(one.spec.selector))
    page.metadata(one.metadata)
    page.controller(one.metadata)
    page.field("Replicas", f"{one.status.replicas or 0} current / {one.spec.replicas} desired")
    _pods(page, one.metadata, world)
    template(page, one.spec.template, world)
    page.conditions(one.status.conditions)


def replication_controller(page: Page, one: ReplicationController, world: World) -> None:
    """Write the description of a ReplicationController, without its events."""
    _heading(page, one.metadata)
    page.field("Selector", pairs(one.spec.selector))
    page.metadata(one.metadata)
    page.field("Replicas", f"{one.status.replicas or 0} current / {one.spec.replicas} desired")
    _pods(page, one.metadata, world)
    template(page, one.spec.template, world)
    page.conditions(one.status.conditions)


def stateful_set(page: Page, one: StatefulSet, world: World) -> None:
    """Write the description of a StatefulSet, without its events."""
    _heading(page, one.metadata, created=True)
    page.field("Selector", selector(one.spec.selector))
    page.metadata(one.metadata)
    page.field("Replicas", f"{one.spec.replicas} desired | {one.status.replicas or 0} total")
    strategy = one.spec.update_strategy
    page.field("Update Strategy", strategy.type)
    if strategy.type == "RollingUpdate":
        rolling = strategy.rolling_update
        page.field("Partition", 0 if rolling is None else rolling.partition or 0, 1)
        if rolling is not None and rolling.max_unavailable is not None:
            page.field("MaxUnavailable", rolling.max_unavailable, 1)
    _pods(page, one.metadata, world)
    template(page, one.spec.template, world)
    _claims(page, one)


def _claims(page: Page, one: StatefulSet) -> None:
    """Write the claims that each pod of a StatefulSet gets."""
    claims = one.spec.rest.get("volumeClaimTemplates")
    if not isinstance(claims, list) or not claims:
        page.field("Volume Claims", NONE)
        return
    page.line("Volume Claims:")
    for claim in claims:
        page.field("Name", inner(claim, "metadata", "name"), 1)
        page.field("StorageClass", inner(claim, "spec", "storageClassName") or "", 1)
        for title, key in (("Labels", "labels"), ("Annotations", "annotations")):
            found = inner(claim, "metadata", key)
            labels = {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}
            page.labels(f"  {title}", labels)
        page.field("Capacity", inner(claim, "spec", "resources", "requests", "storage") or "<default>", 1)
        modes = inner(claim, "spec", "accessModes")
        page.field("Access Modes", f"[{' '.join(map(str, modes if isinstance(modes, list) else []))}]", 1)


def daemon_set(page: Page, one: DaemonSet, world: World) -> None:
    """Write the description of a DaemonSet, without its events."""
    status = one.status
    _heading(page, one.metadata)
    page.field("Selector", selector(one.spec.selector))
    page.field("Node-Selector", pairs(one.spec.template.spec.node_selector))
    page.metadata(one.metadata)
    for title, number in (
        ("Desired Number of Nodes Scheduled", status.desired_number_scheduled),
        ("Current Number of Nodes Scheduled", status.current_number_scheduled),
        ("Number of Nodes Scheduled with Up-to-date Pods", status.updated_number_scheduled),
        ("Number of Nodes Scheduled with Available Pods", status.number_available),
        ("Number of Nodes Misscheduled", status.number_misscheduled),
    ):
        page.line(f"{title}: {number or 0}")
    _pods(page, one.metadata, world)
    template(page, one.spec.template, world)
