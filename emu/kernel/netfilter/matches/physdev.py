# SPDX-License-Identifier: GPL-2.0-only
"""`-m physdev`: the bridge ports of a packet that is bridged. Source: net/netfilter/xt_physdev.c."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.kernel.netfilter.matches.ip import matches_name

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet


@attrs.frozen
class Port:
    """`--physdev-in` or `--physdev-out`: a port's name, a `+` at its end standing for any rest."""

    name: str
    inverted: bool = False

    def fits(self, name: str) -> bool:
        """Return whether the port called `name` is meant."""
        return matches_name(name, self.name) is not self.inverted


@attrs.frozen
class Physdev:
    """Ports of a bridge; what is None is not asked.

    Attributes:
        came_by: the port it came in by.
        leaves_by: the port it leaves by.
        is_in: whether it came in by a port.
        is_out: whether it leaves by a port.
        is_bridged: whether it is bridged, rather than routed.
    """

    came_by: Port | None = None
    leaves_by: Port | None = None
    is_in: bool | None = None
    is_out: bool | None = None
    is_bridged: bool | None = None

    def holds(self, packet: Packet) -> bool:
        """Return whether all of it is so.

        A packet that has met no bridge fails all but the inverted ones. One
        that came by a port and whose other port is not known, before the
        bridge or a route has decided, fails `leaves_by` even inverted.
        """
        physin, physout = packet.physin, packet.physout
        if not physin and not physout:
            return not (self.is_bridged or self.is_in or self.is_out) and not any(
                port is not None and not port.inverted for port in (self.came_by, self.leaves_by)
            )
        if self.is_bridged is not None and bool(physout) is not self.is_bridged:
            return False
        if self.is_in is not None and bool(physin) is not self.is_in:
            return False
        if self.is_out is not None and bool(physout) is not self.is_out:
            return False
        if self.came_by is not None and physin and not self.came_by.fits(physin):
            return False
        return self.leaves_by is None or (bool(physout) and self.leaves_by.fits(physout))
