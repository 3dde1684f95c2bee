# SPDX-License-Identifier: GPL-2.0-only
"""What happens to the entries of the neighbour table: packets, answers and timers.

The states and what leads from one to the next stand in `emu.kernel.nud`. Here is
what goes with a change: packets that wait or may go, requests, the timer.

Timers are exact. Those of Linux run on a wheel and are late by up to a sixteenth
(what is to happen after 1 s happens after 1.00 to 1.06 s), so that "not later
than" in the kernel is "before" here.

Source: net/core/neighbour.c, Linux 6.18.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, Generic, NamedTuple

from emu.kernel.drops import DropReason
from emu.kernel.neighbour import Discard, PacketT, Send, Solicit, Unreachable
from emu.kernel.nud import CONNECTED, FIXED, TIMED, VALID, Cause, Nud, after
from emu.kernel.proxy_queue import USER_TICK
from emu.sim.time import MILLISECOND, SECOND, Duration, Instant, later

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emu.kernel.neighbour import Action, Neighbour
    from emu.wire.addresses import MacAddress

LEAST_WAIT: Final[Duration] = 10 * MILLISECOND
REDRAW_AFTER: Final[Duration] = 300 * SECOND


class _ReachableTime(NamedTuple):
    """What was drawn for a device, from which base, and when."""

    value: Duration
    base: Duration
    drawn: Instant


class Resolution(Generic[PacketT]):
    """The address resolution of one namespace. It holds the timers, not the entries.

    Args:
        parameters: gives the values of `net.ipv4.neigh.NAME.*` for a device's name, as
            the files show them.
        draw: gives a random number below another: the reachable times.
    """

    def __init__(self, parameters: Callable[[str], Mapping[str, int]], draw: Callable[[int], int]) -> None:
        self._parameters = parameters
        self._draw = draw
        self._timers: list[tuple[Instant, int, Neighbour[PacketT]]] = []
        self._timers_set = 0
        self._reachable_times: dict[str, _ReachableTime] = {}

    # --- packets ---

    def send(
        self, entry: Neighbour[PacketT], packet: PacketT, size: int, now: Instant
    ) -> list[Action[PacketT]]:
        """Return what is to be done to get `packet`, charged `size` octets if it waits, to the neighbour.

        Source: `neigh_resolve_output`, `__neigh_event_send`.
        """
        if entry.state in VALID:
            self._use(entry, now)
            return [Send(entry, (packet,))]
        entry.used = now
        asks = entry.state is not Nud.INCOMPLETE
        if asks and not self._begin(entry, now):
            return [Discard(entry.device, (packet,), DropReason.NEIGH_FAILED)]
        actions = self._enqueue(entry, packet, size)
        return actions + self._ask(entry) if asks else actions

    def probe(self, entry: Neighbour[PacketT], now: Instant) -> list[Action[PacketT]]:
        """Do as if there were a packet to send. Source: `neigh_event_send` without one."""
        if entry.state in VALID:
            self._use(entry, now)
            return []
        entry.used = now
        return self._ask(entry) if entry.state is not Nud.INCOMPLETE and self._begin(entry, now) else []

    def _use(self, entry: Neighbour[PacketT], now: Instant) -> None:
        """Note that a packet is sent to a valid entry."""
        entry.used = now
        if entry.state is Nud.STALE:
            self._move(entry, Cause.PACKET, now)
            self._start(entry, later(now, self._delay(entry.device)))

    def _begin(self, entry: Neighbour[PacketT], now: Instant) -> bool:
        """Begin to ask for an address; return False if no request may be sent."""
        parameters = self._parameters(entry.device)
        if parameters["mcast_solicit"] + parameters["app_solicit"] == 0:
            self._move(entry, Cause.UNASKABLE, now)
            return False
        entry.probes = parameters["ucast_solicit"]
        self._move(entry, Cause.PACKET, now)
        self._start(entry, later(now, self._retransmission(entry.device)))
        return True

    def _enqueue(self, entry: Neighbour[PacketT], packet: PacketT, size: int) -> list[Action[PacketT]]:
        """Let `packet` wait; those that wait longest make room for it."""
        limit = self._parameters(entry.device)["unres_qlen_bytes"]
        charged = size + sum(charge for _, charge in entry.waiting)
        pushed_out: list[PacketT] = []
        while entry.waiting and charged > limit:
            oldest, charge = entry.waiting.popleft()
            charged -= charge
            pushed_out.append(oldest)
        entry.waiting.append((packet, size))
        if not pushed_out:
            return []
        return [Discard(entry.device, tuple(pushed_out), DropReason.NEIGH_QUEUEFULL)]

    def _ask(self, entry: Neighbour[PacketT]) -> list[Action[PacketT]]:
        """Send a request: the first ones by unicast, then some to a daemon that nobody runs, then to all.

        Source: `neigh_probe`, net/ipv4/arp.c `arp_solicit`.
        """
        parameters = self._parameters(entry.device)
        asked = entry.probes - parameters["ucast_solicit"]
        entry.probes += 1
        packet = entry.waiting[-1][0] if entry.waiting else None
        if asked < 0:
            return [Solicit(entry, entry.mac, packet)]
        return [] if asked < parameters["app_solicit"] else [Solicit(entry, None, packet)]

    # --- answers ---

    def learn(
        self, entry: Neighbour[PacketT], mac: MacAddress, now: Instant, *, answered: bool, override: bool
    ) -> list[Action[PacketT]]:
        """Take note that the neighbour was said to be at `mac`.

        Args:
            entry: the neighbour.
            mac: what its address is said to be.
            now: the instant.
            answered: it told us and only us; else it was just heard of.
            override: an address that is known gives way to another one.

        Source: `__neigh_update`.
        """
        if entry.state in FIXED:
            return []
        if answered:
            entry.confirmed = now
        new = not entry.is_valid or mac != entry.mac
        if new and entry.is_valid and not override:
            return []
        if not new and not answered:
            return []
        return self.settle(entry, after(entry.state, Cause.ANSWERED if answered else Cause.HEARD), mac, now)

    def is_locked(self, entry: Neighbour[PacketT], now: Instant) -> bool:
        """Return whether `entry` changed within the last `locktime`: of several answers, the first one holds.

        Source: net/ipv4/arp.c `arp_process`.
        """
        return now <= entry.updated + self._parameters(entry.device)["locktime"] * USER_TICK

    def settle(
        self, entry: Neighbour[PacketT], state: Nud, mac: MacAddress, now: Instant
    ) -> list[Action[PacketT]]:
        """Give `entry` a valid state and an address; what waits for it may go then."""
        was_valid, changed = entry.is_valid, entry.state is not state
        moved = not was_valid or mac != entry.mac
        if changed or moved:
            entry.updated = now
        if moved and state not in CONNECTED:
            entry.confirmed = self.long_ago(entry.device, now)
        entry.enter(state, mac)
        if changed:
            entry.probes = 0
            entry.deadline = None
            if state in TIMED:
                wait = self.reachable_time(entry.device, now) if state is Nud.REACHABLE else 0
                self._start(entry, later(now, wait))
        if was_valid or not entry.waiting:
            return []
        self._use(entry, now)
        return [Send(entry, entry.take())]

    def invalidate(self, entry: Neighbour[PacketT], state: Nud, now: Instant) -> list[Action[PacketT]]:
        """Give `entry` a state without an address, because an administrator says so."""
        failing = state is Nud.FAILED and entry.state in {Nud.INCOMPLETE, Nud.PROBE}
        entry.deadline = None
        entry.enter(state, entry.mac)
        return self._fail(entry, now) if failing else []

    # --- time ---

    @property
    def next_deadline(self) -> Instant | None:
        """When the next timer runs out, None if none runs."""
        timers = self._timers
        while timers and timers[0][2].deadline != timers[0][0]:
            heappop(timers)
        return timers[0][0] if timers else None

    def timeout(self, now: Instant) -> list[Action[PacketT]]:
        """Return what follows from the timers that are due at `now`."""
        actions: list[Action[PacketT]] = []
        timers = self._timers
        while timers and timers[0][0] <= now:
            deadline, _, entry = heappop(timers)
            if entry.deadline == deadline:
                entry.deadline = None
                actions += self._expire(entry, now)
        return actions

    def reachable_time(self, device: str, now: Instant) -> Duration:
        """Return how long a confirmation holds: 0.5 to 1.5 times `base_reachable_time_ms`.

        Drawn for each device, and again after five minutes or when the base changed.

        Source: `neigh_rand_reach_time`, `neigh_periodic_work`.
        """
        base = self._parameters(device)["base_reachable_time_ms"] * MILLISECOND
        known = self._reachable_times.get(device)
        if known is None or known.base != base or now - known.drawn > REDRAW_AFTER:
            value = self._draw(base) + base // 2 if base else 0
            known = self._reachable_times[device] = _ReachableTime(value, base, now)
        return known.value

    def long_ago(self, device: str, now: Instant) -> Instant:
        """Return an instant at which a confirmation would be of no use any more."""
        return Instant(now - 2 * self._parameters(device)["base_reachable_time_ms"] * MILLISECOND)

    def _expire(self, entry: Neighbour[PacketT], now: Instant) -> list[Action[PacketT]]:
        """Do what the timer of `entry` was set for. Source: `neigh_timer_handler`."""
        match entry.state:
            case Nud.REACHABLE:
                self._doubt(entry, now)
                return []
            case Nud.DELAY if now <= entry.confirmed + self._delay(entry.device):
                self._move(entry, Cause.PROGRESS, now)
                self._arm_until(entry, self._confirmed_until(entry, now), now)
                return []
            case Nud.DELAY:
                self._move(entry, Cause.NO_PROGRESS, now)
                entry.probes = 0
        if entry.probes >= self._most_probes(entry):
            self._move(entry, Cause.UNANSWERED, now)
            return self._fail(entry, now)
        self._arm(entry, later(now, self._retransmission(entry.device)))
        return self._ask(entry)

    def _doubt(self, entry: Neighbour[PacketT], now: Instant) -> None:
        """Let a REACHABLE entry be, or take it for less sure."""
        confirmed_until, delay = self._confirmed_until(entry, now), self._delay(entry.device)
        if now < confirmed_until:
            self._arm_until(entry, confirmed_until, now)
        elif now < entry.used + delay:
            self._move(entry, Cause.EXPIRED_IN_USE, now)
            self._arm_until(entry, later(now, delay), now)
        else:
            self._move(entry, Cause.EXPIRED, now)

    def _confirmed_until(self, entry: Neighbour[PacketT], now: Instant) -> Instant:
        return later(entry.confirmed, self.reachable_time(entry.device, now))

    def _fail(self, entry: Neighbour[PacketT], now: Instant) -> list[Action[PacketT]]:
        entry.updated = now
        return [Unreachable(entry, entry.take())] if entry.waiting else []

    def _move(self, entry: Neighbour[PacketT], cause: Cause, now: Instant) -> None:
        entry.enter(after(entry.state, cause), entry.mac)
        entry.updated = now

    def _start(self, entry: Neighbour[PacketT], deadline: Instant) -> None:
        """Start the timer of `entry`. Source: `neigh_add_timer`."""
        entry.used = max(entry.used, entry.confirmed)
        self._arm(entry, deadline)

    def _arm_until(self, entry: Neighbour[PacketT], deadline: Instant, now: Instant) -> None:
        self._arm(entry, max(deadline, later(now, LEAST_WAIT)))

    def _arm(self, entry: Neighbour[PacketT], deadline: Instant) -> None:
        self._timers_set += 1
        entry.deadline = deadline
        heappush(self._timers, (deadline, self._timers_set, entry))

    # --- parameters ---

    def _most_probes(self, entry: Neighbour[PacketT]) -> int:
        parameters = self._parameters(entry.device)
        to_all = "mcast_resolicit" if entry.state is Nud.PROBE else "mcast_solicit"
        return parameters["ucast_solicit"] + parameters["app_solicit"] + parameters[to_all]

    def _delay(self, device: str) -> Duration:
        return self._parameters(device)["delay_first_probe_time"] * SECOND

    def _retransmission(self, device: str) -> Duration:
        return max(self._parameters(device)["retrans_time_ms"] * MILLISECOND, LEAST_WAIT)
