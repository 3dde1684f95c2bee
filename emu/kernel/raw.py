# SPDX-License-Identifier: GPL-2.0-only
"""Raw ICMP sockets, as `ping` and `traceroute` use them (raw(7), net/ipv4/raw.c)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from emu.kernel import ipv4, path, routing, sockets, udp
from emu.kernel.drops import DropReason
from emu.kernel.fib import RouteType
from emu.kernel.skb import Skb
from emu.wire import icmp
from emu.wire.addresses import ANY_IP4
from emu.wire.ipv4 import ICMP, MIN_HEADER, Ipv4, rechecksum

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.namespace import Namespace
    from emu.kernel.sockets import Socket
    from emu.wire.addresses import IpAddress
    from emu.wire.icmp import Icmp


def send(net: Namespace, socket: Socket, message: bytes, address: IpAddress) -> None:
    """Send an ICMP message; the kernel makes the IP header.

    Raises:
        OSError: EMSGSIZE, EACCES (a broadcast without SO_BROADCAST), no route.
    """
    decision = routing.route_output(net, address, src=socket.source, mark=socket.mark, tos=socket.tos)
    if decision.kind is RouteType.BROADCAST and not socket.broadcast:
        raise sockets.error(errno.EACCES)
    if address == ANY_IP4:
        address = decision.next_hop  # this host itself
    udp.send_payload(net, socket, protocol=ICMP, payload=message, address=address, decision=decision)


def receive(net: Namespace, skb: Skb) -> bool:
    """Give a copy of the packet to every raw socket that matches; return whether one did.

    The copy is taken before the protocol looks at it, wrong checksums included.
    """
    if skb.header.protocol != ICMP:
        return False
    taken = False
    for socket in net.sockets.of(sockets.SocketKind.ICMP):
        if socket.local not in (ANY_IP4, skb.header.dst):
            continue
        if socket.is_connected and socket.remote != skb.header.src:
            continue
        if sockets.enqueue(net, socket, sockets.Datagram(skb.packet, skb.src, 0)):
            taken = True
            net.note(skb, "socket", "a copy for a raw ICMP socket")
        else:
            net.drop(skb, DropReason.SOCKET_RCVBUFF, "a copy for a raw ICMP socket")
    return taken


def _senders(net: Namespace, inner: Ipv4) -> Iterator[Socket]:
    """Yield the sockets that may have sent the packet that an ICMP error quotes."""
    for socket in net.sockets.of(sockets.SocketKind.ICMP):
        if socket.local in (ANY_IP4, inner.src) and socket.remote in (ANY_IP4, inner.dst):
            yield socket


def has_sender(net: Namespace, inner: Ipv4, rest: bytes) -> bool:
    """Return whether a raw socket, or the kernel by answering an echo, may have sent a quoted packet."""
    return rest[0] == icmp.ECHO_REPLY or any(True for _ in _senders(net, inner))


def error(net: Namespace, inner: Ipv4, header: Icmp, mtu: int) -> None:
    """Take an ICMP error about a packet that a raw socket may have sent. Source: `raw_err`."""
    if inner.protocol != ICMP:
        return
    for socket in _senders(net, inner):
        if mtu:
            path.learn_mtu(net, inner.dst, mtu)
        if socket.is_connected and header.type == icmp.UNREACHABLE:
            number, hard = udp.UNREACHABLE_ERRNO.get(header.code, (errno.EHOSTUNREACH, True))
            if hard:
                sockets.fail(net, socket, number)


def send_packet(net: Namespace, packet: bytes, *, socket: int = 0) -> int:
    """Send a whole IP packet, as a raw socket with IP_HDRINCL does; return its packet id.

    The kernel fills in an unspecified source, an identification of 0, the total
    length and the checksum; all else goes out as it is. Source: `raw_send_hdrinc`.

    Args:
        net: the namespace.
        packet: header and payload.
        socket: number of the sending socket.

    Raises:
        OSError: EINVAL (no whole header), EMSGSIZE, EPERM (netfilter dropped it), or no route.
    """
    header = Ipv4.parse(packet)
    length = header.header_length
    if not MIN_HEADER <= length <= len(packet):
        raise sockets.error(errno.EINVAL)
    decision = routing.route_output(net, header.dst, tos=header.tos)
    if len(packet) > decision.device.mtu:
        raise sockets.error(errno.EMSGSIZE)
    fixed = bytearray(packet[:length])
    fixed[2:4] = len(packet).to_bytes(2, "big")
    if not header.identification:
        fixed[4:6] = net.next_identification().to_bytes(2, "big")
    if header.src == ANY_IP4:
        fixed[12:16] = bytes(decision.src)
    skb = Skb(rechecksum(bytes(fixed)) + packet[length:], net.new_packet_id())
    skb.route = decision
    skb.socket = socket
    ipv4.walk(net, skb, ipv4.local_out)
    if skb.refused:
        raise sockets.error(errno.EPERM)
    return skb.packet_id
