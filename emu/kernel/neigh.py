# SPDX-License-Identifier: GPL-2.0-only
"""The neighbour table: which MAC address answers for an IP address on a device.

The table sends nothing: each call returns the actions that follow, in order, and
`emu.kernel.arp` carries them out. It never looks into a packet, so those that
wait in it may be of any type.

All namespaces of a Linux machine share one table, and its limits; here each
namespace has its own, of the same size.

Source: net/core/neighbour.c, Linux 6.18.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final, Generic, NamedTuple

from emu.kernel.drops import DropReason
from emu.kernel.neighbour import Discard, Neighbour, PacketT
from emu.kernel.nud import CONNECTED, FIXED, TIMED, VALID, Nud
from emu.kernel.proxy_queue import ProxyQueue
from emu.kernel.resolution import Resolution
from emu.sim.time import MILLISECOND, SECOND, Duration, Instant, later
from emu.wire.addresses import ZERO_MAC, IpAddress, MacAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from emu.kernel.neighbour import Action

SPARED: Final[Duration] = 5 * SECOND
"""A forced collection runs no more often, and spares what changed within that time."""


class Thresholds(NamedTuple):
    """How many entries there may be (`net.ipv4.neigh.default.gc_thresh1..3`).

    Below `keep` nothing is ever collected; from `force` on a new entry makes
    old ones go; there are never more than `most`. PERMANENT ones do not count
    for the last two.
    """

    keep: int = 128
    force: int = 512
    most: int = 1024


class NeighbourTable(Generic[PacketT]):
    """The neighbours of one namespace, by device name and IP address.

    Args:
        parameters: gives the values of `net.ipv4.neigh.NAME.*` for a device's name or
            `default`, as the files show them.
        draw: gives a random number below another: for reachable times and the delays of proxied replies.

    Attributes:
        thresholds: how large the table may become.
        proxies: addresses that are answered for, each with the device where it is
            asked for (`ip neigh add proxy`).
        proxy_queue: requests for such addresses, to be answered a little later.
    """

    def __init__(self, parameters: Callable[[str], Mapping[str, int]], draw: Callable[[int], int]) -> None:
        self._parameters = parameters
        self._resolution: Resolution[PacketT] = Resolution(parameters, draw)
        self._entries: dict[tuple[str, bytes], Neighbour[PacketT]] = {}
        self._collect_at: Instant | None = None
        self._forced_at: Instant | None = None
        self.thresholds = Thresholds()
        self.proxies: set[tuple[str, bytes]] = set()
        self.proxy_queue = ProxyQueue(draw)

    def __iter__(self) -> Iterator[Neighbour[PacketT]]:
        """Give all entries, the oldest first."""
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, device: str, ip: bytes) -> Neighbour[PacketT] | None:
        """Return the entry of `ip` on `device`, None if there is none."""
        return self._entries.get((device, ip))

    def is_valid(self, device: str, ip: bytes) -> bool:
        """Return whether the MAC address of `ip` on `device` is known."""
        entry = self._entries.get((device, ip))
        return entry is not None and entry.is_valid

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
            The entry, None if the table is full.

        Source: `___neigh_create`.
        """
        if state is not Nud.PERMANENT and not self._make_room(now):
            return None
        entry: Neighbour[PacketT] = Neighbour(device, ip, state, mac, now)
        entry.confirmed = self._resolution.long_ago(device, now)
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
        """
        return self._resolution.send(entry, packet, size, now)

    def probe(self, entry: Neighbour[PacketT], now: Instant) -> list[Action[PacketT]]:
        """Find out the address of `entry`, though there is no packet for it."""
        return self._resolution.probe(entry, now)

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
        if entry is None:
            return []
        return self._resolution.learn(entry, mac, now, answered=answered, override=override)

    def is_locked(self, entry: Neighbour[PacketT], now: Instant) -> bool:
        """Return whether `entry` changed so lately that another answer does not count (`locktime`)."""
        return self._resolution.is_locked(entry, now)

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
        entry = self._entries.get((device, ip))
        if mac is None:
            if state in VALID and (entry is None or not entry.is_valid):
                raise _error(errno.EINVAL)
            mac = ZERO_MAC if entry is None else entry.mac
        if entry is None:
            entry = self.create(device, ip, now)
        if entry is None:
            raise _error(errno.ENOBUFS)
        if state not in VALID:
            return self._resolution.invalidate(entry, state, now)
        if state in CONNECTED:
            entry.confirmed = now
        return self._resolution.settle(entry, state, mac, now)

    def delete(self, device: str, ip: IpAddress, now: Instant) -> list[Action[PacketT]]:
        """Remove an entry, as `ip neigh del` does; the senders of what waits are told that it failed.

        Raises:
            OSError: ENOENT, there is none.

        Source: `neigh_delete`.
        """
        entry = self._entries.get((device, ip))
        if entry is None:
            raise _error(errno.ENOENT)
        return self._resolution.invalidate(entry, Nud.FAILED, now) + self._remove([entry])

    def flush(self, device: str, now: Instant) -> list[Action[PacketT]]:
        """Delete the entries of `device` that were learned, as `ip neigh flush dev` does."""
        learned = [entry.ip for entry in self if entry.device == device and entry.state not in FIXED]
        return [action for ip in learned for action in self.delete(device, ip, now)]

    def forget_device(self, device: str, *, keep_permanent: bool) -> list[Action[PacketT]]:
        """Remove the entries of `device`, and all that waits; nobody is told.

        The requests that wait to be answered by proxy are lost on all devices.

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

    def _remove(self, entries: Iterable[Neighbour[PacketT]]) -> list[Action[PacketT]]:
        actions: list[Action[PacketT]] = []
        for entry in entries:
            entry.deadline = None
            del self._entries[entry.device, entry.ip]
            if entry.waiting:
                packets: tuple[PacketT, ...] = entry.take()
                actions.append(Discard(entry.device, packets, DropReason.QUEUE_PURGE))
        return actions

    # --- time ---

    @property
    def next_deadline(self) -> Instant | None:
        """When `timeout` is to be called next, None if nothing runs."""
        deadline = self._resolution.next_deadline
        for other in (self._collect_at, self.proxy_queue.next_deadline):
            if other is not None and (deadline is None or other < deadline):
                deadline = other
        return deadline

    def timeout(self, now: Instant) -> list[Action[PacketT]]:
        """Return what follows from the timers that are due at `now`."""
        actions = self._resolution.timeout(now)
        actions += self.proxy_queue.due(now)
        if self._collect_at is not None and self._collect_at <= now:
            self._collect(now)
        return actions

    def _plan_collection(self, now: Instant) -> None:
        if len(self._entries) < self.thresholds.keep:
            self._collect_at = None
        elif self._collect_at is None:
            base = self._parameters("default")["base_reachable_time_ms"] * MILLISECOND
            self._collect_at = later(now, base // 2)

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
        if len(self._entries) < self.thresholds.force:
            return True
        counted = [entry for entry in self if entry.state is not Nud.PERMANENT]
        surplus, full = len(counted) - self.thresholds.force, len(counted) >= self.thresholds.most
        rested = self._forced_at is None or now > self._forced_at + SPARED
        if not full and (surplus < 0 or not rested):
            return True
        self._forced_at = now
        doomed = [entry for entry in counted if _is_dispensable(entry, now)][: max(surplus, 1)]
        self._remove(doomed)
        return bool(doomed) or not full


def _is_dispensable(entry: Neighbour[PacketT], now: Instant) -> bool:
    """Return whether a forced collection may remove `entry`."""
    if entry.state in {Nud.FAILED, Nud.NOARP}:
        return True
    return entry.state not in TIMED and now > entry.updated + SPARED


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
