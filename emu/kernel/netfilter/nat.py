# SPDX-License-Identifier: GPL-2.0-only
"""NAT: decided once for a connection, carried out on every packet of it.

    PREROUTING, OUTPUT    the destination: the first packet walks the chains of
                          table nat, and `setup` changes the reply tuple
    INPUT, POSTROUTING    the source, in the same way

The two tuples of a connection say all there is to do: a packet of one direction
gets the addresses that an answer to the other direction's tuple would have. So
answers are translated back without a look at any rule, and a connection keeps
its translation when its rule is gone.

Source: net/netfilter/nf_nat_core.c `nf_nat_inet_fn`, nf_nat_proto.c.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from emu.kernel import routing
from emu.kernel.facts import End, Translated
from emu.kernel.netfilter import nat_error
from emu.kernel.netfilter.conntrack.entry import CtInfo, Direction, Status
from emu.kernel.netfilter.conntrack.tuples import ICMP, Tuple
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.nat_ports import unique_tuple
from emu.kernel.netfilter.nat_range import NatRange
from emu.kernel.netfilter.verdict import Verdict
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emu.kernel.netfilter.conntrack.entry import Connection
    from emu.kernel.netfilter.packet import Packet

    Chain = Callable[[Packet], Verdict]

_ACCEPT: Final = Verdict.ACCEPT
_DROP: Final = Verdict.DROP
_ORIGINAL, _REPLY = Direction
_RELATED: Final = (CtInfo.RELATED, CtInfo.RELATED_REPLY)
_MAY_BEGIN: Final = (CtInfo.NEW, *_RELATED)


class Manip(enum.IntEnum):
    """Which end of a packet is changed (`enum nf_nat_manip_type`)."""

    SRC = 0
    DST = 1


_SRC, _DST = Manip
_DONE: Final = (Status.SRC_NAT_DONE, Status.DST_NAT_DONE)  # by `Manip`, as the next two
_CHANGED: Final = (Status.SRC_NAT, Status.DST_NAT)
_CHANGED_FOR_REPLIES: Final = (Status.DST_NAT, Status.SRC_NAT)
_MANIP_AT: Final = {Hook.PREROUTING: _DST, Hook.OUTPUT: _DST, Hook.INPUT: _SRC, Hook.POSTROUTING: _SRC}


def translate(packet: Packet, chains: Sequence[Chain]) -> Verdict:
    """Do what the connection of `packet` asks for at its hook; let `chains` decide for a first packet.

    Source: `nf_nat_ipv4_fn`, `nf_nat_inet_fn`.
    """
    skb = packet.skb
    connection = skb.connection
    if connection is None:
        return _ACCEPT
    manip = _MANIP_AT[packet.hook]
    info = skb.ctinfo
    is_first = False
    if info in _MAY_BEGIN:
        if info in _RELATED and skb.header.protocol == ICMP:
            return nat_error.translate(packet, connection, manip is _SRC)
        is_first = not connection.status & _DONE[manip]
    if is_first:
        verdict = _decide(packet, connection, manip, chains)
        if verdict is not _ACCEPT:
            return verdict
    elif connection.masquerade and _left_by_another_device(packet, connection, info):
        packet.net.netfilter.conntrack.delete(connection, packet.net.now)
        packet.because = f"masqueraded by {connection.masquerade}, leaves by {packet.oif}"
        return _DROP
    return _apply(packet, connection, manip)


def _decide(packet: Packet, connection: Connection, manip: Manip, chains: Sequence[Chain]) -> Verdict:
    """Walk the chains; where none binds the connection, bind it to the address that it has."""
    for chain in chains:
        verdict = chain(packet)
        if verdict is not _ACCEPT:
            return verdict
        if connection.status & _DONE[manip]:
            return _ACCEPT
    own = IpAddress(connection.reply.dst if manip is _SRC else connection.reply.src)
    return setup(packet, NatRange(own, own), manip)


def _left_by_another_device(packet: Packet, connection: Connection, info: CtInfo) -> bool:
    """Return whether a masqueraded connection leaves by another device. Source: `nf_nat_oif_changed`."""
    return (
        packet.hook is Hook.POSTROUTING
        and info.direction is _ORIGINAL
        and connection.masquerade != packet.oif
    )


def setup(packet: Packet, range_: NatRange, manip: Manip) -> Verdict:
    """Bind the connection of `packet` to an end within `range_`; ACCEPT, or DROP if that was done before.

    Source: `nf_nat_setup_info`.
    """
    net = packet.net
    connection = packet.skb.connection
    if connection is None:
        return _ACCEPT
    if connection.status & _DONE[manip]:
        return _DROP
    present = connection.reply.invert()
    chosen = unique_tuple(net, connection, present, range_, is_source=manip is _SRC)
    if chosen != present:
        connection.reply = chosen.invert()
        connection.status |= _CHANGED[manip]
    connection.status |= _DONE[manip]
    return _ACCEPT


def _apply(packet: Packet, connection: Connection, manip: Manip) -> Verdict:
    """Rewrite the packet at its hook. Source: `nf_nat_packet`, `nf_nat_manip_pkt`."""
    if packet.skb.ctinfo.direction is _REPLY:
        wanted, answer = _CHANGED_FOR_REPLIES[manip], connection.original
    else:
        wanted, answer = _CHANGED[manip], connection.reply
    if not connection.status & wanted or _rewrite(packet, answer, is_source=manip is _SRC):
        return _ACCEPT
    packet.because = "NAT finds no whole transport header"
    return _DROP


def _rewrite(packet: Packet, answer: Tuple, *, is_source: bool) -> bool:
    """Give the packet the end that its `answer` will name; return whether it could."""
    skb, net = packet.skb, packet.net
    address, port = (answer.dst, answer.dport) if is_source else (answer.src, answer.sport)
    if answer.protocol == ICMP:
        port = answer.sport
    if net.recorder is None:
        return skb.translate(address, port, is_source=is_source)
    before = _end(packet, is_source=is_source)
    done = skb.translate(address, port, is_source=is_source)
    net.note(
        skb,
        "nat",
        Translated(is_source, _end(packet, is_source=is_source), before),
    )
    return done


def _end(packet: Packet, *, is_source: bool) -> End:
    header = packet.skb.header
    address = IpAddress(header.src if is_source else header.dst)
    ports = packet.ports
    return End(address, None if ports is None else ports[not is_source])


def rerouting(run: Chain) -> Chain:
    """Return `run`, then a new route for packets of this host that go elsewhere now.

    Source: net/netfilter/nf_nat_proto.c `nf_nat_ipv4_local_fn`.
    """

    def function(packet: Packet) -> Verdict:
        verdict = run(packet)
        connection = packet.skb.connection
        if verdict is not _ACCEPT or connection is None:
            return verdict
        direction = packet.skb.ctinfo.direction
        if connection.tuples[direction].dst == connection.tuples[not direction].src or reroute(packet):
            return _ACCEPT
        packet.because = "no route for the packet as NAT changed it"
        return _DROP

    return function


def reroute(packet: Packet) -> bool:
    """Route a packet of this host anew after a rule changed it; return whether there is a way.

    Source: net/ipv4/netfilter.c `ip_route_me_harder`.
    """
    net, skb = packet.net, packet.skb
    header = skb.header
    is_ours = net.fib.address_type(IpAddress(header.src)).value in ("local", "unicast")
    try:
        decision = routing.route_output(
            net,
            IpAddress(header.dst),
            src=header.src if is_ours else b"\0" * 4,
            any_source=True,
            mark=skb.mark,
            tos=header.tos,
        )
    except OSError:
        return False
    skb.route = decision
    return True
