# SPDX-License-Identifier: GPL-2.0-only
"""ICMP: answering echoes, telling senders what went wrong, hearing it from others.

Source: RFC 792, RFC 1122 §3.2.2, RFC 1812 §4.3, net/ipv4/icmp.c.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from emu.errors import HeaderError
from emu.kernel import inetdev, ip_options_echo, ipv4, path, raw, routing, sctp, tcp, udp
from emu.kernel.drops import DropReason
from emu.kernel.fib import RouteType, Scope
from emu.kernel.ip_options_reader import time_of_day
from emu.kernel.link import ipip
from emu.kernel.skb import KERNEL_SOCKET, PacketType
from emu.sim.time import MILLISECOND
from emu.wire import checksum, icmp
from emu.wire.addresses import ANY_IP4, IpAddress
from emu.wire.icmp import Icmp
from emu.wire.ipv4 import ICMP, IPIP, MIN_HEADER, SCTP, TCP, UDP, Ipv4

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.namespace import Namespace
    from emu.kernel.skb import Skb

_LAST_TYPE: Final = 18  # NR_ICMP_TYPES
_NEVER_ANSWERED: Final = icmp.ERRORS | {1, 2, 6, 7, 9, 10}
"""Errors, and what the kernel takes for one (`icmp_pointers`): unassigned types, router discovery."""

_INTERNET_CONTROL: Final = 0xC0  # IPTOS_PREC_INTERNETCONTROL
_TOS_MASK: Final = 0x1E
_TIMESTAMP_LENGTH: Final = 4
_ERROR_LENGTH: Final = 576  # RFC 1812 §4.3.2.3: as much of the packet as fits into this


# --- telling ---


def send_error(net: Namespace, skb: Skb, kind: int, code: int, info: int = 0) -> None:
    """Tell the sender of `skb` what became of it, unless RFC 1122 §3.2.2 or a limit forbids.

    Args:
        net: the namespace.
        skb: the packet that causes the error; it is quoted as it is now.
        kind: ICMP type of an error.
        code: ICMP code.
        info: the second four octets: the next-hop MTU, or a gateway's address.

    Source: net/ipv4/icmp.c `__icmp_send`.
    """
    header = skb.header
    if not _may_answer(skb) or net.sends_icmp:
        return
    limited = _is_limited(net, kind, code)
    if (
        limited
        and not (skb.device is not None and skb.device.is_loopback)
        and not net.icmp_limits.allow_message(
            net.now,
            per_second=net.sysctl.number("net.ipv4.icmp_msgs_per_sec"),
            burst=net.sysctl.number("net.ipv4.icmp_msgs_burst"),
        )
    ):
        net.note(skb, "icmp", "no error is sent: icmp_msgs_per_sec")
        return
    echoed = ip_options_echo.echo(net, skb)
    if echoed is None:
        net.note(skb, "icmp", "no error is sent: no room in an IP option")
        return
    src = _error_source(net, skb)
    tos = header.tos & _TOS_MASK | _INTERNET_CONTROL
    try:
        decision = routing.route_output(net, echoed.dst, src=src, tos=tos, mark=_reply_mark(net, skb))
    except OSError:
        return
    if limited and not decision.device.is_loopback:
        interval = net.sysctl.number("net.ipv4.icmp_ratelimit") * MILLISECOND
        if not net.icmp_limits.allow_peer(echoed.dst, net.now, interval):
            net.note(skb, "icmp", "no error is sent: icmp_ratelimit")
            return
        net.icmp_limits.consume(net.random)
    src = ipv4.source_of(decision, src)
    options = echoed.fill(src, net.now)
    room = min(path.path_mtu(net, decision, echoed.dst), _ERROR_LENGTH)
    room -= MIN_HEADER + len(options) + icmp.HEADER_LENGTH
    if room <= MIN_HEADER:
        return
    message = icmp.build(kind, code, skb.packet[:room], word1=info >> 16, word2=info & 0xFFFF)
    with suppress(OSError), _sending(net):  # netfilter may refuse it
        ipv4.send(
            net,
            protocol=ICMP,
            dst=echoed.dst,
            payload=message,
            src=src,
            decision=decision,
            tos=tos,
            options=options,
            mark=_reply_mark(net, skb),
            socket=KERNEL_SOCKET,
            cause=skb,
        )


@contextmanager
def _sending(net: Namespace) -> Iterator[None]:
    """Hold the kernel's socket for ICMP: what happens to a message on its way is told to nobody.

    Source: net/ipv4/icmp.c `icmp_xmit_lock`.
    """
    net.sends_icmp = True
    try:
        yield
    finally:
        net.sends_icmp = False


def _may_answer(skb: Skb) -> bool:
    """Return whether an error about `skb` is allowed at all."""
    header, decision = skb.header, skb.route
    if skb.packet_type is not PacketType.HOST or header.offset:
        return False
    if decision is not None and decision.kind in (RouteType.BROADCAST, RouteType.MULTICAST):
        return False
    if header.protocol == ICMP:
        kind = skb.payload[:1]
        if not kind or kind[0] > _LAST_TYPE or kind[0] in _NEVER_ANSWERED:
            return False
    return True


def _is_limited(net: Namespace, kind: int, code: int) -> bool:
    """Return whether `icmp_ratemask` limits this. Source: `icmpv4_mask_allow`."""
    if kind == icmp.UNREACHABLE and code == icmp.FRAGMENTATION_NEEDED:
        return False
    return bool(net.sysctl.number("net.ipv4.icmp_ratemask") >> kind & 1)


def _error_source(net: Namespace, skb: Skb) -> bytes:
    """Return the address an error comes from: the one addressed, if it is ours, else routing's choice."""
    if skb.route is not None and skb.route.kind is RouteType.LOCAL and skb.device is not None:
        return skb.header.dst
    if skb.device is not None and net.sysctl.number("net.ipv4.icmp_errors_use_inbound_ifaddr"):
        chosen = inetdev.select_source(net.devices.values(), skb.device, skb.src, Scope.LINK)
        return ANY_IP4 if chosen is None else chosen
    return ANY_IP4


