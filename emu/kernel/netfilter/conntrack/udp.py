# SPDX-License-Identifier: GPL-2.0-only
"""The tracker of UDP and UDP-Lite, which know no connections.

What counts is whether both sides talk, and for how long.
A UDP flow that was answered keeps the short timeout, for most are one question
and one answer. Once it is in use for more than two seconds it is a stream: it
has the long timeout and is ASSURED. UDP-Lite is a stream with its first answer.

Source: net/netfilter/nf_conntrack_proto_udp.c, Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.errors import HeaderError
from emu.kernel.facts import Invalid
from emu.kernel.netfilter.conntrack.entry import Status
from emu.kernel.netfilter.conntrack.protocol import Tracked
from emu.kernel.netfilter.conntrack.timeouts import refresh, timeout
from emu.sim.time import SECOND, Instant, later
from emu.wire import udp
from emu.wire.checksum import pseudo_header, verifies
from emu.wire.udp import HEADER_LENGTH, Udp

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.conntrack.entry import Connection, CtInfo
    from emu.kernel.skb import Skb
    from emu.sim.time import Duration

UDP_LITE: Final = 136
_SHORT: Final = "net.netfilter.nf_conntrack_udp_timeout"
_LONG: Final = "net.netfilter.nf_conntrack_udp_timeout_stream"
_STREAM_AFTER: Final[Duration] = 2 * SECOND
_SEEN_REPLY: Final = Status.SEEN_REPLY
_CLASHED: Final = Status.UNTRACKED
"""The bit that says, of a connection that is tracked: another with the same answers was there before it."""


class UdpState:
    """What is known of a flow: the instant after which it is a stream."""

    __slots__ = ("stream_from",)

    def __init__(self, stream_from: Instant) -> None:
        self.stream_from = stream_from


def packet(
    net: Namespace,
    skb: Skb,
    connection: Connection,
    info: CtInfo,  # noqa: ARG001 - any tracker's signature
    *,
    verify_checksum: bool = False,
) -> Tracked:
    """Have the datagram in `skb` do to `connection` what it does; the arguments are those of `tcp.packet`."""
    is_lite = connection.protocol == UDP_LITE
    fault = (_fault_lite if is_lite else _fault)(skb, verify_checksum=verify_checksum)
    if fault:
        net.note(skb, "conntrack", Invalid(fault))
        return Tracked.INVALID
    state = connection.tracker
    if not isinstance(state, UdpState):
        state = connection.tracker = UdpState(later(net.now, _STREAM_AFTER))
    if not connection.status & _SEEN_REPLY:
        refresh(net, connection, timeout(net, _SHORT))
        return Tracked.ACCEPT
    is_stream = is_lite or net.now > state.stream_from
    refresh(net, connection, timeout(net, _LONG if is_stream else _SHORT))
    if is_stream and not connection.status & _CLASHED:
        connection.status |= Status.ASSURED
    return Tracked.ACCEPT


def _fault(skb: Skb, *, verify_checksum: bool) -> str:
    """Return what is wrong with a UDP datagram, empty for nothing. Source: `udp_error`."""
    octets = skb.payload
    if len(octets) < HEADER_LENGTH:
        return "short packet"
    if not HEADER_LENGTH <= octets[4] << 8 | octets[5] <= len(octets):
        return "truncated/malformed packet"
    if verify_checksum and not udp.checksum_holds(skb.header.src, skb.header.dst, octets):
        return "bad checksum"
    return ""


def _fault_lite(skb: Skb, *, verify_checksum: bool) -> str:
    """Return what is wrong with a UDP-Lite datagram, empty for nothing. Source: `udplite_error`, RFC 3828."""
    octets = skb.payload
    try:
        header = Udp.parse(octets)
    except HeaderError:
        return "short packet"
    covered = header.length or len(octets)
    if not HEADER_LENGTH <= covered <= len(octets):
        return "invalid checksum coverage"
    if not header.checksum:
        return "checksum missing"
    # the kernel's pseudo header says UDP
    start = pseudo_header(skb.header.src, skb.header.dst, udp.PROTOCOL, len(octets))
    if verify_checksum and not verifies(octets[:covered], start):
        return "bad checksum"
    return ""
