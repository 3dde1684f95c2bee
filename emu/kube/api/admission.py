# SPDX-License-Identifier: GPL-2.0-only
"""What the API server changes in a pod before it keeps it.

Pods made from a template pass through here as bare ones do; the template's
spec is admitted once, and all its pods share the result.

Source: pkg/apis/core/v1/defaults.go, plugin/pkg/admission/{defaulttolerationseconds,
serviceaccount,priority}, pkg/apis/core/v1/helper/qos/qos.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.api.objects.scheduling import Toleration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from emu.kube.api.objects.container import Container
    from emu.kube.api.objects.pod import Pod, PodSpec
    from emu.kube.api.store import Store

NOT_READY: Final = "node.kubernetes.io/not-ready"
UNREACHABLE: Final = "node.kubernetes.io/unreachable"
TOLERATED_SECONDS: Final = 300
"""For how long a pod stays on a node that is lost, unless it says so itself."""

SYSTEM_PRIORITIES: Final[Mapping[str, int]] = {
    "system-cluster-critical": 2_000_000_000,
    "system-node-critical": 2_000_001_000,
}
"""The priority classes that every cluster has."""

_RESOURCES: Final = ("cpu", "memory")


def admit(pod: Pod, priorities: Mapping[str, int] = SYSTEM_PRIORITIES) -> Pod:
    """Return `pod` as the API server keeps it; one that was admitted is returned as it is.

    Args:
        pod: from a manifest, a dump or a template.
        priorities: of the classes there are, by name.
    """
    spec = admit_spec(pod.spec, priorities)
    if pod.status.qos_class:
        return pod if spec is pod.spec else attrs.evolve(pod, spec=spec)
    return attrs.evolve(pod, spec=spec, status=attrs.evolve(pod.status, qos_class=qos_class(spec)))


def priorities_of(store: Store) -> Mapping[str, int]:
    """Return the priority of each class in `store`, and of those every cluster has."""
    found = dict(SYSTEM_PRIORITIES)
    for (kind, _, name), other in store.others.items():
        value = other.rest.get("value")
        if kind == "PriorityClass" and isinstance(value, int):
            found[name] = value
    return found


def admit_spec(spec: PodSpec, priorities: Mapping[str, int] = SYSTEM_PRIORITIES) -> PodSpec:
    """Return `spec` with what the API server adds; the same object if that is nothing."""
    tolerations = spec.tolerations + tuple(_missing_tolerations(spec.tolerations))
    changes: dict[str, object] = {}
    if tolerations != spec.tolerations:
        changes["tolerations"] = tolerations
    if not spec.service_account_name:
        changes["service_account_name"] = "default"
    if spec.priority is None:
        changes["priority"] = priorities.get(str(spec.rest.get("priorityClassName", "")), 0)
    if spec.host_network:
        containers = tuple(map(_on_the_host, spec.containers))
        if containers != spec.containers:
            changes["containers"] = containers
    return attrs.evolve(spec, **changes) if changes else spec  # type: ignore[arg-type]  # each by its field's name


def _missing_tolerations(tolerations: Iterable[Toleration]) -> Iterable[Toleration]:
    """Yield the tolerations of a lost node that a pod has none of its own for."""
    own = {each.key for each in tolerations if each.effect in {"", "NoExecute"}}
    for key in (NOT_READY, UNREACHABLE):
        if key not in own and "" not in own:
            yield Toleration(key, "Exists", effect="NoExecute", toleration_seconds=TOLERATED_SECONDS)


def _on_the_host(container: Container) -> Container:
    """In the host's network namespace, a container's port is the host's."""
    ports = tuple(
        port if port.host_port else attrs.evolve(port, host_port=port.container_port)
        for port in container.ports
    )
    return container if ports == container.ports else attrs.evolve(container, ports=ports)


def qos_class(spec: PodSpec) -> str:
    """Return Guaranteed, Burstable or BestEffort, by what the containers ask for."""
    asked = [_resources(each) for each in (*spec.containers, *spec.init_containers)]
    if not any(requests or limits for requests, limits in asked):
        return "BestEffort"
    is_limited = all(
        name in limits and requests.get(name, limits[name]) == limits[name]
        for requests, limits in asked
        for name in _RESOURCES
    )
    return "Guaranteed" if is_limited else "Burstable"


def _resources(container: Container) -> tuple[dict[str, object], dict[str, object]]:
    """Return what a container requests of processor and memory, and what it is limited to."""
    resources = container.rest.get("resources")
    if not isinstance(resources, dict):
        return {}, {}
    requests, limits = (resources.get(each) for each in ("requests", "limits"))
    return _compute(requests), _compute(limits)


def _compute(quantities: object) -> dict[str, object]:
    if not isinstance(quantities, dict):
        return {}
    return {name: quantities[name] for name in _RESOURCES if name in quantities}
