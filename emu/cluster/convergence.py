# SPDX-License-Identifier: GPL-2.0-only
"""Whether a cluster has converged: nothing more is to be expected of it without a cause from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kube.api.objects import Pod
from emu.kube.controller import Key

if TYPE_CHECKING:
    from emu.cluster.cluster import Cluster


def is_settled(cluster: Cluster) -> bool:
    """Return whether all rules are written, and every pod is as it will be."""
    if any(proxy.is_waiting for proxy in cluster.proxies.proxies.values()):
        return False
    if cluster.control_plane.is_waiting:
        return False
    if any(kubelet.is_turning for kubelet in cluster.kubelets.by_node.values()):
        return False
    up = {name for name, machine in cluster.machines.items() if machine.is_kept}
    pods = (pod for pod in cluster.store.each(Pod) if pod.spec.node_name in up or not pod.spec.node_name)
    return all(_is_at_rest(pod) or _is_held_unready(cluster, pod) for pod in pods)


def _is_held_unready(cluster: Cluster, pod: Pod) -> bool:
    """Return whether a pod is not ready because somebody wants it so."""
    kubelet = cluster.kubelets.by_node.get(pod.spec.node_name)
    meta = pod.metadata
    return kubelet is not None and Key(meta.namespace, meta.name) in kubelet.failing


def _is_at_rest(pod: Pod) -> bool:
    """Return whether a pod is as it will be."""
    if pod.metadata.is_terminating:
        return False
    if pod.is_ready or pod.is_finished:
        return True
    if not pod.spec.node_name:
        return any(each.reason == "Unschedulable" for each in pod.status.conditions)
    every = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    waiting = (each.state.waiting for each in every)
    return any(each is not None and each.reason == "CrashLoopBackOff" for each in waiting)
