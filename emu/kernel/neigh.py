# SPDX-License-Identifier: GPL-2.0-only
"""The neighbour table: which MAC address answers for an IP address on a device.

What an entry goes through stands in `emu.kernel.nud`. The table sends nothing:
each call returns the actions that follow, in order, and `emu.kernel.arp` carries
them out. It never looks into a packet, so those that wait in it may be of any type.

Two differences from Linux. Its timers run on a wheel and are late by up to a
sixteenth (what is to happen after 1 s happens after 1.00 to 1.06 s); ours are
exact. And all namespaces of a Linux machine share the one table that
`gc_thresh1..3` measure, which here each namespace has for itself.

Source: net/core/neighbour.c, Linux 6.18.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeAlias, TypeVar

from emu.kernel.drops import DropReason
from emu.kernel.nud import CONNECTED, FIXED, TIMED, VALID, Cause, Nud, after
from emu.kernel.proxy_queue import USER_TICK, ProxyQueue, Redo
from emu.sim.time import MILLISECOND, SECOND, Duration, Instant, later
from emu.wire.addresses import ZERO_MAC, IpAddress, MacAddress

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from emu.wire.frame import Frame

PacketT = TypeVar("PacketT")

LEAST_WAIT: Final[Duration] = 10 * MILLISECOND
REDRAW_AFTER: Final[Duration] = 300 * SECOND
SPARED: Final[Duration] = 5 * SECOND
"""A forced collection runs no more often, and spares what changed within that time."""


class Neighbour(Generic[PacketT]):
    """An entry of the table, and changed by it alone.

    A plain class with slots, because every packet that leaves reads one.

    Attributes:
        device: name of the device.
        ip: the neighbour's address there.
        mac: its MAC address; means nothing while it is not valid.
        state: see `Nud`.
        header: what to put in front of a packet; empty while the table has to
            be asked first. Source: `struct hh_cache`.
        probes: requests sent since probing began; INCOMPLETE begins at `ucast_solicit`.
        confirmed: when it was last known to be reachable.
        updated: when state or MAC address last changed.
        used: when a packet last asked for it; those sent by `header` do not.
        deadline: when its timer runs out, None if none runs.
        waiting: packets that wait for an answer, with the octets each is charged.
    """

    __slots__ = (
        "_header",
        "confirmed",
        "deadline",
        "device",
        "header",
        "ip",
        "mac",
        "probes",
        "state",
        "updated",
        "used",
        "waiting",
    )

    def __init__(self, device: str, ip: IpAddress, state: Nud, mac: MacAddress, now: Instant) -> None:
        self.device = device
        self.ip = ip
        self.mac = mac
        self.state = state
        self.header = b""
        self._header = b""
        self.probes = 0
        self.confirmed = now
        self.updated = now
        self.used = now
        self.deadline: Instant | None = None
        self.waiting: deque[tuple[PacketT, int]] = deque()

    @property
    def is_valid(self) -> bool:
        """Whether packets may be sent to its `mac`."""
        return self.state in VALID

    def remember(self, header: bytes) -> None:
        """Put `header`, which begins with `mac`, in front of packets while the entry is connected."""
        self._header = header
        self.header = header if self.state in CONNECTED else b""

    def enter(self, state: Nud, mac: MacAddress) -> None:
        """Take on `state` and `mac`; a remembered header follows."""
        if mac != self.mac:
            self.mac = mac
            self._header = mac + self._header[6:] if self._header else b""
        self.state = state
        self.header = self._header if state in CONNECTED else b""

    def __repr__(self) -> str:
        return f"Neighbour({self.ip} dev {self.device} lladdr {self.mac} {self.state.name})"


class Send(NamedTuple, Generic[PacketT]):
    """Send `packets`, in this order, to the MAC address of `neighbour`."""

    neighbour: Neighbour[PacketT]
    packets: tuple[PacketT, ...]


class Solicit(NamedTuple, Generic[PacketT]):
    """Ask for the address of `neighbour`.

    `unicast_to` is the station to ask, None to ask all; `packet` the last one
    that waits (its source may become the asker's address), None if none does.
    """

    neighbour: Neighbour[PacketT]
    unicast_to: MacAddress | None
    packet: PacketT | None


class Unreachable(NamedTuple, Generic[PacketT]):
    """Tell the senders of `packets`, in this order, that `neighbour` does not answer.

    Only while its state is FAILED, that is: telling may need this very neighbour.
    """

    neighbour: Neighbour[PacketT]
    packets: tuple[PacketT, ...]


class Discard(NamedTuple, Generic[PacketT]):
    """Drop `packets`, which were to leave by (or, for requests, came in on) `device`, and tell nobody."""

    device: str
    packets: tuple[PacketT | Frame, ...]
    reason: DropReason


Action: TypeAlias = Send[PacketT] | Solicit[PacketT] | Unreachable[PacketT] | Discard[PacketT] | Redo


class NeighbourTable(Generic[PacketT]):
    """The neighbours of one namespace, by device name and IP address.

    Args:
        parameters: gives the values of `net.ipv4.neigh.NAME.*` for a device's name, as the files
            show them; asked for `default`, also `gc_thresh1..3`.
        random: draws reachable times and the delays of proxied replies.

    Attributes:
        proxies: addresses that are answered for, with the device where they are
            asked for (`ip neigh add proxy`).
        proxy_queue: requests for such addresses, to be answered a little later.
    """

    def __init__(self, parameters: Callable[[str], Mapping[str, int]], random: random.Random) -> None:
        self._parameters = parameters
        self._random = random
        self._entries: dict[tuple[str, bytes], Neighbour[PacketT]] = {}
        self._timers: list[tuple[Instant, int, Neighbour[PacketT]]] = []
        self._timers_set = 0
        self._reachable_times: dict[str, _ReachableTime] = {}
        self._collect_at: Instant | None = None
        self._forced_at: Instant | None = None
        self.proxies: set[tuple[str, bytes]] = set()
        self.proxy_queue = ProxyQueue(random)

    def __iter__(self) -> Iterator[Neighbour[PacketT]]:
        """Give all entries, the oldest first."""
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, device: str, ip: bytes) -> Neighbour[PacketT] | None:
        """Return the entry of `ip` on `device`, None if there is none."""
        return self._entries.get((device, ip))

    # --- traffic ---

    def create(
        self, device: str, ip: IpAddress, now: Instant, state: Nud = Nud.NONE, mac: MacAddress = ZERO_MAC
    ) -> Neighbour[PacketT] | None:
        """Make an entry that is not there yet.

        Args:
            device: name of the device.
            ip: the neighbour's address.
            now: the instant.
            state: NONE for an address to be resolved, NOARP for one that needs no resolution.
            mac: what it stands for then.

        Returns:
            The entry, None if the table is full (`gc_thresh3`).

        Source: `___neigh_create`.
        """
        if state is not Nud.PERMANENT and not self._make_room(now):
            return None
        entry: Neighbour[PacketT] = Neighbour(device, ip, state, mac, now)
        entry.confirmed = Instant(now - 2 * self._base_reachable_time(device))
        self._entries[device, ip] = entry
        self._plan_collection(now)
        return entry

    def send(
        self, entry: Neighbour[PacketT], packet: PacketT, size: int, now: Instant
    ) -> list[Action[PacketT]]:
        """Return what is to be done to get `packet` to the neighbour.

        Args:
            entry: the next hop, of this table.
            packet: what to send.
            size: octets that it is charged if it has to wait.
            now: the instant.

        Source: `neigh_resolve_output`, `__neigh_event_send`.
        """
        entry.used = now
        if entry.state in VALID:
            self._use(entry, now)
            return [Send(entry, (packet,))]
        parameters = self._parameters(entry.device)
        if entry.state is Nud.INCOMPLETE:
            return self._enqueue(entry, packet, size, parameters["unres_qlen_bytes"])
        if parameters["mcast_solicit"] + parameters["app_solicit"] == 0:
            self._move(entry, Cause.UNASKABLE, now)
            return [Discard(entry.device, (packet,), DropReason.NEIGH_FAILED)]
        entry.probes = parameters["ucast_solicit"]
        self._move(entry, Cause.PACKET, now)
        self._start(entry, later(now, self._retransmission(entry.device)))
        queued = self._enqueue(entry, packet, size, parameters["unres_qlen_bytes"])
        return queued + self._ask(entry)

    def learn(
        self,
        device: str,
        ip: IpAddress,
        mac: MacAddress,
        now: Instant,
        *,
        answered: bool = False,
        override: bool = True,
        create: bool = False,
    ) -> list[Action[PacketT]]:
        """Take note that `ip` was said to be at `mac`.

        Args:
            device: name of the device.
            ip: the neighbour's address.
            mac: what it is said to be.
            now: the instant.
            answered: the neighbour told us and only us; else it was just heard of.
            override: an address that is known gives way to another one.
            create: make an entry if there is none.

        Source: `neigh_update`, `neigh_event_ns`.
        """
        entry = self._entries.get((device, ip))
        if entry is None and create:
            entry = self.create(device, ip, now)
        if entry is None or entry.state in FIXED:
            return []
        if answered:
            entry.confirmed = now
        new = not entry.is_valid or mac != entry.mac
        if new and entry.is_valid and not override:
            return []
        if not new and not answered:
            return []
        cause = Cause.ANSWERED if answered else Cause.HEARD
        return self._settle(entry, after(entry.state, cause), mac, now)

    def is_locked(self, entry: Neighbour[PacketT], now: Instant) -> bool:
        """Return whether `entry` changed within the last `locktime`.

        Of several answers to one request, the first one holds.

        Source: net/ipv4/arp.c `arp_process`.
        """
        return now <= entry.updated + self._parameters(entry.device)["locktime"] * USER_TICK

    def confirm(self, device: str, ip: bytes, now: Instant) -> None:
        """Take note that the neighbour was reached, as TCP knows by an acknowledgement.

        Source: include/net/sock.h `sock_confirm_neigh`.
        """
        entry = self._entries.get((device, ip))
        if entry is not None:
            entry.confirmed = now

    # --- administration ---

    def add(
        self, device: str, ip: IpAddress, mac: MacAddress | None, state: Nud, now: Instant
    ) -> list[Action[PacketT]]:
        """Make an entry, as `ip neigh add` does.

        Raises:
            OSError: EEXIST, there is one; else as `replace`.
        """
        if (device, ip) in self._entries:
            raise _error(errno.EEXIST)
        return self.replace(device, ip, mac, state, now)

    def change(
        self, device: str, ip: IpAddress, mac: MacAddress | None, state: Nud, now: Instant
    ) -> list[Action[PacketT]]:
        """Change an entry, as `ip neigh change` does.

        Raises:
            OSError: ENOENT, there is none; else as `replace`.
        """
        if (device, ip) not in self._entries:
            raise _error(errno.ENOENT)
        return self.replace(device, ip, mac, state, now)

    def replace(
        self, device: str, ip: IpAddress, mac: MacAddress | None, state: Nud, now: Instant
    ) -> list[Action[PacketT]]:
        """Make or change an entry, as `ip neigh replace` does; without `mac` the known one stays.

        An entry that is set to INCOMPLETE has no timer, in Linux too: what is
        sent to it waits until somebody happens to answer.

        Raises:
            OSError: EINVAL, `state` needs a MAC address; ENOBUFS, the table is full.

        Source: `neigh_add`, `__neigh_update`.
        """
        entry = self._entries.get((device, ip)) or self.create(device, ip, now)
        if entry is None:
            raise _error(errno.ENOBUFS)
        if state not in VALID:
            return self._invalidate(entry, state, now)
        if mac is None:
            if not entry.is_valid:
                raise _error(errno.EINVAL)
            mac = entry.mac
        if state in CONNECTED:
            entry.confirmed = now
        return self._settle(entry, state, mac, now)

    def delete(self, device: str, ip: IpAddress, now: Instant) -> list[Action[PacketT]]:
        """Remove an entry, as `ip neigh del` does; the senders of what waits are told that it failed.

        Raises:
            OSError: ENOENT, there is none.

        Source: `neigh_delete`.
        """
        entry = self._entries.get((device, ip))
        if entry is None:
            raise _error(errno.ENOENT)
        return self._invalidate(entry, Nud.FAILED, now) + self._remove([entry])

    def flush(self, device: str, now: Instant) -> list[Action[PacketT]]:
        """Delete the entries of `device` that were learned, as `ip neigh flush dev` does."""
        learned = [entry.ip for entry in self if entry.device == device and entry.state not in FIXED]
        return [action for ip in learned for action in self.delete(device, ip, now)]

    def forget_device(self, device: str, *, keep_permanent: bool) -> list[Action[PacketT]]:
        """Remove the entries of `device`, and all that waits; nobody is told.

        The requests that wait to be answered by proxy are lost for all devices.

        Args:
            device: its name.
            keep_permanent: spare PERMANENT entries and proxies, as the loss of the carrier does.

        Source: `__neigh_ifdown`.
        """
        doomed = [
            entry
            for entry in self
            if entry.device == device and not (keep_permanent and entry.state is Nud.PERMANENT)
        ]
        if not keep_permanent:
            self.proxies = {key for key in self.proxies if key[0] != device}
        lost = self.proxy_queue.purge()
        return self._remove(doomed) + [
            Discard(redo.device, (redo.frame,), DropReason.QUEUE_PURGE) for redo in lost
        ]

    # --- time ---

    @property
    def next_deadline(self) -> Instant | None:
        """When `timeout` is to be called next, None if nothing runs."""
        timers = self._timers
        while timers and timers[0][2].deadline != timers[0][0]:
            heappop(timers)
        deadline = timers[0][0] if timers else None
        for other in (self._collect_at, self.proxy_queue.next_deadline):
            if other is not None and (deadline is None or other < deadline):
                deadline = other
        return deadline

    def timeout(self, now: Instant) -> list[Action[PacketT]]:
        """Return what follows from the timers that are due at `now`."""
        actions: list[Action[PacketT]] = []
        timers = self._timers
        while timers and timers[0][0] <= now:
            deadline, _, entry = heappop(timers)
            if entry.deadline == deadline:
                entry.deadline = None
                actions += self._expire(entry, now)
        actions += self.proxy_queue.due(now)
        if self._collect_at is not None and self._collect_at <= now:
            self._collect(now)
        return actions

    def reachable_time(self, device: str, now: Instant) -> Duration:
        """Return how long a confirmation holds: 0.5 to 1.5 times `base_reachable_time_ms`.

        Drawn for each device, again after five minutes or when the base changed.

        Source: `neigh_rand_reach_time`, `neigh_periodic_work`.
        """
        base = self._base_reachable_time(device)
        known = self._reachable_times.get(device)
        if known is None or known.base != base or now - known.drawn > REDRAW_AFTER:
            value = self._random.randrange(base) + base // 2 if base else 0
            known = self._reachable_times[device] = _ReachableTime(value, base, now)
        return known.value

    # --- one entry ---

    def _move(self, entry: Neighbour[PacketT], cause: Cause, now: Instant) -> None:
        entry.enter(after(entry.state, cause), entry.mac)
        entry.updated = now

    def _use(self, entry: Neighbour[PacketT], now: Instant) -> None:
        """Note that a packet is sent to a valid entry."""
        entry.used = now
        if entry.state is Nud.STALE:
            self._move(entry, Cause.PACKET, now)
            self._start(entry, later(now, self._delay(entry.device)))

    def _settle(
        self, entry: Neighbour[PacketT], state: Nud, mac: MacAddress, now: Instant
    ) -> list[Action[PacketT]]:
        """Give `entry` a valid state and an address; what waits may go then."""
        was_valid, changed = entry.is_valid, entry.state is not state
        moved = not was_valid or mac != entry.mac
        if changed or moved:
            entry.updated = now
        if moved and state not in CONNECTED:
            entry.confirmed = Instant(now - 2 * self._base_reachable_time(entry.device))
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
        return [Send(entry, _take(entry))]

    def _invalidate(self, entry: Neighbour[PacketT], state: Nud, now: Instant) -> list[Action[PacketT]]:
        """Give `entry` a state without an address, because the administrator says so."""
        failing = state is Nud.FAILED and entry.state in {Nud.INCOMPLETE, Nud.PROBE}
        entry.deadline = None
        entry.enter(state, entry.mac)
        return self._fail(entry, now) if failing else []

    def _fail(self, entry: Neighbour[PacketT], now: Instant) -> list[Action[PacketT]]:
        entry.updated = now
        return [Unreachable(entry, _take(entry))] if entry.waiting else []

    def _remove(self, entries: Iterable[Neighbour[PacketT]]) -> list[Action[PacketT]]:
        actions: list[Action[PacketT]] = []
        for entry in entries:
            entry.deadline = None
            del self._entries[entry.device, entry.ip]
            if entry.waiting:
                packets: tuple[PacketT, ...] = _take(entry)
                actions.append(Discard(entry.device, packets, DropReason.QUEUE_PURGE))
        return actions

    def _expire(self, entry: Neighbour[PacketT], now: Instant) -> list[Action[PacketT]]:
        """Do what the timer of `entry` was set for. Source: `neigh_timer_handler`."""
        device, delay = entry.device, self._delay(entry.device)
        if entry.state is Nud.REACHABLE or (entry.state is Nud.DELAY and now < entry.confirmed + delay):
            until = later(entry.confirmed, self.reachable_time(device, now))
            if entry.state is Nud.DELAY:
                self._move(entry, Cause.PROGRESS, now)
                return self._arm(entry, max(until, later(now, LEAST_WAIT)))
            if now < until:
                return self._arm(entry, max(until, later(now, LEAST_WAIT)))
            if now < entry.used + delay:
                self._move(entry, Cause.EXPIRED_IN_USE, now)
                return self._arm(entry, later(now, max(delay, LEAST_WAIT)))
            self._move(entry, Cause.EXPIRED, now)
            return []
        if entry.state is Nud.DELAY:
            self._move(entry, Cause.NO_PROGRESS, now)
            entry.probes = 0
        if entry.probes >= self._most_probes(entry):
            self._move(entry, Cause.UNANSWERED, now)
            return self._fail(entry, now)
        self._arm(entry, later(now, self._retransmission(device)))
        return self._ask(entry)

    def _ask(self, entry: Neighbour[PacketT]) -> list[Action[PacketT]]:
        """Send a request: the first ones by unicast, then some to a daemon nobody runs, then to all.

        Source: `neigh_probe`, net/ipv4/arp.c `arp_solicit`.
        """
        parameters = self._parameters(entry.device)
        asked = entry.probes - parameters["ucast_solicit"]
        entry.probes += 1
        packet = entry.waiting[-1][0] if entry.waiting else None
        if asked < 0:
            return [Solicit(entry, entry.mac, packet)]
        return [] if asked < parameters["app_solicit"] else [Solicit(entry, None, packet)]

    def _most_probes(self, entry: Neighbour[PacketT]) -> int:
        parameters = self._parameters(entry.device)
        to_all = "mcast_resolicit" if entry.state is Nud.PROBE else "mcast_solicit"
        return parameters["ucast_solicit"] + parameters["app_solicit"] + parameters[to_all]

    def _start(self, entry: Neighbour[PacketT], deadline: Instant) -> None:
        """Start the timer of `entry`. Source: `neigh_add_timer`."""
        entry.used = max(entry.used, entry.confirmed)
        self._arm(entry, deadline)

    def _arm(self, entry: Neighbour[PacketT], deadline: Instant) -> list[Action[PacketT]]:
        """Set the timer of `entry`; nothing follows yet."""
        self._timers_set += 1
        entry.deadline = deadline
        heappush(self._timers, (deadline, self._timers_set, entry))
        return []

    @staticmethod
    def _enqueue(entry: Neighbour[PacketT], packet: PacketT, size: int, limit: int) -> list[Action[PacketT]]:
        """Let `packet` wait; those that wait longest make room for it."""
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

    # --- garbage collection ---

    def _plan_collection(self, now: Instant) -> None:
        limits = self._parameters("default")
        if len(self._entries) < limits["gc_thresh1"]:
            self._collect_at = None
        elif self._collect_at is None:
            self._collect_at = later(now, limits["base_reachable_time_ms"] * MILLISECOND // 2)

    def _collect(self, now: Instant) -> None:
        """Remove what failed or was not used for `gc_stale_time`. Source: `neigh_periodic_work`."""
        doomed: list[Neighbour[PacketT]] = []
        for entry in self:
            if entry.state in TIMED or entry.state is Nud.PERMANENT:
                continue
            entry.used = max(entry.used, entry.confirmed)
            stale_time = self._parameters(entry.device)["gc_stale_time"] * SECOND
            if entry.state is Nud.FAILED or now >= entry.used + stale_time:
                doomed.append(entry)
        self._remove(doomed)
        self._collect_at = None
        if any(entry.state is not Nud.PERMANENT for entry in self):
            self._plan_collection(now)

    def _make_room(self, now: Instant) -> bool:
        """Return whether one more entry fits, if need be after a forced collection.

        Source: `neigh_alloc`, `neigh_forced_gc`.
        """
        limits = self._parameters("default")
        if len(self._entries) < limits["gc_thresh2"]:
            return True
        counted = [entry for entry in self if entry.state is not Nud.PERMANENT]
        surplus, full = len(counted) - limits["gc_thresh2"], len(counted) >= limits["gc_thresh3"]
        rested = self._forced_at is None or now > self._forced_at + SPARED
        if not full and (surplus < 0 or not rested):
            return True
        doomed = [
            entry
            for entry in counted
            if entry.state in {Nud.FAILED, Nud.NOARP}
            or (entry.state not in TIMED and now > entry.updated + SPARED)
        ][: max(surplus, 1)]
        self._forced_at = now
        self._remove(doomed)
        return bool(doomed) or not full

    # --- parameters ---

    def _base_reachable_time(self, device: str) -> Duration:
        return self._parameters(device)["base_reachable_time_ms"] * MILLISECOND

    def _delay(self, device: str) -> Duration:
        return self._parameters(device)["delay_first_probe_time"] * SECOND

    def _retransmission(self, device: str) -> Duration:
        return max(self._parameters(device)["retrans_time_ms"] * MILLISECOND, LEAST_WAIT)


class _ReachableTime(NamedTuple):
    """What was drawn for a device, from which base, and when."""

    value: Duration
    base: Duration
    drawn: Instant


def _take(entry: Neighbour[PacketT]) -> tuple[PacketT, ...]:
    """Empty the queue of `entry` and return it, the oldest packet first."""
    packets = tuple(packet for packet, _ in entry.waiting)
    entry.waiting.clear()
    return packets


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
