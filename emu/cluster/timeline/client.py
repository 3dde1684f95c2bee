# SPDX-License-Identifier: GPL-2.0-only
"""A client of a scenario at work: real programs, real packets, and a note of how each attempt went.

A client without `keepAlive` begins an attempt whenever it is time, whether the
one before is answered or not, as many people do; with it, and by UDP, there is
one socket, and attempts follow each other on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emu.cluster.timeline import programs
from emu.cluster.timeline.targets import Target, find_target
from emu.cluster.timeline.traffic import LOST, OK, Attempt
from emu.errors import EmuError
from emu.sim.time import Instant, later

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.cluster.cluster import Cluster
    from emu.cluster.timeline.packets import Flow, FlowKey, PacketWatch
    from emu.cluster.timeline.traffic import TrafficSpec
    from emu.fabric.process import Process
    from emu.fabric.userland import Userland
    from emu.kernel.namespace import Namespace
    from emu.sim.loop import Event


class Client:
    """One client.

    Attributes:
        spec: what the document says of it.
        attempts: what it has done, in order.
        net: where it runs; None before it begins.
        connections: how many it has made.
        failure: why it could not begin, or had to stop; empty if neither.
        is_over: it begins nothing more.
    """

    def __init__(self, cluster: Cluster, spec: TrafficSpec, packets: PacketWatch | None) -> None:
        self.spec = spec
        self.attempts: list[Attempt] = []
        self.net: Namespace | None = None
        self.target: Target | None = None
        self.userland: Userland | None = None
        self.connections = 0
        self.failure = ""
        self.is_over = False
        self._cluster = cluster
        self._packets = packets
        self._lost: list[tuple[Attempt, Flow, list[int]]] = []
        self._lookups: dict[int, list[Flow]] = {}  # by the number of an attempt
        self._processes: list[Process[Any]] = []
        self._next: Event | None = None

    def begin(self, end: Instant | None) -> None:
        """Have it begin when it is time, and begin nothing more at `end`; None for no end."""
        loop = self._cluster.fabric.loop
        until = self.spec.until
        limits = [Instant(each) for each in (until, end) if each is not None]
        self._next = loop.at(Instant(max(loop.now, self.spec.at)), self._start, min(limits, default=None))

    def stop_asking(self) -> None:
        """Have it begin nothing more; what is under way goes on."""
        self.is_over = True
        if self._next is not None:
            self._cluster.fabric.loop.cancel(self._next)
            self._next = None

    @property
    def is_waiting(self) -> bool:
        """Whether an attempt of it has no outcome yet."""
        return any(each.ended is None for each in self.attempts)

    def stop(self) -> None:
        """End whatever it still does; what has no outcome then has been cut off."""
        self.stop_asking()
        for process in self._processes:
            if self.spec.leaves_open:
                process.fall_silent()
            else:
                process.kill()
        self._processes.clear()
        self.attempts = [each for each in self.attempts if each.ended is not None]
        self._find_ends()

    def _find_ends(self) -> None:
        """Find out what became of the packets of attempts that failed: some end long after their attempt."""
        for made, flow, numbers in self._lost:
            for end in filter(None, map(flow.fate_of, numbers)):
                made.drops[end] = made.drops.get(end, 0) + 1
        self._lost.clear()

    def _start(self, end: Instant | None) -> None:
        self._next = None
        try:
            host = self._cluster.host(self.spec.source)
            self.target = find_target(self._cluster, self.spec)
        except EmuError as error:
            self.failure = str(error)
            return
        self.net, self.userland = host.net, host.userland
        if self._packets is not None:
            self._packets.clients.add(host.net.name)
        if self.spec.keeps or self.spec.kind == "udp":
            for _ in range(self.spec.connections):
                self._spawn(programs.steady(self, end))
        else:
            self._again(end)

    def aim(self) -> Target:
        """Return whom it asks now: a load balancer's address, as soon as there is one."""
        assert self.target is not None
        if self.target.is_pending:
            try:
                self.target = find_target(self._cluster, self.spec)
            except EmuError:
                return self.target  # who is gone meanwhile is asked where he was
        return self.target

    def _again(self, end: Instant | None) -> None:
        """Begin an attempt, and let the next one follow when it is time."""
        loop = self._cluster.fabric.loop
        self._next = None
        if not self.is_alive:
            self.failure = f"{self.spec.source} is gone"
            return
        if end is not None and loop.now >= end:
            return
        self._processes = [each for each in self._processes if not each.done]
        self._spawn(programs.attempt(self))
        self._next = loop.at(later(loop.now, self.spec.every), self._again, end)

    def _spawn(self, program: Any) -> None:  # noqa: ANN401 - whatever it returns
        assert self.net is not None
        self._processes.append(self._cluster.fabric.spawn(self.net, program))

    @property
    def is_alive(self) -> bool:
        """Whether the namespace that it runs in is still there."""
        return self.net is not None and self._cluster.fabric.namespaces.get(self.net.name) is self.net

    # --- called by its programs ---

    def sends(self, now: Instant, connection: int = 0) -> Attempt:
        """Note that an attempt begins."""
        made = Attempt(len(self.attempts) + 1, now, connection=connection)
        self.attempts.append(made)
        return made

    def ends(
        self,
        made: Attempt,
        outcome: str,
        now: Instant,
        key: FlowKey | None,
        *,
        since: int = 0,
        until: int | None = None,
    ) -> None:
        """Note how an attempt ended, and that the packets `since` to `until` of its flow are its own."""
        made.outcome, made.ended = outcome, now
        lookups = self._lookups.pop(made.number, [])
        if outcome != OK:
            self._lost += [(made, flow, flow.packets) for flow in lookups]
        if self._packets is None or key is None:
            return
        flow = self._packets.flow(key)
        numbers = flow.packets[since:until]
        made.packets = len(numbers)
        own = (number for number in numbers if number not in flow.answers)
        made.server = next(filter(None, map(flow.end_of, own)), "")
        if outcome != OK:
            self._lost.append((made, flow, numbers))

    def looked_up(self, made: Attempt, keys: Iterable[FlowKey]) -> None:
        """Note the flows by which a name was looked up for an attempt, and take them as over."""
        if self._packets is not None:
            found = self._lookups.setdefault(made.number, [])
            for key in keys:
                found.append(self._packets.flow(key))
                self._packets.forget(key)

    def judges_arrival(self, made: Attempt, key: FlowKey, number: int) -> None:
        """Find out, when the attempt's time is over, whether packet `number` has come to its host."""
        loop = self._cluster.fabric.loop
        loop.at(later(loop.now, self.spec.timeout), self._judge_arrival, made, key, number)

    def _judge_arrival(self, made: Attempt, key: FlowKey, number: int) -> None:
        if self._packets is None:
            self.ends(made, OK, made.sent, None)
            return
        flow = self._packets.flow(key)
        fates = [flow.fate_of(each) for each in flow.packets[number : number + 1]]
        outcome = OK if fates == [None] else LOST
        self.ends(made, outcome, made.sent, key, since=number, until=number + 1)

    def count_packets(self, key: FlowKey | None) -> int:
        """Return how many packets of a flow have been seen."""
        return 0 if self._packets is None or key is None else len(self._packets.flow(key).packets)

    def forget(self, key: FlowKey) -> None:
        """Take the flow as over."""
        if self._packets is not None:
            self._packets.forget(key)
