# SPDX-License-Identifier: GPL-2.0-only
"""`-j LOG` and `-j NFLOG`: what they would log is told to the recorder.

Source: net/netfilter/xt_LOG.c, xt_NFLOG.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.kernel.netfilter import log_line

if TYPE_CHECKING:
    from emu.kernel.netfilter.log_line import LogFields
    from emu.kernel.netfilter.packet import Packet
    from emu.kernel.netfilter.verdict import Verdict


@attrs.frozen
class Log:
    """`-j LOG`: a line for the kernel's log.

    Attributes:
        level: 0 (emergency) to 7 (debug).
        prefix: what the line begins with, at most 29 characters.
        fields: what it tells beyond the usual.
    """

    fields: LogFields
    level: int = 4
    prefix: str = ""

    def apply(self, packet: Packet) -> Verdict | None:
        """Tell the line, and go on."""
        if packet.net.recorder is not None:
            packet.net.note(packet.skb, "log", self.prefix + log_line.render(packet, self.fields))
        return None


@attrs.frozen
class NfLog:
    """`-j NFLOG`: the packet for a program that listens to a group; none does here.

    Attributes:
        group: the netlink group.
        prefix: handed on with the packet, at most 63 characters.
        size: octets of the packet that are handed on, None for all.
        threshold: packets that are collected before the program is woken, 0 for its own choice.
    """

    group: int = 0
    prefix: str = ""
    size: int | None = None
    threshold: int = 0

    def apply(self, packet: Packet) -> Verdict | None:
        """Tell the group and the packet, and go on."""
        if packet.net.recorder is not None:
            line = log_line.render(packet, log_line.LogFields())
            packet.net.note(packet.skb, "nflog", f"group {self.group}: {self.prefix}{line}")
        return None
