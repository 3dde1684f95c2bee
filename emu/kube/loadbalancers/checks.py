# SPDX-License-Identifier: GPL-2.0-only
"""Health checks: a balancer asks its nodes again and again, with packets, and counts.

The first answer counts at once, in both directions. From then on a node leaves
after so many failures in a row, and comes back after so many successes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

import attrs

from emu.fabric import program
from emu.kernel.sockets import SocketKind
from emu.sim.time import Instant, later

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from emu.fabric.driver import Fabric
    from emu.fabric.program import Program
    from emu.kernel.namespace import Namespace
    from emu.kube.loadbalancers.frontends import Check
    from emu.kube.loadbalancers.settings import HealthCheck
    from emu.sim.loop import Event
    from emu.sim.time import Duration
    from emu.wire.addresses import IpAddress


class Asked(NamedTuple):
    """Whom a check asks, and how."""

    node: str
    address: IpAddress
    check: Check


@attrs.define
class Tally:
    """What the answers of one node were so far.

    Attributes:
        settings: how many it takes.
        is_healthy: what they amount to; None before the first one.
        streak: how many in a row said the contrary.
        asked_at: when the last question that was answered was put.
    """

    settings: HealthCheck
    is_healthy: bool | None = None
    streak: int = 0
    asked_at: Instant | None = None

    def count(self, *, is_success: bool) -> bool:
        """Count an answer; return whether it has turned the result."""
        if self.is_healthy is None:
            self.is_healthy = is_success
            return True
        if is_success == self.is_healthy:
            self.streak = 0
            return False
        self.streak += 1
        if self.streak < (self.settings.unhealthy if self.is_healthy else self.settings.healthy):
            return False
        self.is_healthy, self.streak = is_success, 0
        return True


class Checks:
    """The health checks of one balancer.

    Args:
        fabric: where it is.
        net: the balancer's namespace.
        settings: how often it asks.
        turned: is called when a node has become healthy, or is not any more.
    """

    is_still: ClassVar[bool] = True

    def __init__(
        self, fabric: Fabric, net: Namespace, settings: HealthCheck, turned: Callable[[], None]
    ) -> None:
        self._fabric = fabric
        self._net = net
        self._settings = settings
        self._turned = turned
        self._tallies: dict[Asked, Tally] = {}
        self._timers: dict[Asked, Event] = {}

    def follow(self, wanted: Iterable[Asked]) -> None:
        """Ask these and nobody else; who is new is asked at once."""
        wanted = list(dict.fromkeys(wanted))
        for each in [known for known in self._tallies if known not in wanted]:
            del self._tallies[each]
            self._fabric.loop.cancel(self._timers.pop(each))
        for each in wanted:
            if each not in self._tallies:
                self._tallies[each] = Tally(self._settings)
                self._timers[each] = self._fabric.loop.after(0, self._ask, each)

    def is_healthy(self, asked: Asked) -> bool:
        """Return whether a node works, as far as is known."""
        found = self._tallies.get(asked)
        return found is not None and found.is_healthy is True

    def is_settled(self, since: Instant) -> bool:
        """Return whether every answer is younger than `since`, and none is about to turn a result.

        A node that failed at that very instant may have been asked before what changed then.
        """
        return all(
            tally.asked_at is not None
            and tally.asked_at >= (since if tally.is_healthy else since + 1)
            and not tally.streak
            for tally in self._tallies.values()
        )

    def hold_still(self) -> None:
        """Ask nobody from now on."""
        for timer in self._timers.values():
            self._fabric.loop.cancel(timer)

    def _ask(self, asked: Asked) -> None:
        self._fabric.spawn(self._net, self._question(asked))

    def _question(self, asked: Asked) -> Program[None]:
        asked_at = yield from program.now()
        is_success = yield from ask(asked, self._settings.timeout)
        tally = self._tallies.get(asked)
        if tally is None:
            return
        tally.asked_at = asked_at
        turned = tally.count(is_success=is_success)
        loop = self._fabric.loop
        at = loop.at if tally.streak else loop.periodic_at
        due = max(later(asked_at, self._settings.interval), loop.now)
        self._timers[asked] = at(Instant(due), self._ask, asked)
        if turned:
            self._turned()


def ask(asked: Asked, timeout: Duration) -> Program[bool]:
    """Ask a node once, and return whether it works."""
    if asked.check.kind == "http":
        return (yield from _get(asked, timeout))
    socket = yield from program.socket(SocketKind.TCP)
    try:
        yield from program.connect(socket, asked.address, asked.check.port, timeout=timeout)
    except OSError:
        return False
    finally:
        yield from program.close(socket)
    return True


def _get(asked: Asked, timeout: Duration) -> Program[bool]:
    from emu.apps.http import client  # noqa: PLC0415 - h11 is not for every run
    from emu.apps.http.message import Request  # noqa: PLC0415

    headers = (("Host", f"{asked.address}:{asked.check.port}"), ("Connection", "close"))
    found = yield from client.fetch(
        asked.address,
        asked.check.port,
        Request("GET", "/healthz", headers),
        connect_timeout=timeout,
        timeout=timeout,
    )
    return not isinstance(found, client.Failed) and found.response.status == 200
