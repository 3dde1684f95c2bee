# SPDX-License-Identifier: GPL-2.0-only
"""A control plane without a network: workloads, the scheduler, and a kubelet that only says it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.kube.api.admission import admit
from emu.kube.api.objects import Deployment, Event, Namespace, Node, Pod, ReplicaSet
from emu.kube.api.objects.container import Container
from emu.kube.api.objects.field import NOTHING
from emu.kube.api.objects.meta import LabelSelector, Meta
from emu.kube.api.objects.node import NodeSpec
from emu.kube.api.objects.pod import PodSpec, PodTemplateSpec
from emu.kube.api.objects.workload import DeploymentSpec
from emu.kube.api.store import Store
from emu.kube.conditions import made, placed
from emu.kube.scheduler import Scheduler
from emu.kube.workloads import Workloads
from emu.kube.workloads.pods import is_active
from emu.sim.loop import EventLoop
from emu.sim.rng import Streams
from emu.sim.time import EPOCH, SECOND, Duration, later

if TYPE_CHECKING:
    from emu.kube.api.objects import Known
    from emu.kube.api.objects.field import Labels
    from emu.kube.api.objects.scheduling import Taint
    from emu.kube.api.store import Change

NAMESPACE = "default"


class SayingKubelet:
    """Says that pods on nodes run and are ready, and takes out of the store those that are to end.

    Pods whose names are in `broken` start, but are never ready.

    Args:
        store: the API.
        start: how long a pod takes to be ready, ns.
        stop: how long it takes to end, ns.
    """

    def __init__(self, store: Store, start: Duration = 0, stop: Duration = SECOND) -> None:
        self.start = start
        self.stop = stop
        self.broken: set[str] = set()
        self._store = store
        store.watch(Pod, self._changed)
        for pod in store.each(Pod):
            self._look(pod)

    def finish(self, pod: Pod, phase: str) -> None:
        """Say that all containers of `pod` have ended: Succeeded or Failed."""
        now = self._store.get(Pod, pod.metadata.name, pod.metadata.namespace)
        self._say(now, phase, is_ready=False)

    def _changed(self, change: Change) -> None:
        if isinstance(change.new, Pod):
            self._look(change.new)

    def _look(self, pod: Pod) -> None:
        if not pod.spec.node_name:
            return
        uid = pod.metadata.uid
        if pod.metadata.is_terminating:
            self._store.loop.after(self.stop, self._end, pod.metadata.name, pod.metadata.namespace, uid)
        elif pod.status.phase == "Pending":
            self._store.loop.after(self.start, self._run, pod.metadata.name, pod.metadata.namespace, uid)

    def _run(self, name: str, namespace: str, uid: str) -> None:
        pod = self._store.find(Pod, name, namespace)
        if pod is not None and pod.metadata.uid == uid and pod.status.phase == "Pending":
            self._say(pod, "Running", is_ready=name not in self.broken)

    def _end(self, name: str, namespace: str, uid: str) -> None:
        pod = self._store.find(Pod, name, namespace)
        if pod is not None and pod.metadata.uid == uid:
            self._store.delete(Pod, name, namespace)

    def _say(self, pod: Pod, phase: str, *, is_ready: bool) -> None:
        ready = made("Ready", "True" if is_ready else "False", "", "", self._store.now)
        conditions = placed(pod.status.conditions, ready)
        self._store.put(
            attrs.evolve(pod, status=attrs.evolve(pod.status, phase=phase, conditions=conditions))
        )


class ControlPlane:
    """A store with everything at work on it that makes, places and starts pods."""

    def __init__(self, *, seed: int = 1, version: tuple[int, int] = (1, 35), epoch: int = EPOCH) -> None:
        self.loop = EventLoop()
        self.streams = Streams(seed)
        self.store = Store(self.loop, epoch, self.streams.stream("uid"))
        self.store.put(Namespace(Meta(name=NAMESPACE)))
        self.workloads = Workloads(self.store, self.streams, version)
        self.scheduler = Scheduler(self.store, self.streams, version)
        self.kubelet = SayingKubelet(self.store)

    def add_nodes(self, *names: str, taints: tuple[Taint, ...] = (), labels: Labels = NOTHING) -> None:
        """Add nodes, each labelled with its name and with `labels`."""
        for name in names:
            metadata = Meta(name=name, labels={"kubernetes.io/hostname": name, **labels})
            self.store.put(Node(metadata, NodeSpec(taints=taints)))

    def settle(self, seconds: float = 0) -> None:
        """Let everything happen that is under way, and then so many seconds pass."""
        self.loop.run_until_idle()
        if seconds:
            self.loop.run_until(later(self.loop.now, round(seconds * SECOND)))
            self.loop.run_until_idle()

    def pods(self, *, app: str = "") -> list[Pod]:
        """Return the pods that are neither finished nor on their way out, by name."""
        pods = [pod for pod in self.store.list(Pod) if is_active(pod)]
        return [pod for pod in pods if not app or pod.metadata.labels.get("app") == app]

    def places(self, *, app: str = "") -> list[str]:
        """Return the nodes of those pods, sorted."""
        return sorted(pod.spec.node_name for pod in self.pods(app=app))

    def sets(self) -> dict[str, int]:
        """Return how many replicas each ReplicaSet is to have, by name."""
        return {each.metadata.name: each.spec.replicas for each in self.store.list(ReplicaSet)}

    def messages(self, reason: str) -> list[str]:
        """Return the messages of all events of one reason, in the order in which they were told."""
        return [event.message for event in self.store.each(Event) if event.reason == reason]

    def text(self, obj: Known) -> str:
        """Return an object as it is now, for a comparison."""
        return repr(self.store.find(type(obj), obj.metadata.name, obj.metadata.namespace))


def template(app: str, image: str = "nginx", spec: PodSpec | None = None) -> PodTemplateSpec:
    """Return a template of pods with the label `app`."""
    containers = (Container("main", image),)
    return PodTemplateSpec(Meta(labels={"app": app}), attrs.evolve(spec or PodSpec(), containers=containers))


def deployment(name: str, replicas: int = 1, spec: PodSpec | None = None, image: str = "nginx") -> Deployment:
    """Return a Deployment whose pods have its name as the label `app`."""
    return Deployment(
        Meta(name=name, namespace=NAMESPACE, generation=1),
        DeploymentSpec(
            replicas=replicas, selector=LabelSelector({"app": name}), template=template(name, image, spec)
        ),
    )


def bare_pod(name: str, spec: PodSpec | None = None, **labels: str) -> Pod:
    """Return a pod without an owner, as the API server admits it."""
    spec = attrs.evolve(
        spec or PodSpec(), containers=(spec or PodSpec()).containers or (Container("main", "nginx"),)
    )
    return admit(Pod(Meta(name=name, namespace=NAMESPACE, labels=labels), spec))
