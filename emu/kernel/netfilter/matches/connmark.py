# SPDX-License-Identifier: GPL-2.0-only
"""`-m connmark`: the mark of the connection. Source: net/netfilter/xt_connmark.c `connmark_mt`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet


@attrs.frozen
class Connmark:
    """The bits of `mask` in the connection's mark are `value`."""

    value: int
    mask: int = 0xFFFFFFFF
    inverted: bool = False

    def holds(self, packet: Packet) -> bool:
        """Return whether they are, or are not; without a connection neither holds."""
        connection = packet.connection
        if connection is None:
            return False
        return (connection.mark & self.mask == self.value) is not self.inverted
