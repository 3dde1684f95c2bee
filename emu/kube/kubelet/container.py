# SPDX-License-Identifier: GPL-2.0-only
"""One container of a pod, over all its restarts.

        waiting --start--> running --its program ends--> terminated --at once--> running
            --its program ends--> terminated --10 s, 20 s, 40 s ...--> running ...

A program that only listens runs until it is stopped. One that cannot have its
port ends as it does on Linux: `bind` fails, the container's exit code is 1, and
the kubelet starts it again: the first time at once, then later and later.

Source: pkg/kubelet/kuberuntime/kuberuntime_manager.go `doBackOff`,
staging/src/k8s.io/client-go/util/flowcontrol/backoff.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

from emu.kube.api.objects.container import ContainerState, ContainerStatus, Running, Terminated, Waiting
from emu.sim.time import SECOND, START, Duration, Instant

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.fabric.process import Process
    from emu.fabric.program import Program
    from emu.fabric.userland import Userland
    from emu.kube.api.objects.container import Container

FIRST_BACK_OFF: Final[Duration] = 10 * SECOND
LONGEST_BACK_OFF: Final[Duration] = 300 * SECOND
KILLED: Final = 137  # exit code after SIGKILL
ENDED: Final = 143  # after SIGTERM
LONG_ENOUGH: Final[Duration] = 2 * LONGEST_BACK_OFF
"""A container that has run for longer begins anew with its back-off."""

_ALWAYS: Final = "Always"
_CREATING: Final = ContainerState(waiting=Waiting("ContainerCreating"))
INITIALIZING: Final = ContainerState(waiting=Waiting("PodInitializing"))
"""The state of what has not begun in a pod that has init containers."""

_NOTHING: Final = ContainerState()


@attrs.define(eq=False)
class ContainerRun:
    """A container.

    Attributes:
        spec: what is wanted of it.
        is_init: it runs before the others.
        userland: what its programs see beside the network.
        state: waiting, running or terminated.
        last: how it ended the last time.
        restarts: how often it was started again.
        started: the startup probe has succeeded, or there is none.
        ready: the readiness probe says so, or it runs and there is none.
        processes: what runs in it.
        generation: counts the starts, so that news of an earlier one is known as old.
        failures: how often it has ended without having run for long.
        begun: when it was started the last time.
    """

    spec: Container
    is_init: bool = False
    userland: Userland | None = None
    state: ContainerState = _CREATING
    last: ContainerState = _NOTHING
    restarts: int = 0
    started: bool = False
    ready: bool = False
    processes: list[Process[Any]] = attrs.field(factory=list)
    generation: int = 0
    failures: int = 0
    begun: Instant = START

    @property
    def is_sidecar(self) -> bool:
        """Whether it is an init container that goes on beside the others."""
        return self.is_init and self.spec.restart_policy == _ALWAYS

    @property
    def is_running(self) -> bool:
        """Whether it runs now."""
        return self.state.running is not None

    @property
    def has_succeeded(self) -> bool:
        """Whether it has ended with exit code 0."""
        return self.state.terminated is not None and self.state.terminated.exit_code == 0

    @property
    def back_off(self) -> Duration:
        """How long the kubelet waits before it is started again, 0 after the first end."""
        if self.failures < 2:
            return 0
        return min(FIRST_BACK_OFF << min(self.failures - 2, 10), LONGEST_BACK_OFF)

    def count_end(self, instant: Instant) -> None:
        """Note for the back-off that it has ended at `instant`."""
        self.failures = 1 if instant - self.begun > LONG_ENOUGH else self.failures + 1

    def begin(self, instant: Instant, now: str) -> None:
        """Note that it runs since `instant`, which objects write as `now`."""
        self.generation += 1
        self.begun = instant
        self.state = ContainerState(running=Running(now))
        self.started = self.spec.startup_probe is None
        self.ready = self.started and self.spec.readiness_probe is None and self.stays

    @property
    def stays(self) -> bool:
        """Whether it is meant to run beside the others, and not before them."""
        return not self.is_init or self.is_sidecar

    def end(self, code: int, now: str, message: str = "") -> None:
        """Stop what still runs in it and note how it ended."""
        self.stop()
        begun = self.state.running.started_at if self.state.running is not None else None
        reason = "Completed" if code == 0 else "Error"
        self.state = ContainerState(
            terminated=Terminated(code, reason, message, started_at=begun, finished_at=now)
        )
        self.ready = self.started = False

    def wait(self, reason: str, message: str = "") -> None:
        """Note that it waits to be started again."""
        if self.state.terminated is not None:
            self.last = self.state
        self.state = ContainerState(waiting=Waiting(reason, message))

    def stop(self) -> None:
        """End its programs; their sockets are closed."""
        processes, self.processes = self.processes, []
        for process in processes:
            process.kill()

    def status(self, container_id: str) -> ContainerStatus:
        """Return what the pod's status says of it."""
        begun = self.generation > 0
        return ContainerStatus(
            self.spec.name,
            ready=self.ready or (self.is_init and self.has_succeeded),
            started=self.started,
            restart_count=self.restarts,
            state=self.state,
            last_state=self.last,
            image=self.spec.image,
            image_id=f"{self.spec.image}@emulated" if begun and self.spec.image else "",
            container_id=f"containerd://{container_id}" if begun else "",
        )


def watched(program: Program[int], ended: Callable[[int, str], None]) -> Program[None]:
    """Run the program of a container and tell how it `ended`: its exit code, and the error's words."""
    try:
        code, message = (yield from program), ""
    except OSError as error:
        code, message = 1, error.strerror or str(error)
    ended(code, message)
