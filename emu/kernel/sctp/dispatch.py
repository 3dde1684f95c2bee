# SPDX-License-Identifier: GPL-2.0-only
"""From an association to the network and the program: packets out, errors and wake-ups up.

Every door of SCTP ends with `settle`. Packets go with DF if they fit the path;
data that was cut for a wider one goes without, and is fragmented on its way.

Source: net/sctp/output.c `sctp_packet_transmit`, net/sctp/protocol.c `sctp_v4_xmit`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from emu.kernel import ipv4, path, routing, transport
from emu.kernel.effects import Wake
from emu.wire import sctp
from emu.wire.addresses import IpAddress
from emu.wire.ipv4 import MIN_HEADER

if TYPE_CHECKING:
    from emu.kernel.connections import Key
    from emu.kernel.ip_options_echo import Echo
    from emu.kernel.namespace import Namespace
    from emu.kernel.sctp.setup import Packet
    from emu.kernel.sctp.table import Entry


def learn_mtu(net: Namespace, entry: Entry, reported: int) -> None:
    """Take a router's word that the way of an association is only `reported` octets wide."""
    path.learn_mtu(net, entry.key.remote, reported)
    with suppress(OSError):
        entry.association.outgoing.mtu = transport.path_mtu(net, entry.sock, entry.key.remote)


def settle(net: Namespace, entry: Entry) -> None:
    """Send what the association wants to send, tell its program what happened, set its timer."""
    association, sock = entry.association, entry.sock
    for packet in association.take_packets():
        _send(net, entry, packet)
    number = association.take_error()
    if number:
        sock.error = number
    if association.take_stir() and not association.orphan:
        net.emit(Wake(sock.number))
    if association.is_gone:
        net.sctp.remove(entry)
        return
    deadline = association.next_deadline
    if deadline is not None:
        net.arm(deadline)


def octets(key: Key, packet: Packet) -> bytes:
    """Return `packet` as it goes out from one end of `key` to the other."""
    return sctp.build(key.local_port, key.remote_port, packet.tag, packet.chunks)


def _send(net: Namespace, entry: Entry, packet: Packet) -> None:
    """Send one packet of an association. What has no way is lost, and sent again in time."""
    sock, key = entry.sock, entry.key
    entry.identification = entry.identification % 0xFFFF + 1
    remote, local = IpAddress(key.remote), IpAddress(key.local)
    payload = octets(key, packet)
    with suppress(OSError):
        decision = routing.route_output(net, remote, src=local, mark=sock.mark, tos=sock.tos)
        fits = _length(payload) <= path.path_mtu(net, decision, remote)
        ipv4.send(
            net,
            protocol=sctp.PROTOCOL,
            src=local,
            dst=remote,
            payload=payload,
            decision=decision,
            ttl=sock.ttl,
            tos=sock.tos,
            df=sock.df and fits and not path.is_mtu_locked(net, decision, remote),
            identification=entry.identification,
            mark=sock.mark,
            socket=sock.number,
        )


def _length(payload: bytes) -> int:
    """Return the length of the IP packet that carries `payload`."""
    return MIN_HEADER + len(payload)


def answer(
    net: Namespace,
    key: Key,
    packet: Packet,
    *,
    ttl: int | None = None,
    tos: int = 0,
    mark: int = 0,
    echoed: Echo | None = None,
) -> None:
    """Send a packet that belongs to no association, as `transport.answer` does."""
    transport.answer(net, key, sctp.PROTOCOL, octets(key, packet), ttl=ttl, tos=tos, mark=mark, echoed=echoed)
