# SPDX-License-Identifier: GPL-2.0-only
"""From the network to an association: whose packet is it, whose ICMP error?

Source: net/sctp/input.c `sctp_rcv`, `sctp_v4_err`; net/sctp/sm_statefuns.c
`sctp_sf_do_5_1B_init`, `sctp_sf_do_5_1D_ce`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from emu.errors import HeaderError
from emu.kernel import ip_options_echo, transport
from emu.kernel.connections import Key
from emu.kernel.drops import DropReason
from emu.kernel.effects import Wake
from emu.kernel.fib import RouteType
from emu.kernel.sctp import setup, strangers
from emu.kernel.sctp.association import Association
from emu.kernel.sctp.dispatch import answer, learn_mtu, settle
from emu.kernel.sctp.setup import Packet
from emu.kernel.sctp.table import Entry
from emu.kernel.skb import PacketType
from emu.wire import icmp, sctp
from emu.wire.addresses import IpAddress
from emu.wire.sctp import ChunkType, Init, Sctp

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.sctp.cookie import Cookie
    from emu.kernel.skb import Skb
    from emu.kernel.sockets import Socket
    from emu.wire.ipv4 import Ipv4


def receive(net: Namespace, skb: Skb) -> None:
    """Take a packet for this host."""
    payload = skb.payload
    if skb.packet_type is not PacketType.HOST or skb.route is None or skb.route.kind is not RouteType.LOCAL:
        net.drop(skb, DropReason.NOT_SPECIFIED, "SCTP to a broadcast or multicast address")
        return
    try:
        header = Sctp.parse(payload)
    except HeaderError as error:
        net.drop(skb, DropReason.PKT_TOO_SMALL, str(error))
        return
    if not sctp.checksum_holds(payload):
        net.drop(skb, DropReason.NOT_SPECIFIED, "wrong SCTP checksum")
        return
    try:
        chunks = tuple(sctp.read_chunks(payload))
    except HeaderError as error:
        net.drop(skb, DropReason.PKT_TOO_SMALL, str(error))
        return
    if not chunks:
        net.drop(skb, DropReason.PKT_TOO_SMALL, "no chunk")
        return
    received = Packet(header.tag, chunks)
    key = Key(skb.header.dst, header.dport, skb.header.src, header.sport)
    entry = net.sctp.find(key)
    if entry is not None:
        _for_association(net, skb, entry, received)
        return
    listening = net.sctp.listening(key.local, key.local_port)
    if listening is None:
        _refuse(net, skb, key, received)
        net.drop(skb, DropReason.NO_SOCKET, f"nobody listens on SCTP port {key.local_port}")
    elif chunks[0].type == ChunkType.INIT and len(chunks) == 1:
        _request(net, skb, listening, key, received)
    elif chunks[0].type == ChunkType.COOKIE_ECHO:
        _cookie(net, skb, listening, key, received)
    else:
        _refuse(net, skb, key, received)
        net.drop(skb, DropReason.NO_SOCKET, "it belongs to no association")


def _refuse(net: Namespace, skb: Skb, key: Key, received: Packet) -> None:
    """Answer a stranger, if that is to be answered."""
    packet = strangers.answer(received)
    echoed = ip_options_echo.echo(net, skb) if packet is not None else None
    if packet is not None and echoed is not None:
        reflected = net.sysctl.number("net.ipv4.fwmark_reflect")
        answer(net, key, packet, mark=skb.mark if reflected else 0, echoed=echoed)


def _for_association(net: Namespace, skb: Skb, entry: Entry, received: Packet) -> None:
    association = entry.association
    refusal = association.receive(received.tag, received.chunks, net.now)
    net.note(skb, "socket", f"SCTP {association.state.value}, port {entry.key.local_port}")
    settle(net, entry)
    if refusal:
        net.drop(skb, DropReason.NOT_SPECIFIED, refusal)


def _draw(net: Namespace) -> int:
    return net.random.getrandbits(32)


def _request(net: Namespace, skb: Skb, sock: Socket, key: Key, received: Packet) -> None:
    """Answer an INIT for a listener with INIT ACK, and forget it."""
    try:
        asked = Init.parse(received.chunks[0].value)
    except HeaderError as error:
        net.drop(skb, DropReason.PKT_TOO_SMALL, str(error))
        return
    if received.tag:
        _refuse(net, skb, key, received)
        net.drop(skb, DropReason.NOT_SPECIFIED, "an INIT with a verification tag")
        return
    if not asked.tag or not asked.inbound or not asked.outbound:
        net.drop(skb, DropReason.NOT_SPECIFIED, "an INIT without a tag, or without streams")
        return
    net.note(skb, "socket", f"SCTP listener on port {key.local_port}")
    jar = net.sctp.jar(key, net.random)
    packet = setup.init_ack(asked, jar, tag=_draw(net) or 1, tsn=_draw(net), now=net.now)
    answer(net, key, packet, ttl=sock.ttl, tos=sock.tos, mark=sock.mark)


def _cookie(net: Namespace, skb: Skb, sock: Socket, key: Key, received: Packet) -> None:
    """Make the association of which a COOKIE ECHO for a listener is the proof, and let it be accepted."""
    tag, chunks = received
    listener, cookie = sock.sctp.listener, net.sctp.jar(key, net.random).open(chunks[0].value)
    assert listener is not None, "it listens"
    if cookie is None or cookie.local_tag != tag:
        net.drop(skb, DropReason.NOT_SPECIFIED, "a cookie that was never given")
    elif cookie.is_stale(net.now):
        answer(net, key, setup.stale_cookie(cookie, net.now))
        net.drop(skb, DropReason.NOT_SPECIFIED, "a cookie that is too old")
    elif listener.is_full:
        _refuse(net, skb, key, received)
        net.drop(skb, DropReason.NOT_SPECIFIED, f"the listener's queue is full, backlog {listener.backlog}")
    else:
        try:
            entry = _accepted(net, sock, key, cookie)
        except OSError as error:
            net.drop(skb, DropReason.IP_OUTNOROUTES, error.strerror or "")
            return
        listener.ready.append(entry.sock)
        net.note(skb, "socket", f"SCTP listener on port {key.local_port}")
        if chunks[1:]:
            entry.association.receive(tag, chunks[1:], net.now)
        settle(net, entry)
        net.emit(Wake(sock.number))


def _accepted(net: Namespace, sock: Socket, key: Key, cookie: Cookie) -> Entry:
    """Make the association that `cookie` stands for, and a socket for it, and return its entry.

    Raises:
        OSError: there is no way to the peer.
    """
    mtu = transport.path_mtu(net, sock, key.remote)
    child = sock.child()
    child.local, child.local_port = IpAddress(key.local), key.local_port
    child.source = child.local
    child.remote, child.remote_port = IpAddress(key.remote), key.remote_port
    child.sctp.linger = sock.sctp.linger
    association = Association.accepted(cookie, net.sctp.jar(key, net.random), partial(_draw, net), mtu)
    entry = Entry(key, child, association, net.random.randrange(1, 0x8000))
    child.sctp.entry = entry
    net.sctp.add(entry)
    return entry


# --- ICMP errors ---


def _entry_of(net: Namespace, inner: Ipv4, rest: bytes) -> Entry | None:
    """Return the association that sent the packet which an ICMP error quotes."""
    sport, dport = int.from_bytes(rest[:2], "big"), int.from_bytes(rest[2:4], "big")
    return net.sctp.find(Key(inner.src, sport, inner.dst, dport))


def has_sender(net: Namespace, inner: Ipv4, rest: bytes) -> bool:
    """Return whether an association here sent the packet which an ICMP error quotes."""
    return _entry_of(net, inner, rest) is not None


def error(net: Namespace, inner: Ipv4, rest: bytes, icmp_type: int, icmp_code: int, mtu: int) -> None:  # noqa: PLR0917 - as ICMP gives it
    """Take an ICMP error about a packet of ours, quoted as `inner` and `rest` (8 octets at least).

    *Protocol unreachable* gives a set-up up, *fragmentation needed* narrows the
    path. All others, *port unreachable* among them, are passed over: Linux keeps
    them for a socket that asked for them (IP_RECVERR), and goes on trying.

    Source: `sctp_v4_err`, `sctp_err_lookup`; RFC 9260 §10.
    """
    entry = _entry_of(net, inner, rest)
    if entry is None:
        return
    association, tag = entry.association, int.from_bytes(rest[4:8], "big")
    initiate_tag = rest[sctp.HEADER_LENGTH + sctp.CHUNK_HEADER :][:4]
    if tag:
        if tag != association.peer_tag:
            return
    elif rest[12:13] != bytes((ChunkType.INIT,)) or initiate_tag != association.local_tag.to_bytes(4, "big"):
        return
    if icmp_type == icmp.UNREACHABLE and icmp_code == icmp.FRAGMENTATION_NEEDED:
        learn_mtu(net, entry, mtu)
    elif icmp_type == icmp.UNREACHABLE and icmp_code == icmp.PROTOCOL_UNREACHABLE:
        association.unreachable()
    settle(net, entry)
