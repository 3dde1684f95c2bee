# SPDX-License-Identifier: GPL-2.0-only
"""`-j REJECT`: drop the packet and tell its sender. Source: net/ipv4/netfilter/ipt_REJECT.c."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import attrs

from emu.kernel.netfilter import reject
from emu.kernel.netfilter.verdict import Verdict

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet


class Answer(enum.Enum):
    """What the sender is told: the code of ICMP's *destination unreachable*, or a RST."""

    NET_UNREACHABLE = 0
    HOST_UNREACHABLE = 1
    PROTOCOL_UNREACHABLE = 2
    PORT_UNREACHABLE = 3
    NET_PROHIBITED = 9
    HOST_PROHIBITED = 10
    ADMIN_PROHIBITED = 13
    TCP_RESET = -1


@attrs.frozen
class Reject:
    """Drop the packet and send `answer`."""

    answer: Answer = Answer.PORT_UNREACHABLE

    def apply(self, packet: Packet) -> Verdict | None:
        """Send the answer, if one is allowed, and drop the packet."""
        if self.answer is Answer.TCP_RESET:
            reject.send_reset(packet)
        else:
            reject.send_unreachable(packet, self.answer.value)
        return Verdict.DROP