def _reply_mark(net: Namespace, skb: Skb) -> int:
    return skb.mark if net.sysctl.number("net.ipv4.fwmark_reflect") else 0


# --- hearing ---


def receive(net: Namespace, skb: Skb) -> None:
    """Take an ICMP message for this host. Source: `icmp_rcv`."""
    payload = skb.payload
    try:
        header = Icmp.parse(payload)
    except HeaderError as error:
        net.drop(skb, DropReason.PKT_TOO_SMALL, str(error))
        return
    if not checksum.verifies(payload):
        net.drop(skb, DropReason.ICMP_CSUM)
        return
    if header.type > _LAST_TYPE:
        net.drop(skb, DropReason.INVALID_PROTO, f"ICMP type {header.type}")
        return
    assert skb.route is not None, "routed before"
    to_all = skb.route.kind in (RouteType.BROADCAST, RouteType.MULTICAST)
    if to_all and not _answers_broadcast(net, header.type):
        net.drop(skb, DropReason.INVALID_PROTO, "an ICMP message to a broadcast address")
    elif header.type == icmp.ECHO:
        _echo(net, skb, header, payload[icmp.HEADER_LENGTH :])
    elif header.type == icmp.TIMESTAMP:
        _timestamp(net, skb, header, payload[icmp.HEADER_LENGTH :])
    elif header.type in icmp.ERRORS:
        _error(net, skb, header, payload[icmp.HEADER_LENGTH :])
    else:
        net.note(skb, "icmp", f"type {header.type} is for sockets only")


def _answers_broadcast(net: Namespace, kind: int) -> bool:
    if kind in (icmp.ECHO, icmp.TIMESTAMP):
        return not net.sysctl.number("net.ipv4.icmp_echo_ignore_broadcasts")
    return kind == icmp.ECHO_REPLY


def _echo(net: Namespace, skb: Skb, request: Icmp, data: bytes) -> None:
    """Answer an echo with the same code, identifier, sequence number, data and TOS. Source: `icmp_echo`."""
    if net.sysctl.number("net.ipv4.icmp_echo_ignore_all"):
        net.drop(skb, DropReason.NOT_SPECIFIED, "icmp_echo_ignore_all is 1")
        return
    reply = icmp.build(icmp.ECHO_REPLY, request.code, data, word1=request.word1, word2=request.word2)
    _reply(net, skb, "echo", reply)


