# SPDX-License-Identifier: GPL-2.0-only
"""The hook functions of connection tracking.

    PREROUTING, OUTPUT    `defragment`, then `track`: which connection is this packet of?
    INPUT, POSTROUTING    `confirm`: it got through; its connection stands

A packet that fits no connection and begins none goes on without one: rules see
it as INVALID. Source: net/netfilter/nf_conntrack_core.c `nf_conntrack_in`,
`resolve_normal_ct`, `init_conntrack`; nf_conntrack_proto_icmp.c;
net/ipv4/netfilter/nf_defrag_ipv4.c.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from emu.kernel import fragment
from emu.kernel.drops import DropReason
from emu.kernel.effects import Parked
from emu.kernel.facts import INSERT_FAILED, TABLE_FULL, Invalid, Overtaken
from emu.kernel.netfilter.conntrack import generic, icmp, sctp, tcp, udp
from emu.kernel.netfilter.conntrack.entry import CtInfo, Direction, Status
from emu.kernel.netfilter.conntrack.protocol import Tracked
from emu.kernel.netfilter.conntrack.table import EventKind
from emu.kernel.netfilter.conntrack.tuples import ICMP, INVERSE_ICMP, Tuple
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.packet import PORT_PROTOCOLS, Packet
from emu.kernel.netfilter.verdict import Verdict
from emu.wire import icmp as wire_icmp
from emu.wire.ipv4 import MIN_HEADER, OFFSET_MASK, TCP, UDP

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.conntrack.entry import Connection
    from emu.kernel.netfilter.conntrack.table import Found
    from emu.kernel.skb import Skb

    Tracker = Callable[..., Tracked]

_ACCEPT: Final = Verdict.ACCEPT
_DROP: Final = Verdict.DROP
_STOLEN: Final = Verdict.STOLEN
_REPLY: Final = Direction.REPLY
_SEEN_REPLY: Final = Status.SEEN_REPLY
_NEW, _ESTABLISHED, _RELATED = CtInfo.NEW, CtInfo.ESTABLISHED, CtInfo.RELATED
_ESTABLISHED_REPLY, _RELATED_REPLY = CtInfo.ESTABLISHED_REPLY, CtInfo.RELATED_REPLY
_UNTRACKED, _INVALID = CtInfo.UNTRACKED, CtInfo.INVALID
_DCCP: Final = 33  # Linux 6.16 has forgotten its ports
_SCTP: Final = 132
_UDP_LITE: Final = 136
_QUOTED_PORTS: Final = 4
_QUOTED_PPTP: Final = 8
_PPP: Final = b"\x88\x0b"

TRACKERS: Final[dict[int, Tracker]] = {
    TCP: tcp.packet,
    UDP: udp.packet,
    _UDP_LITE: udp.packet,
    ICMP: icmp.packet,
    _SCTP: sctp.packet,
}
"""By protocol; all others are `generic`'s."""


def defragment(packet: Packet) -> Verdict:
    """Hold fragments back until their packet is whole again. Source: `ipv4_conntrack_defrag`."""
    skb = packet.skb
    if not skb.header.is_fragment:
        return _ACCEPT
    if skb.ctinfo is _UNTRACKED:
        return _ACCEPT
    if fragment.gather(packet.net, skb) is None:
        return _STOLEN
    skb.ignore_df = True
    return _ACCEPT


def track(packet: Packet) -> Verdict:
    """Find the connection of `packet`, or begin one."""
    skb, net = packet.skb, packet.net
    if skb.connection is not None or skb.ctinfo is _UNTRACKED:
        return _ACCEPT
    stats = net.netfilter.conntrack.stats
    header = skb.header
    if header.fragment & OFFSET_MASK:
        stats["error"] += 1
        return _ACCEPT
    verify = packet.hook is Hook.PREROUTING and bool(net.sysctl.number("net.netfilter.nf_conntrack_checksum"))
    if header.protocol == ICMP:
        fault = icmp.fault(net, skb, verify_checksum=verify)
        if fault:
            return _invalid(packet, fault)
        if skb.payload[0] in wire_icmp.ERRORS:
            _relate(packet)
            return _ACCEPT
    tuple_ = tuple_of(skb)
    if tuple_ is None:
        return _invalid(packet, "a header is cut short")
    return _resolve(packet, tuple_, verify=verify)


