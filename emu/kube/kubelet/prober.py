# SPDX-License-Identifier: GPL-2.0-only
"""The kubelet's prober: asks each container again and again, and counts.

Liveness and readiness wait for the startup probe. The first question comes when
the container has started, the next ones period by period; while nothing is
likely to change they are upkeep that nobody waits for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from emu.kube.kubelet.probes import Kind, Tally, ask, bad_answer, period
from emu.sim.time import SECOND, later

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.fabric.driver import Fabric
    from emu.fabric.program import Program
    from emu.kube.api.objects.container import Probe
    from emu.kube.controller import Key
    from emu.kube.kubelet.container import ContainerRun
    from emu.kube.kubelet.machine import Machine
    from emu.kube.kubelet.pod import PodRun
    from emu.kube.kubelet.probes import Answer
    from emu.sim.time import Duration

Heard: TypeAlias = "Callable[[PodRun, ContainerRun, Kind, Answer, bool], None]"
"""Is told each answer, and whether it has turned the result."""


class Prober:
    """Asks the containers of one node.

    Attributes:
        failing: pods of which a probe was told to fail.
    """

    def __init__(self, fabric: Fabric, machine: Machine, version: str, heard: Heard) -> None:
        self._fabric = fabric
        self._machine = machine
        self._version = version
        self._heard = heard
        self.failing: set[Key] = set()
        self._turning: set[tuple[Key, str, Kind]] = set()

    @property
    def is_turning(self) -> bool:
        """Whether a probe was told to turn out otherwise, and has not been believed yet."""
        return bool(self._turning)

    def turn(self, pod: PodRun, run: ContainerRun, kind: Kind, *, fails: bool) -> None:
        """Have a probe count as failed from now on, whatever is answered, or no longer."""
        place = run.spec.name, kind
        tally = pod.tallies.get(place)
        if fails:
            pod.failing.add(place)
            self.failing.add(pod.key)
        else:
            pod.failing.discard(place)
            if not pod.failing:
                self.failing.discard(pod.key)
        if tally is not None and tally.result == fails:
            self._turning.add((pod.key, *place))

    def begin(self, pod: PodRun, run: ContainerRun) -> None:
        """Begin with a container that has started; what was known of an earlier start is forgotten."""
        for kind in Kind:
            pod.tallies.pop((run.spec.name, kind), None)
        first = [Kind.STARTUP] if run.spec.startup_probe is not None else [Kind.LIVENESS, Kind.READINESS]
        for kind in first:
            self._begin(pod, run, kind)

    def go_on(self, pod: PodRun, run: ContainerRun) -> None:
        """Begin with the probes that have waited for the startup probe."""
        for kind in (Kind.LIVENESS, Kind.READINESS):
            self._begin(pod, run, kind)

    def _begin(self, pod: PodRun, run: ContainerRun, kind: Kind) -> None:
        probe = probe_of(run, kind)
        if probe is not None:
            pod.tallies[run.spec.name, kind] = Tally(probe, result=kind is Kind.LIVENESS)
            self._schedule(pod, run, kind, probe.initial_delay_seconds * SECOND)

    def _schedule(
        self, pod: PodRun, run: ContainerRun, kind: Kind, delay: Duration, *, is_upkeep: bool = False
    ) -> None:
        loop = self._fabric.loop
        pod.timers = [timer for timer in pod.timers if not timer.is_cancelled]
        is_steady = pod.tallies[run.spec.name, kind].result and pod.tallies[run.spec.name, kind].failures == 0
        at = loop.periodic_at if (is_steady and delay) or is_upkeep else loop.at
        pod.timers.append(at(later(loop.now, delay), self._ask, pod, run, kind, run.generation))

    def _ask(self, pod: PodRun, run: ContainerRun, kind: Kind, generation: int) -> None:
        probe = probe_of(run, kind)
        is_due = run.generation == generation and run.is_running and pod.net is not None
        if not is_due or probe is None or (pod.is_ending and kind is not Kind.READINESS):
            self._turning.discard((pod.key, run.spec.name, kind))
            return
        if not self._machine.is_kept:
            self._schedule(pod, run, kind, period(probe), is_upkeep=True)  # until somebody can ask again
            return
        net = pod.net if probe.exec is not None and pod.net is not None else self._machine.net
        self._fabric.spawn(net, self._question(pod, run, kind, probe))

    def _question(self, pod: PodRun, run: ContainerRun, kind: Kind, probe: Probe) -> Program[None]:
        assert pod.address is not None
        assert run.userland is not None
        generation = run.generation
        answer = yield from ask(probe, run.spec, pod.address, version=self._version, userland=run.userland)
        tally = pod.tallies.get((run.spec.name, kind))
        if tally is None or run.generation != generation or not run.is_running:
            return
        if (run.spec.name, kind) in pod.failing:
            answer = bad_answer(probe, pod.address, run.spec)
        turned = tally.count(answer)
        if tally.result == answer.is_success:
            self._turning.discard((pod.key, run.spec.name, kind))
        self._heard(pod, run, kind, answer, turned)
        if run.generation == generation and run.is_running and not (kind is Kind.STARTUP and tally.result):
            self._schedule(pod, run, kind, period(probe))


def probe_of(run: ContainerRun, kind: Kind) -> Probe | None:
    """Return a container's probe of one kind, None if it has none."""
    match kind:
        case Kind.STARTUP:
            return run.spec.startup_probe
        case Kind.LIVENESS:
            return run.spec.liveness_probe
        case Kind.READINESS:
            return run.spec.readiness_probe
