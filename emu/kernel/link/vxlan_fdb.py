# SPDX-License-Identifier: GPL-2.0-only
"""The forwarding database of a VXLAN device: to which hosts frames for a MAC address are sent.

The entry of the zero address serves all frames whose destination has none,
broadcasts among them. Source: drivers/net/vxlan/vxlan_core.c.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, NamedTuple

import attrs

from emu.kernel.link.fdb import DEFAULT_AGEING, FdbState, FdbWrite, Learned, os_error
from emu.sim.time import START, Duration, Instant
from emu.wire.addresses import ZERO_MAC, IpAddress, MacAddress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.wire.vxlan import Vni


class Remote(NamedTuple):
    """Where copies of a frame go.

    Attributes:
        dst: outer destination address.
        port: outer destination port, 0 for the device's own.
        vni: the network, None for the device's own.
        device: name of the underlying device, empty for any.
    """

    dst: IpAddress
    port: int = 0
    vni: Vni | None = None
    device: str = ""


@attrs.define(eq=False)
class RemoteEntry:
    """A known address: one remote, or several if it is a group's or zero.

    `remotes` stand in the order in which they were entered; `updated` is when a
    frame from the address was last received.
    """

    mac: MacAddress
    remotes: list[Remote]
    state: FdbState
    updated: Instant = START

    def in_sending_order(self) -> Sequence[Remote]:
        """Return the remotes in the order in which Linux sends: the first one comes last."""
        remotes = self.remotes
        return remotes if len(remotes) == 1 else (*remotes[1:], remotes[0])


@attrs.define
class RemoteFdb:
    """The table, by inner destination address."""

    ageing_time: Duration = DEFAULT_AGEING
    _entries: dict[bytes, RemoteEntry] = attrs.field(factory=dict, init=False)

    def lookup(self, mac: bytes, now: Instant) -> RemoteEntry | None:
        """Return the entry of `mac` itself, None if there is none or its time is over."""
        entry = self._entries.get(mac)
        if (
            entry is not None
            and entry.state is FdbState.DYNAMIC
            and self.ageing_time
            and now - entry.updated >= self.ageing_time
        ):
            del self._entries[mac]
            return None
        return entry

    def remotes_for(self, mac: bytes, now: Instant) -> Sequence[Remote]:
        """Return where a frame for `mac` is sent, in order; nothing if nobody knows."""
        entry = self.lookup(mac, now) or self._entries.get(ZERO_MAC)
        return entry.in_sending_order() if entry is not None else ()

    def learn(self, mac: bytes, src: bytes, now: Instant) -> Learned | None:
        """Note that a frame from `mac` came from the host `src`.

        Returns:
            What it taught, or None if `mac` has an entry elsewhere that does
            not move: such a frame is refused.

        Source: `vxlan_snoop`.
        """
        entry = self.lookup(mac, now)
        if entry is None:
            remote = Remote(IpAddress(src))
            self._entries[mac] = RemoteEntry(MacAddress(mac), [remote], FdbState.DYNAMIC, now)
            return Learned.NEW
        entry.updated = now
        first = entry.remotes[0]
        if first.dst == src:
            return Learned.KNOWN
        if entry.state is not FdbState.DYNAMIC:
            return None
        entry.remotes[0] = first._replace(dst=IpAddress(src))
        return Learned.MOVED

    def entries(self, now: Instant) -> list[RemoteEntry]:
        """Return all entries that live, those of longest standing first."""
        for mac in tuple(self._entries):
            self.lookup(mac, now)
        return list(self._entries.values())

    def write(
        self, mac: MacAddress, remote: Remote, state: FdbState, now: Instant, command: FdbWrite
    ) -> None:
        """Enter a remote, as `bridge fdb add|append|replace MAC dev VXLAN dst REMOTE`.

        `APPEND` gives a further remote to a group or zero address; to any other
        that has an entry it adds nothing.

        Raises:
            OSError: EEXIST for `ADD` if `mac` has an entry; EOPNOTSUPP for
                `REPLACE` of a group or zero address.

        Source: `vxlan_fdb_update`.
        """
        is_several = bool(mac[0] & 1) or mac == ZERO_MAC
        if command is FdbWrite.REPLACE and is_several:
            raise os_error(errno.EOPNOTSUPP)
        entry = self.lookup(mac, now)
        if entry is None:
            self._entries[mac] = RemoteEntry(mac, [remote], state, now)
            return
        if command is FdbWrite.ADD:
            raise os_error(errno.EEXIST)
        entry.state, entry.updated = state, now
        if command is FdbWrite.REPLACE:
            entry.remotes = [remote]
        elif is_several and remote not in entry.remotes:
            entry.remotes.append(remote)

    def delete(self, mac: bytes, remote: Remote | None, now: Instant) -> None:
        """Remove a remote of `mac` (None: all), as `bridge fdb del MAC dev VXLAN [dst REMOTE]`.

        A remote that the entry does not have is passed over, as Linux does.

        Raises:
            OSError: ENOENT: there is no entry.

        Source: `__vxlan_fdb_delete`.
        """
        entry = self.lookup(mac, now)
        if entry is None:
            raise os_error(errno.ENOENT)
        if remote is None or entry.remotes == [remote]:
            del self._entries[mac]
        elif remote in entry.remotes:
            entry.remotes.remove(remote)

    def flush(self) -> None:
        """Forget what was learned, as when the device goes down. Source: `vxlan_flush`."""
        for entry in tuple(self._entries.values()):
            if entry.state is FdbState.DYNAMIC and entry.mac != ZERO_MAC:
                del self._entries[entry.mac]
