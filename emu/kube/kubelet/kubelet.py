# SPDX-License-Identifier: GPL-2.0-only
"""A node's kubelet: it makes what is bound to the node run, and tells how that goes.

Source: pkg/kubelet/kubelet.go `SyncPod`, `SyncTerminatingPod`; pkg/kubelet/kuberuntime.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from emu.kube import events
from emu.kube.api.objects import Node, Pod
from emu.kube.kubelet import phrases, sandbox, status, unmodelled
from emu.kube.kubelet.container import ENDED, ContainerRun, watched
from emu.kube.kubelet.ending import Ending
from emu.kube.kubelet.pod import PodRun, of_pod
from emu.kube.kubelet.prober import Prober
from emu.kube.kubelet.probes import Kind
from emu.kube.kubelet.programs import of_container
from emu.kube.kubelet.sandbox import SandboxError
from emu.kube.kubelet.surroundings import Surroundings
from emu.kube.kubelet.variables import Addresses
from emu.sim.time import SECOND
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emu.fabric.driver import Fabric
    from emu.kube.api.store import Store
    from emu.kube.controller import Key
    from emu.kube.kubelet.machine import Machine
    from emu.kube.kubelet.probes import Answer
    from emu.kube.kubelet.programs import Image
    from emu.kube.kubelet.resolv_conf import ClusterDns
    from emu.sim.time import Duration

_SANDBOX_RETRY: Final[Duration] = 2 * SECOND
_RELIST: Final[Duration] = SECOND
"""How long it may take the kubelet to see that a container has ended."""


@attrs.frozen(eq=False)
class Settings:
    """What all kubelets of a cluster have in common.

    Attributes:
        dns: where pods find names.
        version: of Kubernetes, such as `1.35`.
        images: programs of images that are modelled as a whole.
        warn: is told what pods ask for and is not modelled.
        attached: is told of each pod that has an address now, before its containers start.
    """

    dns: ClusterDns
    version: str
    images: Mapping[str, Image]
    warn: Callable[[str], None] = attrs.field(default=lambda _: None)
    attached: Callable[[Pod, IpAddress], None] = attrs.field(default=lambda _, __: None)


class Kubelet:
    """The kubelet of one node.

    Attributes:
        machine: the node.
        pods: what runs here, by namespace and name.
    """

    is_still: ClassVar[bool] = True

    def __init__(self, fabric: Fabric, store: Store, machine: Machine, settings: Settings) -> None:
        self.machine = machine
        self.pods: dict[Key, PodRun] = {}
        self._known: dict[Key, Pod] = {}  # as it was when it was last looked at
        self._lost: dict[Key, PodRun] = {}  # what ran when the power went
        self._fabric = fabric
        self._store = store
        self._settings = settings
        self._surroundings = Surroundings(store, machine, settings.dns)
        self._ending = Ending(fabric, machine, self._stopped, self._finish)
        self._prober = Prober(fabric, machine, settings.version, self._probed)

    # --- one pod ---

    def sync(self, key: Key) -> None:
        """Make the pod `key` run, or end, as the API says now."""
        if not self.machine.is_kept:
            return
        pod = self._store.find(Pod, key.name, key.namespace)
        run = self.pods.get(key)
        if run is not None and not self._is_same(pod, run):
            self._remove(key, run)
            run = None
        if pod is None or pod.spec.node_name != self.machine.name:
            return
        self._known[key] = pod
        if pod.metadata.is_terminating:
            self._terminate(key, pod, run)
        elif not pod.is_finished:
            if run is None:
                run = self.pods[key] = of_pod(pod, self._lost.pop(key, None))
                self._begin(pod)
            self._renew(key, pod, run)
            self._start(key, pod, run)
            self._report(key)

    def _begin(self, pod: Pod) -> None:
        """Say what of a new pod is not modelled, or does not fit."""
        for words in unmodelled.of_pod(pod.spec):
            self._settings.warn(words)
        if pod.spec.dns_config is not None:
            _, cut = self._surroundings.resolv_conf(pod)
            if cut:
                self._tell(pod, events.WARNING, "DNSConfigForming", cut)

    def _is_same(self, pod: Pod | None, run: PodRun) -> bool:
        return pod is not None and pod.metadata.uid == run.uid and pod.spec.node_name == self.machine.name

    def crash(self) -> None:
        """Lose all that runs, as a machine without power does; the API is not told.

        What the API knows of a pod (how many sandboxes it had, how often its
        containers were started) goes on counting when it runs again.
        """
        for key, run in list(self.pods.items()):
            self._remove(key, run)
            self._lost[key] = run
        self._known.clear()

    def kill(self, run: PodRun, container: ContainerRun, code: int) -> None:
        """End the programs of a container, as a signal does; its exit code tells which one."""
        self._ended(run.key, container, container.generation, code, "")
        for process in container.processes:
            process.kill()

    def turn_probe(self, run: PodRun, container: ContainerRun, kind: Kind, *, fails: bool) -> None:
        """Have a probe of a container count as failed from now on, whatever is answered, or no longer."""
        self._prober.turn(run, container, kind, fails=fails)

    @property
    def failing(self) -> set[Key]:
        """Pods of which a probe was told to fail."""
        return self._prober.failing

    @property
    def is_turning(self) -> bool:
        """Whether a probe was told to turn out otherwise, and has not been believed yet."""
        return self._prober.is_turning

    def hold_still(self) -> None:
        """Ask and restart nothing from now on; what runs runs on."""
        for run in self.pods.values():
            for timer in run.timers:
                self._fabric.loop.cancel(timer)

    # --- beginning ---

    def _start(self, key: Key, pod: Pod, run: PodRun) -> None:
        """Start what may start now: one init container after the other, then all others."""
        if run.net is None and not self._make_sandbox(key, pod, run):
            return
        for container in run.containers:
            if container.generation == 0:
                self._run(key, pod, run, container)
            if container.is_init and not (
                container.has_succeeded or (container.is_sidecar and container.started)
            ):
                return  # the next ones wait for it

    def _renew(self, key: Key, pod: Pod, run: PodRun) -> None:
        """Take over what was changed in a running pod: an image, with which its container starts anew."""
        wanted = {each.name: each for each in (*pod.spec.init_containers, *pod.spec.containers)}
        for container in run.containers:
            spec = wanted.get(container.spec.name, container.spec)
            if spec == container.spec:
                continue
            is_other = spec.image != container.spec.image
            container.spec = spec
            if is_other and container.is_running and container.stays:
                words = f"Container {spec.name} definition changed, will be restarted"
                self._tell(pod, events.NORMAL, "Killing", words)
                self._end(key, container, container.generation, ENDED, "")

    def _make_sandbox(self, key: Key, pod: Pod, run: PodRun) -> bool:
        if pod.spec.host_network:
            run.net, run.address = self.machine.net, IpAddress.parse(self._host_ip())
            return True
        try:
            sandbox.make(self._fabric, self.machine, pod, run)
        except SandboxError as error:
            words = f"Failed to create pod sandbox: rpc error: code = Unknown desc = {error}"
            self._tell(pod, events.WARNING, "FailedCreatePodSandBox", words)
            if run.retry is not None:
                self._fabric.loop.cancel(run.retry)
            run.retry = self._fabric.loop.after(_SANDBOX_RETRY, self.sync, key)
            return False
        assert run.address is not None
        self._settings.attached(pod, run.address)
        return True

    def _host_ip(self) -> str:
        node = self._store.find(Node, self.machine.name)
        return next(iter(node.addresses("InternalIP")), "") if node is not None else ""

    def _run(self, key: Key, pod: Pod, run: PodRun, container: ContainerRun) -> None:
        """Start a container's programs."""
        assert run.net is not None
        spec = container.spec
        container.userland = self._surroundings.of(pod, spec, Addresses(str(run.address), self._host_ip()))
        container.begin(self._fabric.loop.now, self._store.now)
        self._tell_start(pod, container)
        ended = partial(self._ended, key, container, container.generation)
        lasts = container.stays and (container.is_sidecar or pod.spec.restart_policy == "Always")
        for program in of_container(
            pod, spec, container.userland, self._settings.images, lasts=lasts, warn=self._settings.warn
        ):
            container.processes.append(self._fabric.spawn(run.net, watched(program, ended)))
        if container.is_running:
            self._prober.begin(run, container)

    # --- what happens to containers ---

    def _ended(self, key: Key, container: ContainerRun, generation: int, code: int, message: str) -> None:
        """Note that a program of a container has ended, and so the container."""
        if container.generation == generation and container.is_running:
            self._fabric.loop.after(0, self._end, key, container, generation, code, message)

    def _end(self, key: Key, container: ContainerRun, generation: int, code: int, message: str) -> None:
        run, pod = self.pods.get(key), self._known.get(key)
        if run is None or pod is None or container.generation != generation or not container.is_running:
            return
        container.end(code, self._store.now, message)
        if run.is_ending:
            self._ending.look(pod, run)
            return
        container.count_end(self._fabric.loop.now)
        if _is_restarted(pod, container):
            delay = container.back_off
            if delay:
                container.wait("CrashLoopBackOff", phrases.waiting(container, run))
                self._tell(pod, events.WARNING, "BackOff", phrases.backing_off(container, run), container)
            self._later(run, delay or _RELIST, self._restart, key, container, generation)
        if container.is_init and container.has_succeeded:
            self._start(key, pod, run)
        self._report(key)
        self._retire(key)

    def _restart(self, key: Key, container: ContainerRun, generation: int) -> None:
        run, pod = self.pods.get(key), self._known.get(key)
        if run is None or pod is None or run.is_ending or container.generation != generation:
            return
        if not self.machine.is_up or not self.machine.has_kubelet:
            self._later(run, _RELIST, self._restart, key, container, generation)
            return
        if container.state.terminated is not None:
            container.last = container.state
        container.restarts += 1
        self._run(key, pod, run, container)
        self._report(key)

    def _probed(self, run: PodRun, container: ContainerRun, kind: Kind, answer: Answer, turned: bool) -> None:  # noqa: FBT001 - as the prober calls
        key = run.key
        pod = self._known.get(key)
        if pod is None or self.pods.get(key) is not run:
            return
        if not answer.is_success:
            words = f"{kind.value} probe failed: {answer.words}"
            self._tell(pod, events.WARNING, "Unhealthy", words, container)
        if not turned:
            return
        tally = run.tallies[container.spec.name, kind]
        if kind is Kind.READINESS:
            container.ready = tally.result
        elif not tally.result or not answer.is_success:
            words = f"Container {container.spec.name} failed {kind.value.lower()} probe, will be restarted"
            self._tell(pod, events.NORMAL, "Killing", words, container)
            self._end(key, container, container.generation, ENDED, "")
            return
        elif kind is Kind.STARTUP:
            container.started = True
            container.ready = container.spec.readiness_probe is None
            self._prober.go_on(run, container)
            self._start(key, pod, run)  # a sidecar that has started lets others begin
        self._report(key)

    # --- ending ---

    def _terminate(self, key: Key, pod: Pod, run: PodRun | None) -> None:
        """Begin to end a pod, or end it sooner than it was told before."""
        if run is None:
            self._forget(key, pod)
            return
        if not run.is_ending:
            for container in run.containers:
                if container.is_running:
                    words = f"Stopping container {container.spec.name}"
                    self._tell(pod, events.NORMAL, "Killing", words, container)
        self._ending.begin(pod, run, (pod.metadata.deletion_grace_period_seconds or 0) * SECOND)

    def _stopped(self, run: PodRun, container: ContainerRun, code: int) -> None:
        """Note that a container of a pod that ends has ended."""
        container.end(code, self._store.now)
        if any(each.is_running for each in run.containers):
            self._report(run.key)

    def _finish(self, run: PodRun) -> None:
        """End what still runs and take the sandbox down; the object is gone with it."""
        key = run.key
        pod = self._store.find(Pod, key.name, key.namespace)
        if self.pods.get(key) is not run:
            return
        if not self.machine.is_kept:
            run.end, run.is_ending = None, False  # whoever comes back ends it
            return
        self._remove(key, run)
        if pod is not None and pod.metadata.uid == run.uid:
            self._forget(key, pod)

    def _remove(self, key: Key, run: PodRun) -> None:
        for timer in run.timers:
            self._fabric.loop.cancel(timer)
        for other in (run.retry, run.end):
            if other is not None:
                self._fabric.loop.cancel(other)
        run.timers.clear()
        for hook in run.hooks:
            hook.kill()
        for container in run.containers:
            container.end(ENDED, self._store.now)
        pod = self._known.pop(key, None)
        if pod is not None:
            sandbox.remove(self._fabric, self.machine, pod, run)
        del self.pods[key]

    def _retire(self, key: Key) -> None:
        """Take down the sandbox of a pod that has ended for good; its address is free, its status stays."""
        pod, run = self._known.get(key), self.pods.get(key)
        if pod is not None and run is not None and pod.is_finished:
            self._remove(key, run)

    def _forget(self, key: Key, pod: Pod) -> None:
        self._known.pop(key, None)
        self._store.delete(Pod, pod.metadata.name, pod.metadata.namespace)

    # --- telling ---

    def _report(self, key: Key) -> None:
        """Write the status of a pod, if the API can be reached."""
        if not self.machine.is_kept:
            return
        pod = self._store.find(Pod, key.name, key.namespace)
        run = self.pods.get(key)
        if pod is None or run is None or pod.metadata.uid != run.uid:
            return
        found = status.of_pod(
            pod,
            run.containers,
            address=str(run.address) if run.net is not None else "",
            host=self._host_ip(),
            now=self._store.now,
            identify=run.container_id,
        )
        if found != pod.status:
            self._known[key] = self._store.put(attrs.evolve(pod, status=found))

    def _tell_start(self, pod: Pod, container: ContainerRun) -> None:
        created, started = phrases.of_start(self._settings.version, container.spec.name)
        self._tell(pod, events.NORMAL, "Created", created, container)
        self._tell(pod, events.NORMAL, "Started", started, container)

    def _tell(
        self, pod: Pod, kind: str, reason: str, message: str, about: ContainerRun | None = None
    ) -> None:
        path = ""
        if about is not None:
            path = f"spec.{'initContainers' if about.is_init else 'containers'}{{{about.spec.name}}}"
        events.record(
            self._store, pod, kind, reason, message, "kubelet", host=self.machine.name, field_path=path
        )

    def _later(self, run: PodRun, delay: Duration, callback: Callable[..., None], *arguments: object) -> None:
        run.timers = [timer for timer in run.timers if not timer.is_cancelled]
        run.timers.append(self._fabric.loop.after(delay, callback, *arguments))


def _is_restarted(pod: Pod, container: ContainerRun) -> bool:
    """Return whether a container that has ended is started again."""
    policy = container.spec.restart_policy or pod.spec.restart_policy
    if container.stays:
        return policy == "Always" or (policy == "OnFailure" and not container.has_succeeded)
    return policy != "Never" and not container.has_succeeded