def tuple_of(skb: Skb) -> Tuple | None:
    """Return the tuple of the packet; None if it is cut short or has none. Source: `nf_ct_get_tuple`."""
    header = skb.header
    return quoted_tuple(header.src, header.dst, header.protocol, skb.packet, header.header_length)


def quoted_tuple(src: bytes, dst: bytes, protocol: int, packet: bytes, at: int) -> Tuple | None:
    """Return the tuple of a packet whose transport header begins at octet `at` of `packet`.

    The second version of GRE carries PPP, whose calls have a number; anything
    else in it has no tuple. Source: nf_conntrack_proto_gre.c `gre_pkt_to_tuple`.
    """
    if protocol in PORT_PROTOCOLS and protocol != _DCCP:
        if len(packet) < at + _QUOTED_PORTS:
            return None
        sport, dport = packet[at] << 8 | packet[at + 1], packet[at + 2] << 8 | packet[at + 3]
        return Tuple(src, dst, protocol, sport, dport)
    if protocol == ICMP:
        if len(packet) < at + wire_icmp.HEADER_LENGTH:
            return None
        identifier = packet[at + 4] << 8 | packet[at + 5]
        return Tuple(src, dst, ICMP, identifier, packet[at] << 8 | packet[at + 1])
    if protocol == generic.GRE and len(packet) >= at + _QUOTED_PPTP and packet[at + 1] & 7 == 1:
        call = packet[at + 6] << 8 | packet[at + 7]
        is_ppp = packet[at + 2 : at + 4] == _PPP
        return Tuple(src, dst, protocol, 0, call) if is_ppp else None
    return Tuple(src, dst, protocol)


def _invalid(packet: Packet, why: str) -> Verdict:
    net, skb = packet.net, packet.skb
    skb.connection, skb.ctinfo = None, _INVALID
    net.netfilter.conntrack.stats["invalid"] += 1
    if net.recorder is not None:
        net.note(skb, "conntrack", Invalid(why, is_verdict=True))
    return _ACCEPT


def _resolve(packet: Packet, tuple_: Tuple, *, verify: bool) -> Verdict:
    """Find or begin the connection with `tuple_` and let its protocol judge the packet."""
    net, skb = packet.net, packet.skb
    table = net.netfilter.conntrack
    tracker = TRACKERS.get(tuple_.protocol, generic.packet)
    zones = skb.zones
    while True:
        found = _find(net, tuple_, zones)
        if found is None:
            connection = _begin(packet, tuple_)
            if connection is None:
                return (
                    _table_full(packet) if _has_inverse(tuple_) else _invalid(packet, "begins no connection")
                )
            info = _NEW
        else:
            connection = found.connection
            info = _info(connection, found.direction)
        before = _told(connection) if table.listening else None
        answer = tracker(net, skb, connection, info, verify_checksum=verify)
        if answer is Tracked.REPEAT:
            continue
        break
    if answer is Tracked.INVALID:
        return _invalid(packet, f"no packet for {describe(net, connection)}")
    if answer is Tracked.DROP:
        table.stats["drop"] += 1
        table.stats["invalid"] += 1
        packet.because = "connection tracking"
        return _DROP
    skb.connection, skb.ctinfo = connection, info
    if answer is not Tracked.UNCOUNTED:
        connection.packets[info.direction] += 1
        connection.octets[info.direction] += len(skb.packet)
    if answer is Tracked.LAST:
        table.delete(connection, net.now)
        before = None
    if info is _ESTABLISHED_REPLY and not connection.status & _SEEN_REPLY:
        connection.status |= _SEEN_REPLY
    if before is not None and connection.is_confirmed and before != _told(connection):
        table.tell(EventKind.UPDATE, connection, net.now)
    if net.recorder is not None:
        net.note(skb, "conntrack", describe_packet(net, skb))
    return _ACCEPT


