# SPDX-License-Identifier: GPL-2.0-only
"""`-j CLASSIFY`, `CHECKSUM`, `TRACE`: they change nothing that a packet's fate hangs on here.

Source: net/netfilter/xt_CLASSIFY.c, xt_CHECKSUM.c, xt_TRACE.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet
    from emu.kernel.netfilter.verdict import Verdict


@attrs.frozen
class Classify:
    """`-j CLASSIFY`: the class for the queueing discipline; there is none here that asks."""

    major: int
    minor: int

    def apply(self, packet: Packet) -> Verdict | None:
        """Tell the class, and go on."""
        packet.net.note(packet.skb, "classify", f"class {self.major:x}:{self.minor:x}")
        return None


@attrs.frozen
class FillChecksum:
    """`-j CHECKSUM --checksum-fill`: here every packet has its checksum from the beginning."""

    def apply(self, packet: Packet) -> Verdict | None:  # noqa: ARG002 - any target's signature
        """Go on."""
        return None


@attrs.frozen
class Trace:
    """`-j TRACE`: have the packet followed; emu's own trace follows all of them."""

    def apply(self, packet: Packet) -> Verdict | None:
        """Tell that it was asked for, and go on."""
        packet.net.note(packet.skb, "trace", "asked for by a rule")
        return None
