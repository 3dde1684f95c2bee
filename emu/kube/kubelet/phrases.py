# SPDX-License-Identifier: GPL-2.0-only
"""What a kubelet says in events and states of containers. Source: pkg/kubelet/events, kuberuntime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.sim.time import SECOND

if TYPE_CHECKING:
    from emu.kube.kubelet.container import ContainerRun
    from emu.kube.kubelet.pod import PodRun
    from emu.sim.time import Duration

_NAMELESS_SINCE: Final = (1, 35)
"""Since when events about a container's start do not name it."""


def of_start(version: str, name: str) -> tuple[str, str]:
    """Return what is said when a container is created, and when it starts."""
    numbers = tuple(int(part) for part in version.split(".") if part.isdecimal())
    if numbers >= _NAMELESS_SINCE:
        return "Container created", "Container started"
    return f"Created container: {name}", f"Started container {name}"


def waiting(container: ContainerRun, run: PodRun) -> str:
    """Return what the state of a container says that waits to be started again."""
    words = f"back-off {_go(container.back_off)} restarting failed container={container.spec.name} "
    return f"{words}pod={run.key.name}_{run.key.namespace}({run.uid})"


def backing_off(container: ContainerRun, run: PodRun) -> str:
    """Return what the event about it says."""
    key, name = run.key, container.spec.name
    return f"Back-off restarting failed container {name} in pod {key.name}_{key.namespace}({run.uid})"


def _go(duration: Duration) -> str:
    """Return a time of whole seconds as Go writes it: `40s`, `1m20s`, `5m0s`."""
    minutes, seconds = divmod(duration // SECOND, 60)
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
