# SPDX-License-Identifier: GPL-2.0-only
"""An entry of the neighbour table, and what the table asks for.

Source: include/net/neighbour.h `struct neighbour`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeAlias, TypeVar

from emu.kernel.nud import CONNECTED, VALID, Nud
from emu.kernel.proxy_queue import Redo

if TYPE_CHECKING:
    from emu.kernel.drops import DropReason
    from emu.sim.time import Instant
    from emu.wire.addresses import IpAddress, MacAddress
    from emu.wire.frame import Frame

PacketT = TypeVar("PacketT")


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

    def take(self) -> tuple[PacketT, ...]:
        """Empty its queue and return it, the oldest packet first."""
        packets = tuple(packet for packet, _ in self.waiting)
        self.waiting.clear()
        return packets

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
