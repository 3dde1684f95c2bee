# SPDX-License-Identifier: GPL-2.0-only
"""The forwarding database of a bridge: behind which port a MAC address is.

Source: net/bridge/br_fdb.c; IEEE 802.1Q §8.7 (learning), §8.8 (filtering
database). Linux removes entries that are too old by a timer set for the oldest
one, so nobody ever meets one; here an entry past its age is not there.
"""

from __future__ import annotations

import enum
import errno
import os
from typing import TYPE_CHECKING, Final

import attrs

from emu.sim.time import SECOND, START, Duration, Instant
from emu.wire.addresses import MacAddress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kernel.link.bridge import Port

DEFAULT_AGEING: Final[Duration] = 300 * SECOND


def os_error(number: int) -> OSError:
    """Return the error that a system call fails with, in the words of the C library."""
    return OSError(number, os.strerror(number))


class FdbState(enum.Enum):
    """How long an entry lives, in the words of `bridge fdb`."""

    PERMANENT = "permanent"  # of this host itself: frames for it go up
    STATIC = "static"  # entered by hand: does not age
    DYNAMIC = "dynamic"  # learned, or entered to age like a learned one


_PERMANENT: Final = FdbState.PERMANENT  # looked up for every frame
_DYNAMIC: Final = FdbState.DYNAMIC


class FdbWrite(enum.Enum):
    """The commands of `bridge fdb` that enter something."""

    ADD = "add"
    APPEND = "append"
    REPLACE = "replace"


@attrs.define(eq=False)
class FdbEntry:
    """A known address.

    Attributes:
        mac: the address.
        port: the port behind which it is, None for the bridge itself.
        state: how long it lives.
        updated: when a frame from it was last seen.
        by_user: entered by `bridge fdb`, not found out.
    """

    mac: MacAddress
    port: Port | None
    state: FdbState
    updated: Instant = START
    by_user: bool = False

    @property
    def is_local(self) -> bool:
        """Whether frames for it go up to this host."""
        return self.state is FdbState.PERMANENT


class Learned(enum.Enum):
    """What a frame taught the bridge about its source."""

    KNOWN = "known already"
    NEW = "learned"
    MOVED = "moved"
    OURS = "the source is an address of this bridge"


_KNOWN: Final = Learned.KNOWN


@attrs.define
class Fdb:
    """The table, by address. `ageing_time` 0 learns nothing, so that all is flooded."""

    ageing_time: Duration = DEFAULT_AGEING
    _entries: dict[bytes, FdbEntry] = attrs.field(factory=dict, init=False)

    def lookup(self, mac: bytes, now: Instant) -> FdbEntry | None:
        """Return the entry of `mac`, None if there is none or its time is over."""
        entry = self._entries.get(mac)
        if entry is not None and entry.state is _DYNAMIC and now - entry.updated >= self.ageing_time:
            del self._entries[mac]
            return None
        return entry

    def learn(self, mac: bytes, port: Port, now: Instant) -> Learned:
        """Note that a frame from `mac` came in by `port`. Source: `br_fdb_update`.

        An entry made by hand moves like a learned one; only the addresses of
        this host stay where they are.
        """
        entry = self._entries.get(mac)
        if entry is None:
            if self.ageing_time:
                self._entries[mac] = FdbEntry(MacAddress(mac), port, FdbState.DYNAMIC, now)
            return Learned.NEW
        if entry.state is _PERMANENT:
            return Learned.OURS
        entry.updated = now
        if entry.port is port:
            return _KNOWN
        entry.port = port
        return Learned.MOVED

    def entries(self, now: Instant) -> list[FdbEntry]:
        """Return all entries that live, those of longest standing first."""
        for mac in tuple(self._entries):
            self.lookup(mac, now)
        return list(self._entries.values())

    # --- addresses of this host ---

    def add_local(self, mac: bytes, port: Port | None) -> None:
        """Enter the address of `port`, or of the bridge, unless it is one of this host already.

        Source: `fdb_add_local`.
        """
        entry = self._entries.get(mac)
        if entry is None or not entry.is_local:
            self._entries.pop(mac, None)
            self._entries[mac] = FdbEntry(MacAddress(mac), port, FdbState.PERMANENT)

    def remove_local(
        self, mac: bytes, port: Port | None, owners: Iterable[tuple[bytes, Port | None]]
    ) -> None:
        """Forget that `mac` is the address of `port` (None: of the bridge).

        Args:
            mac: the address that goes.
            port: whose it was.
            owners: address and port of all that are there; another one with
                the same address takes the entry over.

        Source: `fdb_delete_local`.
        """
        entry = self._entries.get(mac)
        if entry is not None and entry.is_local and entry.port is port and not entry.by_user:
            self._hand_over(entry, owners)

    def _hand_over(self, entry: FdbEntry, owners: Iterable[tuple[bytes, Port | None]]) -> None:
        for address, owner in owners:
            if address == entry.mac and owner is not entry.port:
                entry.port, entry.by_user = owner, False
                return
        del self._entries[entry.mac]

    # --- commands ---

    def write(
        self, mac: MacAddress, port: Port | None, state: FdbState, now: Instant, command: FdbWrite
    ) -> None:
        """Enter `mac` by hand, as `bridge fdb add|append|replace MAC dev PORT master`.

        Args:
            mac: any but zero.
            port: None for the bridge device itself.
            state: `PERMANENT` makes it an address of this host.
            now: virtual time.
            command: `ADD` refuses an address that is there already.

        Raises:
            OSError: EEXIST as said; EINVAL for the zero address, or
                for an entry of the bridge itself that is not permanent.

        Source: `fdb_add_entry`, net/core/rtnetlink.c `rtnl_fdb_add`.
        """
        if not any(mac) or (port is None and state is not FdbState.PERMANENT):
            raise os_error(errno.EINVAL)
        entry = self.lookup(mac, now)
        if entry is None:
            self._entries[mac] = FdbEntry(mac, port, state, now, by_user=True)
            return
        if command is FdbWrite.ADD:
            raise os_error(errno.EEXIST)
        if entry.port is not port or entry.state is not state:
            entry.updated = now
        entry.port, entry.state, entry.by_user = port, state, True

    def delete(self, mac: bytes, port: Port | None, now: Instant) -> None:
        """Remove an entry, as `bridge fdb del MAC dev PORT master`.

        Raises:
            OSError: ENOENT: no such address behind that port.
        """
        entry = self.lookup(mac, now)
        if entry is None or entry.port is not port:
            raise os_error(errno.ENOENT)
        del self._entries[mac]

    # --- ports that change ---

    def flush(self, port: Port) -> None:
        """Forget what was learned behind `port`, as when it goes down."""
        for entry in self._behind(port):
            if entry.state is FdbState.DYNAMIC:
                del self._entries[entry.mac]

    def forget(self, port: Port, owners: Iterable[tuple[bytes, Port | None]]) -> None:
        """Forget all entries of `port`, which leaves the bridge; `owners` as for `remove_local`."""
        remaining = tuple(owners)
        for entry in self._behind(port):
            self._hand_over(entry, remaining if entry.is_local else ())

    def _behind(self, port: Port) -> list[FdbEntry]:
        return [entry for entry in self._entries.values() if entry.port is port]
