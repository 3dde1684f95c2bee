# SPDX-License-Identifier: GPL-2.0-only
"""A scenario that is played: its steps are taken while its clients ask, and all of it is kept."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs

from emu.cluster.timeline.client import Client
from emu.cluster.timeline.packets import PacketWatch
from emu.cluster.timeline.watch import Watch
from emu.cluster.timeline.windows import Summary, summary
from emu.sim.time import Instant, later

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.apps.tools.finished import Finished
    from emu.cluster.cluster import Cluster
    from emu.cluster.timeline.traffic import TrafficSpec
    from emu.cluster.timeline.watch import Entry
    from emu.cluster.topology.spec import StepSpec
    from emu.kernel.netfilter.conntrack.race import Race
    from emu.sim.time import Duration


@attrs.frozen
class Taken:
    """A step that was taken: its number from 1, when, and what it printed."""

    number: int
    time: Instant
    step: StepSpec
    finished: Finished

    @property
    def words(self) -> str:
        """The step as it is written."""
        return " ".join(self.step.words)


@attrs.frozen
class ClientStory:
    """What one client saw."""

    spec: TrafficSpec
    summary: Summary
    failure: str = ""


class Traffic:
    """The clients of a cluster at work, with or without anybody who notes where their packets end."""

    def __init__(self, cluster: Cluster, specs: Sequence[TrafficSpec], packets: PacketWatch | None) -> None:
        self.clients = [Client(cluster, spec, packets) for spec in specs]
        self._cluster = cluster

    def begin(self, end: Instant | None) -> None:
        """Have all clients begin when it is their time, and none at `end` or later."""
        for each in self.clients:
            each.begin(end)

    def stop_asking(self) -> None:
        """Have none begin anything more."""
        for each in self.clients:
            each.stop_asking()

    def end(self) -> None:
        """Stop all of them."""
        for each in self.clients:
            each.stop()

    @property
    def outstanding(self) -> Duration:
        """How long attempts under way may take at the most, ns."""
        return max((each.spec.timeout for each in self.clients if each.is_waiting), default=0)


class Story:
    """What happened while a scenario was played.

    Attributes:
        steps: those taken.
        clients: what each saw; none before the end.
        begin: when the first step, or the traffic, could begin.
        end: when all was over.
        packets: where those of the clients are, and ended.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.steps: list[Taken] = []
        self.clients: list[ClientStory] = []
        self.begin = self.end = cluster.fabric.loop.now
        self.watch = Watch(cluster)
        self._cluster = cluster
        self.packets = PacketWatch(cluster.recording)

    @property
    def entries(self) -> Sequence[Entry]:
        """What changed in the cluster, in order."""
        return self.watch.entries

    @contextmanager
    def told(
        self, specs: Sequence[TrafficSpec], until: Duration | None, race: Race | None = None
    ) -> Iterator[None]:
        """Have clients ask, and everybody be listened to, inside the block; then wait for what is under way.

        Args:
            specs: the clients.
            until: the end of the scenario, if it says one: the block may end sooner.
            race: which packets overtake each other meanwhile.
        """
        cluster = self._cluster
        with self.watch.listening(), self._tapped(), self._racing(race):
            if not specs:
                yield
                if until is not None:
                    cluster.wait_until(Instant(max(cluster.fabric.loop.now, until)))
            else:
                traffic = cluster.begin_traffic(specs, until, self.packets)
                yield
                ends = [each for each in (until, *(each.until for each in specs)) if each is not None]
                cluster.wait_until(Instant(max(cluster.fabric.loop.now, *ends, 0)))
                cluster.stop_asking()
                cluster.wait_until(later(cluster.fabric.loop.now, traffic.outstanding))
                cluster.end_traffic()
                self.clients = [self._of_client(each) for each in traffic.clients]
        self.end = cluster.fabric.loop.now

    @contextmanager
    def _racing(self, race: Race | None) -> Iterator[None]:
        """Let packets race inside the block."""
        if race is not None:
            self._cluster.let_race(race)
        try:
            yield
        finally:
            if race is not None:
                self._cluster.let_race(None)

    @contextmanager
    def _tapped(self) -> Iterator[None]:
        """Look at what passes devices inside the block; the recording rests, unless somebody listens."""
        fabric = self._cluster.fabric
        with self._cluster.recording.resting(fabric.record):
            fabric.tap(self.packets)
            try:
                yield
            finally:
                fabric.tap(None)

    def take(self, step: StepSpec, time: Instant, finished: Finished) -> None:
        """Keep a step that was taken."""
        self.steps.append(Taken(len(self.steps) + 1, time, step, finished))

    def _of_client(self, client: Client) -> ClientStory:
        now = self._cluster.fabric.loop.now
        codes = self.packets.codes_of(client.net.name) if client.net is not None else {}
        found = summary(client.attempts, client.connections, now, codes)
        return ClientStory(client.spec, found, client.failure)

    def cause_of(self, time: Instant) -> Taken | None:
        """Return the last step taken before or at an instant that may have changed something."""
        found = [each for each in self.steps if each.time <= time and each.step.words[0] not in _LOOKING]
        return found[-1] if found else None


_LOOKING = frozenset(("get", "describe"))
