# SPDX-License-Identifier: GPL-2.0-only
"""The end of a pod: hooks, SIGTERM, what is left of the grace period, SIGKILL.

    deleted --> preStop hooks --> SIGTERM --> programs end, or drain --> sandbox is taken down
       |                                         ^
       +-- grace period, 2 s after SIGTERM at least --> SIGKILL

Sidecars are told when all others have ended, the last one first.

Source: pkg/kubelet/kuberuntime/kuberuntime_container.go `killContainer`, `executePreStopHook`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from emu.apps.deadline import bounded
from emu.fabric import program
from emu.kube.kubelet import lifecycle, unmodelled
from emu.kube.kubelet.container import ENDED
from emu.sim.time import SECOND, Duration, later

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.fabric.driver import Fabric
    from emu.fabric.program import Program
    from emu.kube.api.objects import Pod
    from emu.kube.kubelet.container import ContainerRun
    from emu.kube.kubelet.machine import Machine
    from emu.kube.kubelet.pod import PodRun
    from emu.sim.time import Instant

LEAST: Final[Duration] = 2 * SECOND
"""How long a program has after SIGTERM, even where hooks have taken all of the grace period."""

COMPLETED: Final = 0


class Ending:
    """Ends the pods of one node.

    Args:
        fabric: where they run.
        machine: the node.
        ended: is told that a container has ended, and its exit code.
        finished: is told that the pod may be taken down.
    """

    def __init__(
        self,
        fabric: Fabric,
        machine: Machine,
        ended: Callable[[PodRun, ContainerRun, int], None],
        finished: Callable[[PodRun], None],
    ) -> None:
        self._fabric = fabric
        self._machine = machine
        self._ended = ended
        self._finished = finished

    def begin(self, pod: Pod, run: PodRun, grace: Duration) -> None:
        """Begin to end a pod, or end it sooner than it was told before."""
        loop = self._fabric.loop
        deadline = later(loop.now, grace)
        if run.end is None or deadline < run.deadline:
            run.deadline = deadline
            self._kill_at(run, deadline)
        if run.is_ending:
            return
        run.is_ending = True
        for container in run.containers:
            if container.is_running and not container.is_sidecar:
                self._begin(pod, run, container, deadline)
        self.look(pod, run)

    def look(self, pod: Pod, run: PodRun) -> None:
        """See who is left to be told, and whether anybody still runs."""
        running = [each for each in run.containers if each.is_running]
        if not running:
            self._kill_at(run, self._fabric.loop.now)
        elif all(each.is_sidecar for each in running):
            last = running[-1]
            if last.spec.name not in run.told:
                self._begin(pod, run, last, run.deadline)

    def _kill_at(self, run: PodRun, instant: Instant) -> None:
        if run.end is not None:
            self._fabric.loop.cancel(run.end)
        run.end = self._fabric.loop.at(instant, self._finished, run)

    def _begin(self, pod: Pod, run: PodRun, container: ContainerRun, deadline: Instant) -> None:
        """Run the hook of a container, then tell it."""
        run.told.add(container.spec.name)
        found = lifecycle.pre_stop(container.spec, run.address, container.userland, unmodelled.of_command)
        if found is None or deadline <= self._fabric.loop.now or run.net is None:
            self._tell(pod, run, container)
            return
        hook, is_inside = found
        self._kill_at(run, later(deadline, LEAST))
        net = run.net if is_inside else self._machine.net
        run.hooks.append(self._fabric.spawn(net, self._hooked(pod, run, container, hook, deadline)))

    def _hooked(
        self, pod: Pod, run: PodRun, container: ContainerRun, hook: Program[None], deadline: Instant
    ) -> Program[None]:
        with suppress(OSError):  # a hook that fails is over
            yield from bounded(hook, deadline)
        yield from program.sleep(0)
        if container.is_running:
            self._tell(pod, run, container)

    def _tell(self, pod: Pod, run: PodRun, container: ContainerRun) -> None:
        """Send SIGTERM."""
        loop = self._fabric.loop
        if run.hooks and all(each.done for each in run.hooks[:-1]):
            self._kill_at(run, max(run.deadline, later(loop.now, LEAST)))
        does = lifecycle.shutdown_of(pod, container.spec)
        match does.word:
            case "exit":
                self._end(pod, run, container, ENDED)
            case "drain":
                for process in container.processes:
                    process.stop_listening()
                delay = does.seconds * SECOND
                run.timers.append(loop.after(delay, self._end, pod, run, container, COMPLETED))
            case "ignore":
                pass

    def _end(self, pod: Pod, run: PodRun, container: ContainerRun, code: int) -> None:
        if container.is_running:
            self._ended(run, container, code)
            self.look(pod, run)
