# SPDX-License-Identifier: GPL-2.0-only
"""From a connection to the network and the program: packets out, errors and wake-ups up.

Every door of TCP ends with `settle`, which carries out what the connection wants.

Packets of a connection are numbered by a counter of their own, as Linux does it
(`inet_id`). Answers that belong to no full socket (SYN-ACK, RST to a stranger, the
ACKs of TIME-WAIT) have IP identification 0.

Source: net/ipv4/ip_output.c `__ip_queue_xmit`, `ip_build_and_send_pkt`, `ip_send_unicast_reply`.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import TYPE_CHECKING

from emu.kernel import ipv4, path, routing, transport
from emu.kernel.effects import Wake
from emu.wire import tcp as wire_tcp
from emu.wire.addresses import IpAddress
from emu.wire.ipv4 import TCP

if TYPE_CHECKING:
    from emu.kernel.connections import Key
    from emu.kernel.ip_options_echo import Echo
    from emu.kernel.namespace import Namespace
    from emu.kernel.tcp.segment import Segment
    from emu.kernel.tcp.table import Entry


def learn_mtu(net: Namespace, entry: Entry, reported: int) -> None:
    """Take a router's word that the way of a connection is only `reported` octets wide."""
    path.learn_mtu(net, entry.key.remote, reported)
    if entry.sock.df and entry.connection is not None:
        with suppress(OSError):
            entry.connection.path_is_narrow(transport.path_mtu(net, entry.sock, entry.key.remote), net.now)


def octets(key: Key, segment: Segment) -> bytes:
    """Return `segment` as it goes into a packet of the connection `key`."""
    return wire_tcp.build(
        key.local,
        key.remote,
        key.local_port,
        key.remote_port,
        seq=segment.seq,
        ack=segment.ack,
        flags=segment.flags,
        window=segment.window,
        options=segment.options.build(),
        payload=segment.payload,
    )


def settle(net: Namespace, entry: Entry) -> None:
    """Send what the entry wants to send, tell its program what happened, set its timer."""
    if entry.handshake is not None:
        for segment in entry.handshake.outbox:
            answer(net, entry.key, segment, ttl=entry.sock.ttl, tos=entry.sock.tos, mark=entry.sock.mark)
        entry.handshake.outbox.clear()
    connection = entry.connection
    if connection is not None:
        for segment in connection.take_segments():
            _send(net, entry, segment)
        for segment in connection.take_replies():
            answer(net, entry.key, segment, tos=entry.sock.tos, mark=entry.sock.mark)
        _tell(net, entry)
        if connection.is_gone:
            net.tcp.remove(entry)
    deadline = net.tcp.arm(entry)
    if deadline is not None:
        net.arm(deadline)


def _tell(net: Namespace, entry: Entry) -> None:
    connection, sock = entry.connection, entry.sock
    assert connection is not None, "only a connection has news"
    number = connection.take_error()
    if number:
        sock.error = number
    if connection.take_stir() and not connection.tcb.orphan:
        net.emit(Wake(sock.number))


def _send(net: Namespace, entry: Entry, segment: Segment) -> None:
    """Send one segment of a connection. What has no way is lost, and sent again in time."""
    sock, connection = entry.sock, entry.connection
    assert connection is not None, "segments have a connection"
    entry.identification = entry.identification % 0xFFFF + 1
    progress = entry.una not in (None, connection.tcb.snd.una)
    entry.una = connection.tcb.snd.una
    remote = IpAddress(entry.key.remote)
    try:
        decision = routing.route_output(
            net, remote, src=IpAddress(entry.key.local), mark=sock.mark, tos=sock.tos
        )
        ipv4.send(
            net,
            protocol=TCP,
            src=IpAddress(entry.key.local),
            dst=remote,
            payload=octets(entry.key, segment),
            decision=decision,
            ttl=sock.ttl,
            tos=sock.tos,
            df=sock.df and not path.is_mtu_locked(net, decision, remote),
            ignore_df=False,
            identification=entry.identification,
            mark=sock.mark,
            socket=sock.number,
            confirms=progress,
        )
    except OSError as error:
        if error.errno == errno.EMSGSIZE:
            connection.path_is_narrow(transport.path_mtu(net, sock, remote), net.now)


def answer(
    net: Namespace,
    key: Key,
    segment: Segment,
    *,
    ttl: int | None = None,
    tos: int = 0,
    mark: int = 0,
    echoed: Echo | None = None,
) -> None:
    """Send a segment that belongs to no full socket, as `transport.answer` does."""
    transport.answer(net, key, TCP, octets(key, segment), ttl=ttl, tos=tos, mark=mark, echoed=echoed)
