# SPDX-License-Identifier: GPL-2.0-only
"""What a namespace asks the world to do.

A namespace touches nothing outside of itself: a call returns its effects, in
the order in which the kernel would cause them, and `emu.fabric.driver` alone
turns them into events. Named tuples, because one is made at every hop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kernel.drops import DropReason
    from emu.kernel.facts import Fact
    from emu.kernel.namespace import Namespace
    from emu.sim.time import Instant
    from emu.wire.frame import Frame


class Transmit(NamedTuple):
    """Put `frame` on the cable of device `iface`."""

    iface: str
    frame: Frame


class Backlog(NamedTuple):
    """Receive `frame` on `iface` of this same namespace, after what is queued already.

    What `netif_rx` does for the loopback device and for packets that come out
    of a tunnel. Source: net/core/dev.c `enqueue_to_backlog`.
    """

    iface: str
    frame: Frame


class Parked(NamedTuple):
    """Call `go_on` with the namespace at this instant, behind what is under way: a packet waits."""

    go_on: Callable[[Namespace], None]


class SetTimer(NamedTuple):
    """Call `Namespace.timeout` at `deadline`, at the latest."""

    deadline: Instant


class Wake(NamedTuple):
    """Something changed for the program that waits on socket number `socket`."""

    socket: int


class Carrier(NamedTuple):
    """The other end of the cable of `iface` gains or loses its carrier."""

    iface: str
    up: bool


class Drop(NamedTuple):
    """A frame ended here.

    `iface` is where it came in, or was to leave; empty for a packet that never
    had a device. `detail` adds what the reason's name does not say, `fact` says
    it as a value, where there is one.
    """

    reason: DropReason
    packet_id: int
    iface: str
    octets: bytes
    detail: str
    fact: Fact | None = None


Effect: TypeAlias = Transmit | Backlog | Parked | SetTimer | Wake | Carrier | Drop
