# SPDX-License-Identifier: GPL-2.0-only
"""`-m icmp`: the type and code of a message. Source: net/netfilter/xt_tcpudp.c `icmp_match`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.matches.transport import first_octets
from emu.wire.icmp import HEADER_LENGTH

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet

ANY_TYPE: Final = 0xFF


@attrs.frozen
class Icmp:
    """The message is of `type`, and its code from `first_code` to `last_code`; 255 is any type and code."""

    type: int = ANY_TYPE
    first_code: int = 0
    last_code: int = 0xFF
    inverted: bool = False

    def holds(self, packet: Packet) -> bool:
        """Return whether it is such a message, or is not; later fragments never are either."""
        message = first_octets(packet, HEADER_LENGTH)
        if message is None:
            return False
        fits = self.type == ANY_TYPE or (
            message[0] == self.type and self.first_code <= message[1] <= self.last_code
        )
        return fits is not self.inverted