def _told(connection: Connection) -> tuple[int, str]:
    """Return what makes an event when it changes: the status, and the state of the protocol."""
    return connection.status, getattr(connection.tracker, "name", "")


def _find(net: Namespace, tuple_: Tuple, zones: tuple[int, int]) -> Found | None:
    """Return the connection that has `tuple_` in a direction, and there the packet's zone of it.

    Source: `resolve_normal_ct`, `nf_ct_zone_equal`.
    """
    table = net.netfilter.conntrack
    found = table.find(tuple_, net.now, zones[0])
    if zones[0] == zones[1]:
        return found
    if found is None or found.direction is _REPLY:
        found = table.find(tuple_, net.now, zones[1])
        if found is not None and found.direction is not _REPLY:
            return None
    return found


def _info(connection: Connection, direction: Direction) -> CtInfo:
    """Return what a packet in `direction` is to the connection. Source: `resolve_normal_ct`."""
    if direction is _REPLY:
        return _ESTABLISHED_REPLY
    if connection.status & _SEEN_REPLY:
        return _ESTABLISHED
    return _RELATED if connection.status & Status.EXPECTED else _NEW


def _has_inverse(tuple_: Tuple) -> bool:
    return tuple_.protocol != ICMP or tuple_.type in INVERSE_ICMP


def _begin(packet: Packet, tuple_: Tuple) -> Connection | None:
    """Return a new connection; None if nothing answers such a packet, or the table is full."""
    net, skb = packet.net, packet.skb
    table = net.netfilter.conntrack
    if not _has_inverse(tuple_):
        return None
    limit = net.sysctl.number("net.netfilter.nf_conntrack_max")
    if limit and table.count >= limit and not table.make_room(net.now):
        return None
    return table.begin(tuple_, tuple_.invert(), zones=skb.zones)


def _table_full(packet: Packet) -> Verdict:
    packet.net.netfilter.conntrack.stats["drop"] += 1
    packet.because = TABLE_FULL
    return _DROP


def _relate(packet: Packet) -> None:
    """Give an ICMP error the connection of the packet that it quotes. Source: `nf_conntrack_inet_error`."""
    net, skb = packet.net, packet.skb
    at = skb.header.header_length + wire_icmp.HEADER_LENGTH
    inner = skb.packet[at:]
    quoted = None
    if len(inner) >= MIN_HEADER and not int.from_bytes(inner[6:8], "big") & OFFSET_MASK:
        quoted = quoted_tuple(inner[12:16], inner[16:20], inner[9], inner, (inner[0] & 15) * 4)
    if quoted is None or not _has_inverse(quoted):
        _invalid(packet, "quotes no packet of a connection")
        return
    found = _find(net, quoted.invert(), skb.zones)
    if found is None:
        _invalid(packet, "quotes a packet of no connection")
        return
    connection = found.connection
    if connection.tuples[found.direction].dst != skb.header.dst:
        _invalid(packet, "is not for the one whose packet it quotes")
        return
    skb.connection = connection
    skb.ctinfo = _RELATED_REPLY if found.direction is _REPLY else _RELATED
    if net.recorder is not None:
        net.note(skb, "conntrack", describe_packet(net, skb))


def confirm(packet: Packet) -> Verdict:
    """Enter the connection of a first packet that got through. Source: `__nf_conntrack_confirm`."""
    skb, net = packet.skb, packet.net
    connection = skb.connection
    if connection is None or connection.status & Status.CONFIRMED:
        return _ACCEPT
    if skb.ctinfo.direction is _REPLY:
        return _ACCEPT
    if net.race is not None and packet.hook is Hook.POSTROUTING and net.race.overtakes(packet):
        if net.recorder is not None:
            net.note(skb, "conntrack", Overtaken())
        net.emit(Parked(partial(_go_on, skb=skb)))
        return _STOLEN
    return _enter(packet, connection)


