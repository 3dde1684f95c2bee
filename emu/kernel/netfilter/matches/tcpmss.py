# SPDX-License-Identifier: GPL-2.0-only
"""`-m tcpmss`: the largest segment that a TCP header announces. Source: net/netfilter/xt_tcpmss.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.matches.transport import first_octets
from emu.wire import tcp

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet

_NOP: Final = 1
_MSS: Final = 2
_MSS_LENGTH: Final = 4


@attrs.frozen
class SegmentSize:
    """The header has the option, and it says `least` to `most`."""

    least: int
    most: int
    inverted: bool = False

    def holds(self, packet: Packet) -> bool:
        """Return whether it has, or has not; a malformed header is dropped."""
        fixed = first_octets(packet, tcp.MIN_HEADER)
        if fixed is None:
            return False
        header_length = (fixed[12] >> 4) * 4
        if header_length < tcp.MIN_HEADER:
            packet.hotdrop = True
            return False
        header = first_octets(packet, header_length)
        if header is None:
            return False
        announced = _announced(header[tcp.MIN_HEADER :])
        return (announced is not None and self.least <= announced <= self.most) is not self.inverted


def _announced(options: bytes) -> int | None:
    """Return what the option says, None if there is no such option."""
    place, last = 0, len(options) - _MSS_LENGTH
    while place <= last:
        if options[place] == _MSS and options[place + 1] == _MSS_LENGTH:
            return options[place + 2] << 8 | options[place + 3]
        place += options[place + 1] or 1 if options[place] > _NOP else 1
    return None
