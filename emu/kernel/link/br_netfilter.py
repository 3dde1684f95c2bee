# SPDX-License-Identifier: GPL-2.0-only
"""What IPv4 packets meet on their way through a bridge with `bridge-nf-call-iptables`.

    pre_routing:  sanity checks, trimmed to their total length   [PREROUTING]
        |
        +--> up, into the bridge device
        |
    leave, for each port:             [FORWARD]  [POSTROUTING]
        cut to the bridge's MTU where they are too large for the port

The checks are made though no rule is loaded anywhere: with this sysctl a bridge
drops packets with a wrong header checksum, takes the padding of short frames
away, and fragments. Packets behind an 802.1Q tag are left alone.

A packet that goes up has passed PREROUTING here, with its port known, and must
not pass it again in the IPv4 layer (`ip_sabotage_in`).

Source: net/bridge/br_netfilter_hooks.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel import fragment
from emu.kernel.drops import DropReason
from emu.wire.ethernet import HEADER_LENGTH
from emu.wire.frame import Frame
from emu.wire.ipv4 import DF, MIN_HEADER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kernel.link.bridge import Port
    from emu.kernel.namespace import Namespace

_CALL_IPTABLES: Final = "net.bridge.bridge-nf-call-iptables"
_PLAIN: Final = 0x45  # version 4, a header of 20 octets


def is_on(net: Namespace) -> bool:
    """Return whether IPv4 packets that are bridged meet netfilter in this namespace."""
    return net.sysctl.values[_CALL_IPTABLES] != 0


def pre_routing(net: Namespace, port: Port, frame: Frame) -> Frame | None:
    """Return the frame that goes on, or None for one that ended here.

    Args:
        net: the namespace.
        port: where it came in.
        frame: an untagged frame with ethertype 0x0800.

    Source: `br_nf_pre_routing`, `br_validate_ipv4`.
    """
    fault = _fault(frame.octets)
    if fault:
        net.drop(frame, DropReason.IP_INHDR, f"{port.bridge.name}: {fault}", port.name)
        return None
    end = HEADER_LENGTH + int.from_bytes(frame.octets[16:18], "big")
    if len(frame.octets) > end:
        return Frame(frame.octets[:end], frame.packet_id, frame.trail)
    return frame


def _fault(octets: bytes) -> str:
    """Return what is wrong with the IPv4 header, nothing if it is right."""
    length = len(octets) - HEADER_LENGTH
    if length < MIN_HEADER:
        return "too short for an IPv4 header"
    header_length = MIN_HEADER
    if octets[14] != _PLAIN:
        header_length = (octets[14] & 15) * 4
        if octets[14] >> 4 != 4 or not MIN_HEADER <= header_length <= length:
            return "malformed IPv4 header"
    if int.from_bytes(octets[14 : 14 + header_length], "big") % 65535:
        return "wrong IPv4 header checksum"
    total = int.from_bytes(octets[16:18], "big")
    if total > length:
        return "IPv4 packet is cut short"
    return "" if total >= header_length else "IPv4 total length is less than the header"


def leave(net: Namespace, ingress: Port, egress: Port, frame: Frame) -> Sequence[Frame]:
    """Return the frames that leave by `egress` for one that came in by `ingress`.

    A packet too large for the port is fragmented to the MTU of the bridge
    itself; one with DF ends here, and nobody is told.

    Source: `br_nf_forward_ip`, `br_nf_post_routing`, `br_nf_dev_queue_xmit`.
    """
    octets = frame.octets
    if len(octets) - HEADER_LENGTH <= egress.device.mtu:
        return (frame,)
    mtu = ingress.bridge.mtu
    if octets[20] & DF >> 8:
        net.drop(frame, DropReason.PKT_TOO_BIG, f"DF set, MTU {mtu}", egress.name)
        return ()
    if net.recorder is not None:
        net.note(frame, "br_netfilter", f"fragments for {egress.name}, MTU {mtu}")
    header = octets[:HEADER_LENGTH]
    return [
        Frame(header + part, frame.packet_id, frame.trail)
        for part in fragment.split(octets[HEADER_LENGTH:], mtu)
    ]
