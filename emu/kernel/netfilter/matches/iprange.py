# SPDX-License-Identifier: GPL-2.0-only
"""`-m iprange`: addresses from one to another. Source: net/netfilter/xt_iprange.c."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet


@attrs.frozen
class AddressRange:
    """Addresses from `first` to `last`, both among them; none if `last` is below `first`."""

    first: bytes
    last: bytes
    inverted: bool = False

    def fits(self, address: bytes) -> bool:
        """Return whether `address` is among them, or is not."""
        return (self.first <= address <= self.last) is not self.inverted


@attrs.frozen
class IpRange:
    """Source and destination; None is any."""

    source: AddressRange | None = None
    destination: AddressRange | None = None

    def holds(self, packet: Packet) -> bool:
        """Return whether both are in their ranges."""
        header = packet.skb.header
        return (self.source is None or self.source.fits(header.src)) and (
            self.destination is None or self.destination.fits(header.dst)
        )
