# SPDX-License-Identifier: GPL-2.0-only
"""Packet sockets of AF_PACKET: a program sees the ARP frames of a device, and sends frames of its own.

A socket is bound to one device and one ethertype. It gets a copy of each frame
of this type that comes in there and climbs to the protocols, whomever it is
for; the kernel does with the frame what it does without it. Of ethertypes ARP
is modelled, which is what programs that answer for addresses of their own need.

Source: packet(7), net/packet/af_packet.c `packet_rcv`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel import sockets
from emu.wire.addresses import ANY_IP4
from emu.wire.frame import Frame

if TYPE_CHECKING:
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.sockets import Socket


def bind(net: Namespace, socket: Socket, device: str, ethertype: int) -> None:  # noqa: ARG001 - a system call, as the others
    """Have a socket of the kind PACKET hear the frames of `ethertype` that come in on `device`."""
    socket.device, socket.local_port = device, ethertype


def send(net: Namespace, device: str, octets: bytes) -> None:
    """Send a whole frame out of `device`, past all protocols."""
    from emu.kernel import netdev  # noqa: PLC0415 - it hands frames over to this module

    netdev.transmit(net, net.device(device), Frame(octets, net.new_packet_id()))


def is_heard(net: Namespace) -> bool:
    """Return whether any program of `net` has a packet socket."""
    known = vars(net).get("sockets")
    return known is not None and any(True for _ in known.of(sockets.SocketKind.PACKET))


def hand_over(net: Namespace, device: Device, frame: Frame, ethertype: int) -> None:
    """Give a copy of `frame`, which came in on `device`, to each socket that wants such."""
    known = vars(net).get("sockets")
    if known is None:
        return
    for socket in list(known.of(sockets.SocketKind.PACKET)):
        if socket.device == device.name and socket.local_port == ethertype:
            sockets.enqueue(net, socket, sockets.Datagram(frame.octets, ANY_IP4, 0))
