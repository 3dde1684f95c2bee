# SPDX-License-Identifier: GPL-2.0-only
"""A pod as its kubelet runs it: the sandbox and what is in it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import attrs

from emu.kube.controller import Key
from emu.kube.kubelet.container import INITIALIZING, ContainerRun
from emu.sim.time import START, Instant

if TYPE_CHECKING:
    from emu.fabric.process import Process
    from emu.kernel.namespace import Namespace
    from emu.kube.api.objects import Pod
    from emu.kube.cni import NetConfList
    from emu.kube.kubelet.probes import Kind, Tally
    from emu.sim.loop import Event
    from emu.wire.addresses import IpAddress


@attrs.define(eq=False)
class PodRun:
    """A pod that was started.

    Attributes:
        key: of the pod.
        uid: of the pod.
        containers: init containers first, in the order of the manifest.
        net: its network namespace; the node's own for one on the host's network. None: no sandbox stands.
        address: what CNI ADD gave, or the node's.
        network: the configuration it was attached with; None on the host's network.
        attempt: counts the sandboxes.
        is_ending: its containers were told to end.
        tallies: what probes have found, by container and kind.
        failing: those that count as failed, whatever is answered.
        timers: what is scheduled for it.
        retry: when its sandbox is tried again.
        end: when its containers are to be gone.
        deadline: when its grace period is over, if it ends.
        hooks: preStop hooks that run, or have run.
        told: containers that were told to end.
    """

    key: Key
    uid: str
    containers: list[ContainerRun]
    net: Namespace | None = None
    address: IpAddress | None = None
    network: NetConfList | None = None
    attempt: int = 0
    is_ending: bool = False
    tallies: dict[tuple[str, Kind], Tally] = attrs.field(factory=dict)
    failing: set[tuple[str, Kind]] = attrs.field(factory=set)
    timers: list[Event] = attrs.field(factory=list)
    retry: Event | None = None
    end: Event | None = None
    deadline: Instant = START
    hooks: list[Process[Any]] = attrs.field(factory=list)
    told: set[str] = attrs.field(factory=set)

    @property
    def sandbox_id(self) -> str:
        """The id of the sandbox: 64 hexadecimal digits."""
        return _digest(f"{self.uid}/sandbox/{self.attempt}")

    def container_id(self, run: ContainerRun) -> str:
        """Return the id of a container since its last start."""
        return _digest(f"{self.uid}/{run.spec.name}/{run.generation}")


def of_pod(pod: Pod, before: PodRun | None = None) -> PodRun:
    """Return a pod that has not begun; one that ran `before`, and was lost, begins once more."""
    spec = pod.spec
    runs = [ContainerRun(each, is_init=True) for each in spec.init_containers]
    runs += [ContainerRun(each) for each in spec.containers]
    for run in runs if spec.init_containers else ():
        run.state = INITIALIZING
    made = PodRun(Key(pod.metadata.namespace, pod.metadata.name), pod.metadata.uid, runs)
    if before is not None and before.uid == made.uid:
        made.attempt = before.attempt
        for run, old in zip(runs, before.containers, strict=False):
            run.generation, run.begun = 0, old.begun
            run.restarts, run.last = old.restarts + (old.generation > 0), old.state
    return made


def namespace_name(pod: Pod) -> str:
    """Return what a pod's network namespace is called: `NS/POD`, or `pod/NS/POD` where that means another."""
    name = f"{pod.metadata.namespace}/{pod.metadata.name}"
    return f"pod/{name}" if pod.metadata.namespace in RESERVED else name


RESERVED = frozenset(
    (
        *("pod", "svc", "node", "ext", "deploy", "sts", "ds", "rs", "job", "rc", "cronjob"),
        *("switch", "router", "vpc", "lb"),
    )
)
"""Words before the first slash of an end point that are no namespace."""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
