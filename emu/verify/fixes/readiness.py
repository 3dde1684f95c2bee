# SPDX-License-Identifier: GPL-2.0-only
"""Pods that are never ready: the probe asks what nobody answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.cluster.points import WORKLOADS
from emu.kube.api.objects import DaemonSet, Deployment, Pod, ReplicaSet, ReplicationController, StatefulSet
from emu.kube.api.objects.container import TcpSocket
from emu.kube.api.selectors import contains
from emu.verify.fixes.fix import Proposal
from emu.verify.fixes.remedy import Change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kube.api.objects import Known
    from emu.kube.api.objects.container import Container, Probe
    from emu.kube.api.objects.pod import PodSpec
    from emu.verify.fixes.case import Case

_OWNERS = (Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController)


def probe_a_port_that_listens(case: Case) -> Iterator[Proposal]:
    """Have the readiness probe ask a port that the pod listens on."""
    asked = case.asked
    if asked is None or not asked.service.spec.selector:
        return
    pods = case.store.list(Pod, asked.service.metadata.namespace)
    for pod in pods:
        if pod.is_ready or not contains(pod.metadata.labels, asked.service.spec.selector):
            continue
        owner = owner_of(case, pod)
        for container in pod.spec.containers:
            ports = case.listening(pod, "TCP")
            for port in ports[:1]:
                probe = _moved(container, port, ports)
                if probe is None:
                    continue
                words = (
                    f"pod {pod.metadata.namespace}/{pod.metadata.name} is not ready: its probe asks a port "
                    f"on which it does not listen; ask port {port}"
                )
                changed = with_spec(owner, _with_probe(spec_of(owner), container.name, probe))
                yield Proposal(words, (Change(owner, changed),))
        return  # the others are like it, or come next


def _moved(container: Container, port: int, listening: list[int]) -> Probe | None:
    """Return the readiness probe of a container for another port, None if that is not what is wrong."""
    probe = container.readiness_probe
    asks = None if probe is None else probe.http_get or probe.tcp_socket
    named: dict[int | str, int] = {each.name: each.container_port for each in container.ports if each.name}
    if probe is None or asks is None or named.get(asks.port, asks.port) in listening:
        return None
    if probe.http_get is not None:
        return attrs.evolve(probe, http_get=attrs.evolve(probe.http_get, port=port))
    return attrs.evolve(probe, tcp_socket=TcpSocket(port))


def _with_probe(spec: PodSpec, name: str, probe: Probe) -> PodSpec:
    containers = tuple(
        attrs.evolve(each, readiness_probe=probe) if each.name == name else each for each in spec.containers
    )
    return attrs.evolve(spec, containers=containers)


# --- whose manifest it is ---


def owner_of(case: Case, pod: Pod) -> Known:
    """Return the workload that a pod was made from, or the pod itself."""
    found: Known = pod
    while (reference := found.metadata.controller) is not None:
        kind = WORKLOADS.get(reference.kind.lower())
        above = None if kind is None else case.store.find(kind, reference.name, pod.metadata.namespace)
        if not isinstance(above, _OWNERS) or above.spec.template is None:
            return found
        found = above
    return found


def spec_of(owner: Known) -> PodSpec:
    """Return what a pod or a workload says of its pods."""
    if isinstance(owner, Pod):
        return owner.spec
    assert isinstance(owner, _OWNERS), owner.KIND
    assert owner.spec.template is not None, "looked for by owner_of"
    return owner.spec.template.spec


def with_spec(owner: Known, spec: PodSpec) -> Known:
    """Return a pod or a workload that says something else of its pods."""
    if isinstance(owner, Pod):
        return attrs.evolve(owner, spec=spec)
    assert isinstance(owner, _OWNERS), owner.KIND
    assert owner.spec.template is not None, "looked for by owner_of"
    template = attrs.evolve(owner.spec.template, spec=spec)
    return attrs.evolve(owner, spec=attrs.evolve(owner.spec, template=template))  # type: ignore[arg-type]  # its own
