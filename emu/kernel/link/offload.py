# SPDX-License-Identifier: GPL-2.0-only
"""Checksums that are left to the network card, and a card that gets those inside of tunnels wrong.

Linux may leave the checksum of a packet to whoever sends it in the end: the
field holds the sum over the pseudo-header alone, and the card adds the rest.
emu's packets are whole from the start, so a good card has nothing to do. A bad
one leaves the field of what is inside of VXLAN unfinished, and the checksum of
the outer datagram is then wrong, too, for it was reckoned with what should have
been there.

Source: include/linux/skbuff.h (CHECKSUM_PARTIAL, local checksum offload).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.link.vxlan import Vxlan
from emu.wire import checksum, ethernet, ipv4

if TYPE_CHECKING:
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.wire.frame import Frame

_IPV4: Final = ethernet.IPV4.to_bytes(2, "big")
_UDP_HEADER: Final = 8
_VXLAN_HEADER: Final = 8
_FIELDS: Final = {ipv4.TCP: 16, ipv4.UDP: 6}
"""Where the checksum is in a header, by protocol."""


def sent_by(net: Namespace, device: Device, frame: Frame) -> Frame:
    """Return `frame` as a card that spoils tunnels sends it."""
    if not device.tx_offload:
        return frame
    octets = frame.octets
    start = _inner(net, octets)
    if start is None:
        return frame
    packet = octets[start:]
    field = _FIELDS.get(packet[9])
    header = (packet[0] & 15) * 4
    if field is None or len(packet) < header + field + 2 or int.from_bytes(packet[6:8], "big") & 0x3FFF:
        return frame
    length = int.from_bytes(packet[2:4], "big") - header
    unfinished = checksum.pseudo_header(packet[12:16], packet[16:20], packet[9], length)
    at = start + header + field
    value = unfinished.to_bytes(2, "big")
    net.note(frame, "offload", f"{device.name} leaves the checksum inside unfinished: 0x{value.hex()}")
    return frame.holding(octets[:at] + value + octets[at + 2 :])


def _inner(net: Namespace, octets: bytes) -> int | None:
    """Return where the packet inside of VXLAN begins, None if its device leaves no checksum to the card."""
    if octets[12:14] != _IPV4 or octets[23] != ipv4.UDP:
        return None
    udp = ethernet.HEADER_LENGTH + (octets[14] & 15) * 4
    port = int.from_bytes(octets[udp + 2 : udp + 4], "big")
    leaves = any(
        isinstance(each.link, Vxlan) and each.link.dstport == port and each.tx_offload
        for each in net.devices.values()
    )
    start = udp + _UDP_HEADER + _VXLAN_HEADER + ethernet.HEADER_LENGTH
    if not leaves or len(octets) < start + ipv4.MIN_HEADER or octets[start - 2 : start] != _IPV4:
        return None
    return start