def _timestamp(net: Namespace, skb: Skb, request: Icmp, data: bytes) -> None:
    """Answer with the sender's time and, twice, the present one. Source: `icmp_timestamp`."""
    if len(data) < _TIMESTAMP_LENGTH:
        net.drop(skb, DropReason.PKT_TOO_SMALL, "no room for a timestamp")
        return
    times = data[:_TIMESTAMP_LENGTH] + time_of_day(net.now) * 2
    reply = icmp.build(icmp.TIMESTAMP_REPLY, 0, times, word1=request.word1, word2=request.word2)
    _reply(net, skb, "icmp", reply)


def _reply(net: Namespace, skb: Skb, stage: str, reply: bytes) -> None:
    """Send `reply` to the sender of `skb`. Source: `icmp_reply`."""
    assert skb.route is not None, "routed before"
    echoed = ip_options_echo.echo(net, skb)
    if echoed is None:
        net.note(skb, stage, "not answered: no room in an IP option")
        return
    net.note(skb, stage, "answered")
    src = skb.header.dst if skb.route.kind is RouteType.LOCAL else ANY_IP4
    tos, mark = skb.header.tos, _reply_mark(net, skb)
    try:
        decision = routing.route_output(net, echoed.dst, src=src, tos=tos, mark=mark)
        src = ipv4.source_of(decision, src)
        with _sending(net):
            ipv4.send(
                net,
                protocol=ICMP,
                dst=echoed.dst,
                payload=reply,
                src=src,
                decision=decision,
                tos=tos,
                mark=mark,
                socket=KERNEL_SOCKET,
                options=echoed.fill(src, net.now),
            )
    except OSError as error:
        if error.errno != errno.EPERM:  # what netfilter refuses has a way, and its own drop
            net.note(skb, "unrouted", f"the reply has no way: {error.strerror}")


def _error(net: Namespace, skb: Skb, header: Icmp, quoted: bytes) -> None:
    """Hand an error to whom it concerns. Source: `icmp_unreach`, `icmp_redirect`, `icmp_socket_deliver`."""
    try:
        inner = Ipv4.parse(quoted)
    except HeaderError:
        net.drop(skb, DropReason.PKT_TOO_SMALL, "no packet is quoted")
        return
    rest = quoted[inner.header_length :]
    if inner.header_length < MIN_HEADER or len(rest) < icmp.HEADER_LENGTH:
        net.drop(skb, DropReason.PKT_TOO_SMALL, "too little is quoted")
        return
    mtu = _reported_mtu(header, inner)
    net.note(skb, "icmp", f"type {header.type} code {header.code} about a packet to {IpAddress(inner.dst)}")
    if header.type == icmp.REDIRECT:
        _redirected(net, skb, header, inner, rest)
        return
    raw.error(net, inner, header, mtu)
    if inner.protocol == UDP:
        udp.error(net, inner, rest, header, mtu)
    elif inner.protocol == TCP:
        tcp.error(net, inner, rest, header.type, header.code, mtu)
    elif inner.protocol == SCTP:
        sctp.error(net, inner, rest, header.type, header.code, mtu)
    elif inner.protocol == IPIP:
        ipip.error(net, inner, mtu)
    elif inner.protocol == ICMP and mtu and rest[0] == icmp.ECHO_REPLY:
        path.learn_mtu(net, inner.dst, mtu)


def _redirected(net: Namespace, skb: Skb, header: Icmp, inner: Ipv4, rest: bytes) -> None:
    """Follow a redirect, if it is about a packet that a socket here, or the kernel itself, may have sent."""
    senders = {UDP: udp.has_sender, TCP: tcp.has_sender, SCTP: sctp.has_sender, ICMP: raw.has_sender}
    is_ours = senders.get(inner.protocol)
    if skb.device is not None and is_ours is not None and is_ours(net, inner, rest):
        gateway = IpAddress.from_int(header.word1 << 16 | header.word2)
        path.learn_gateway(net, inner.dst, gateway, skb.header.src, skb.device)


def _reported_mtu(header: Icmp, inner: Ipv4) -> int:
    """Return the MTU that *fragmentation needed* reports, 0 for any other message.

    A router from before RFC 1191 reports 0; then it is guessed from the length
    of what did not fit. Source: RFC 1191 §7, net/ipv4/route.c `ip_rt_frag_needed`.
    """
    if (header.type, header.code) != (icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED):
        return 0
    if header.word2:
        return header.word2
    plateaus = (32000, 17914, 8166, 4352, 2002, 1492, 576, 296, 216, 128, 68)
    return next((plateau for plateau in plateaus if plateau < inner.total_length), 68)