def _go_on(net: Namespace, skb: Skb) -> None:
    """Confirm what was overtaken, and let it leave."""
    from emu.kernel import ipv4  # noqa: PLC0415 - it stands above

    assert skb.route is not None, "it was about to leave"
    assert skb.connection is not None, "it has begun one"
    packet = Packet(net, skb, Hook.POSTROUTING, in_device=skb.device, out_device=skb.route.device)
    if _enter(packet, skb.connection) is _ACCEPT:
        ipv4.walk(net, skb, ipv4.leave)
    else:
        skb.refused = True
        net.drop(skb, DropReason.NETFILTER_DROP, packet.because)


def _enter(packet: Packet, connection: Connection) -> Verdict:
    """Enter a connection, unless another has its tuples."""
    net = packet.net
    table = net.netfilter.conntrack
    if connection.status & Status.DYING:
        table.stats["insert_failed"] += 1
        packet.because = "the connection was deleted meanwhile"
        return _DROP
    clash = table.confirm(connection, net.now)
    if clash is None:
        return _ACCEPT
    return _resolve_clash(packet, connection, clash.connection)


def _resolve_clash(packet: Packet, loser: Connection, winner: Connection) -> Verdict:
    """Let a packet that lost the race join the connection that won, if it is the same.

    If only the original tuple is (rules of NAT decided otherwise for each), the
    loser stands for a second, so that its answers are translated back.
    Source: `nf_ct_resolve_clash`.
    """
    skb, net = packet.skb, packet.net
    table = net.netfilter.conntrack
    if loser.protocol in _MAY_CLASH:
        if not _is_same(loser, winner) and not (net.race is not None and net.race.is_harsh):
            found = table.find(loser.reply, net.now, loser.zones[_REPLY])
            if found is None:
                table.confirm_answers(loser, net.now)
                table.stats["clash_resolve"] += 1
                return _ACCEPT
            winner = found.connection
        if _is_same(loser, winner):
            way = skb.ctinfo.direction
            winner.count(way, loser.octets[way])
            skb.connection = winner
            table.stats["clash_resolve"] += 1
            return _ACCEPT
    table.stats["insert_failed"] += 1
    table.stats["drop"] += 1
    packet.because = INSERT_FAILED
    return _DROP


def _is_same(loser: Connection, winner: Connection) -> bool:
    return (loser.tuples, loser.zones) == (winner.tuples, winner.zones)


_MAY_CLASH: Final = frozenset((UDP, _UDP_LITE, 47))


def describe(net: Namespace, connection: Connection) -> str:
    """Return a connection in a few words."""
    original, reply = connection.tuples
    state = getattr(connection.tracker, "name", "")
    words = [_protocol_name(original.protocol), state, _ends(original)]
    if reply != original.invert():
        words.append(f"answers {_ends(reply)}")
    if connection.is_confirmed and connection.expires <= net.now:
        words.append("expired")
    return " ".join(word for word in words if word)


def describe_packet(net: Namespace, skb: Skb) -> str:
    """Return what conntrack thinks of a packet."""
    if skb.connection is None:
        return skb.ctinfo.name
    name = skb.ctinfo.name.removesuffix("_REPLY")
    way = "reply" if skb.ctinfo.direction is _REPLY else "original"
    return f"{name} {way}: {describe(net, skb.connection)}"


def _protocol_name(number: int) -> str:
    return {ICMP: "icmp", TCP: "tcp", UDP: "udp", _SCTP: "sctp", _UDP_LITE: "udplite"}.get(
        number, str(number)
    )


def _ends(tuple_: Tuple) -> str:
    src, dst = (".".join(map(str, address)) for address in (tuple_.src, tuple_.dst))
    if tuple_.protocol == ICMP:
        return f"{src} > {dst} type {tuple_.type} id {tuple_.sport}"
    if tuple_.protocol in PORT_PROTOCOLS:
        return f"{src}:{tuple_.sport} > {dst}:{tuple_.dport}"
    return f"{src} > {dst}"
