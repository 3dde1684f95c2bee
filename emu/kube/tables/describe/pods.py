# SPDX-License-Identifier: GPL-2.0-only
"""Descriptions of pods, and of the templates that pods are made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kube.tables.cells.words import NONE, selector
from emu.kube.tables.describe import containers, volumes
from emu.kube.tables.describe.page import date
from emu.kube.tables.describe.resources import quality

if TYPE_CHECKING:
    from emu.kube.api.objects import Pod
    from emu.kube.api.objects.pod import PodSpec, PodTemplateSpec
    from emu.kube.api.objects.scheduling import Toleration
    from emu.kube.tables.describe.page import Page
    from emu.kube.tables.world import World


def pod(page: Page, one: Pod, world: World) -> None:
    """Write the description of a pod, without its events."""
    _heading(page, one)
    page.metadata(one.metadata)
    _state(page, one, world)
    _containers(page, one, world)
    _conditions(page, one)
    volumes.write(page, one.spec)
    page.field("QoS Class", quality(one))
    _placing(page, one.spec, "")
    _spread(page, one.spec, "")


def _heading(page: Page, one: Pod) -> None:
    """Write what a pod is called and where it is."""
    spec, status = one.spec, one.status
    page.field("Name", one.metadata.name)
    page.field("Namespace", one.metadata.namespace)
    for title, value in (
        ("Priority", spec.priority),
        ("Priority Class Name", spec.rest.get("priorityClassName")),
        ("Runtime Class Name", spec.rest.get("runtimeClassName")),
        ("Service Account", spec.service_account_name or None),
    ):
        if value is not None:
            page.field(title, value)
    page.field("Node", f"{spec.node_name}/{status.host_ip}" if spec.node_name else NONE)
    if status.start_time:
        page.field("Start Time", date(status.start_time))


def _state(page: Page, one: Pod, world: World) -> None:
    """Write how a pod is, its addresses, and whose it is."""
    status = one.status
    if one.metadata.is_terminating and not one.is_finished:
        page.field("Status", f"Terminating (lasts {world.since(one.metadata.deletion_timestamp)})")
        page.field("Termination Grace Period", f"{one.metadata.deletion_grace_period_seconds or 0}s")
    else:
        page.field("Status", status.phase)
    for title, text in (("Reason", status.reason), ("Message", status.message)):
        if text:
            page.field(title, text)
    page.field("IP", status.pod_ip)
    if status.pod_ips:
        page.line("IPs:")
    else:
        page.field("IPs", NONE)
    for address in status.pod_ips:
        page.field("IP", address.ip, 1)
    page.controller(one.metadata)
    if status.nominated_node_name:
        page.field("NominatedNodeName", status.nominated_node_name)


def _containers(page: Page, one: Pod, world: World) -> None:
    spec, status = one.spec, one.status
    if spec.init_containers:
        statuses = status.init_container_statuses
        containers.write(page, "Init Containers", spec.init_containers, world, statuses=statuses, pod=one)
    statuses = status.container_statuses
    containers.write(page, "Containers", spec.containers, world, statuses=statuses, pod=one)


def _conditions(page: Page, one: Pod) -> None:
    conditions = one.status.conditions
    if one.spec.readiness_gates:
        page.line("Readiness Gates:\n  Type\tStatus")
        states = {each.type: each.status for each in reversed(conditions)}
        for gate in one.spec.readiness_gates:
            page.line(f"{gate.condition_type} \t{states.get(gate.condition_type, NONE)} ", 1)
    if conditions:
        page.line("Conditions:\n  Type\tStatus")
        for each in conditions:
            page.line(f"{each.type} \t{each.status} ", 1)


def _placing(page: Page, spec: PodSpec, margin: str) -> None:
    """Write where a pod may run."""
    page.labels(f"{margin}Node-Selectors", spec.node_selector)
    tolerations = sorted(spec.tolerations, key=lambda each: each.key)
    page.several(f"{margin}Tolerations", map(_toleration, tolerations))


def _toleration(one: Toleration) -> str:
    text = one.key + (f"={one.value}" if one.value else "") + (f":{one.effect}" if one.effect else "")
    if one.operator == "Exists" and not one.value:
        text = f"{text} op=Exists" if text else "op=Exists"
    return text + (f" for {one.toleration_seconds}s" if one.toleration_seconds is not None else "")


def _spread(page: Page, spec: PodSpec, margin: str) -> None:
    constraints = sorted(spec.topology_spread_constraints, key=lambda each: each.topology_key)
    texts = []
    for one in constraints:
        chosen = f" for selector {selector(one.label_selector)}" if one.label_selector is not None else ""
        texts.append(
            f"{one.topology_key}:{one.when_unsatisfiable} when max skew {one.max_skew} is exceeded{chosen}"
        )
    if texts:
        page.several(f"{margin}Topology Spread Constraints", texts)


def template(page: Page, one: PodTemplateSpec, world: World) -> None:
    """Write what pods of a workload are made from."""
    spec = one.spec
    page.line("Pod Template:")
    page.labels("  Labels", one.metadata.labels)
    if one.metadata.annotations:
        page.annotations("  Annotations", one.metadata.annotations)
    if spec.service_account_name:
        page.field("Service Account", spec.service_account_name, 1)
    if spec.init_containers:
        containers.write(page, "Init Containers", spec.init_containers, world)
    containers.write(page, "Containers", spec.containers, world)
    volumes.write(page, spec, in_template=True)
    _spread(page, spec, "  ")
    if spec.rest.get("priorityClassName"):
        page.field("Priority Class Name", spec.rest["priorityClassName"], 1)
    _placing(page, spec, "  ")
