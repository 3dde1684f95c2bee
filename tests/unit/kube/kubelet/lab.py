# SPDX-License-Identifier: GPL-2.0-only
"""Small clusters for kubelets: one node, no kube-proxy, and pods in a few words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml

from emu import document
from emu.cluster.cluster import Cluster
from emu.cluster.topology import load_topology
from emu.kube.api import codec
from emu.kube.api.objects import Event, Pod
from emu.sim.time import SECOND, Instant, to_seconds

if TYPE_CHECKING:
    from emu.kube.api.objects import Object
    from emu.kube.api.objects.container import ContainerStatus

NODE: Final = "node-1"
_HEAD: Final = {
    "apiVersion": "emu/v1",
    "kind": "Cluster",
    "spec": {"kubeProxy": {"mode": "none"}, "nodes": [{"name": NODE}]},
}


def pod(
    name: str = "web",
    /,
    *containers: dict[str, Any],
    notes: dict[str, str] | None = None,
    **spec: Any,  # noqa: ANN401 - fields of a manifest
) -> dict[str, Any]:
    """Return the manifest of a pod; without `containers` it has one that does nothing."""
    given = [{"image": "busybox", **each} for each in containers or ({"name": "main"},)]
    metadata = {"name": name, "annotations": notes or {}, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": given, **spec}}


def container(name: str = "main", **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - a manifest
    """Return a container of a manifest."""
    return {"name": name, **fields}


def start(*manifests: dict[str, Any], head: dict[str, Any] | None = None) -> Cluster:
    """Return the cluster that some manifests describe, on one node."""
    text = yaml.safe_dump_all([_HEAD if head is None else head, *manifests])
    return Cluster(load_topology(document.scan(text.encode(), "lab.yaml")))


def read(manifest: dict[str, Any]) -> Object:
    """Return the object of a manifest, in the namespace `default` where it names none."""
    metadata = {"namespace": "default", **manifest["metadata"]}
    return codec.read({**manifest, "metadata": metadata})


def seconds(cluster: Cluster) -> float:
    """Return what time it is."""
    return to_seconds(cluster.fabric.loop.now)


def wait(cluster: Cluster, instant: float) -> None:
    """Let time pass until `instant` seconds after the start."""
    cluster.wait_until(Instant(round(instant * SECOND)))


def found(cluster: Cluster, name: str = "web", namespace: str = "default") -> Pod:
    """Return a pod as it is now."""
    return cluster.store.get(Pod, name, namespace)


def status(cluster: Cluster, name: str = "web", container_name: str = "main") -> ContainerStatus:
    """Return what is known of one container of a pod."""
    of_pod = found(cluster, name).status
    every = (*of_pod.init_container_statuses, *of_pod.container_statuses)
    return next(each for each in every if each.name == container_name)


def told(cluster: Cluster, reason: str, name: str = "web") -> list[str]:
    """Return the messages of events of one reason about a pod, in the order of their first time."""
    events = [
        each
        for each in cluster.store.each(Event)
        if each.reason == reason and each.involved_object.name == name
    ]
    return [each.message for each in events]
