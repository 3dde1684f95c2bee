# SPDX-License-Identifier: GPL-2.0-only
"""RST for a segment that has no connection (RFC 9293 §3.5.2)."""

from __future__ import annotations

from emu.kernel.tcp.segment import Segment
from emu.kernel.tcp.sequence import wire
from emu.wire.tcp import ACK, RST


def answer(segment: Segment) -> Segment | None:
    """Return the RST that refuses `segment`, None for a RST, which is never answered.

    It has the number that the other side acknowledged, or else acknowledges all
    of the segment. Source: net/ipv4/tcp_ipv4.c `tcp_v4_send_reset`.
    """
    if segment.flags & RST:
        return None
    if segment.flags & ACK:
        return Segment(RST, segment.ack, 0, 0)
    return Segment(RST | ACK, 0, wire(segment.seq + segment.length), 0)
