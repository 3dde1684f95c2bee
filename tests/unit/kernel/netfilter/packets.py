# SPDX-License-Identifier: GPL-2.0-only
"""Packets at a hook, to be asked by a match or changed by a target."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from emu.kernel.link.veth import Veth
from emu.kernel.namespace import Namespace
from emu.kernel.netfilter.conntrack.entry import Connection, CtInfo
from emu.kernel.netfilter.conntrack.tuples import Tuple
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.packet import Packet
from emu.kernel.skb import Skb
from emu.sim.choice import DrawnChoice
from emu.sim.time import SECOND, Instant
from emu.wire import icmp, ipv4, tcp, udp
from emu.wire.addresses import IpAddress, MacAddress

if TYPE_CHECKING:
    from emu.kernel.netfilter.ruleset import Match

CLIENT: Final = IpAddress.parse("10.0.0.1")
SERVER: Final = IpAddress.parse("10.1.0.2")
MAC: Final = MacAddress.parse("02:00:00:00:00:01")


def node() -> Namespace:
    """Return a namespace with two devices, `eth0` and `eth1`."""
    net = Namespace("node", random=random.Random(1), choice=DrawnChoice(random.Random(2)))
    for number in range(2):
        net.add_device(f"eth{number}", Veth(), MacAddress.parse(f"02:00:00:00:01:0{number}"), mtu=1500)
    return net


def datagram(sport: int = 1000, dport: int = 53, payload: bytes = b"hello") -> bytes:
    """Return a datagram from the client to the server."""
    return ipv4.build(17, CLIENT, SERVER, udp.build(CLIENT, SERVER, sport, dport, payload))


def segment(
    sport: int = 1000,
    dport: int = 80,
    flags: int = tcp.SYN,
    *,
    seq: int = 100,
    ack: int = 0,
    options: bytes = b"",
    payload: bytes = b"",
) -> bytes:
    """Return a segment from the client to the server."""
    built = tcp.build(
        CLIENT,
        SERVER,
        sport,
        dport,
        seq=seq,
        ack=ack,
        flags=flags,
        window=1000,
        options=options,
        payload=payload,
    )
    return ipv4.build(6, CLIENT, SERVER, built, fragment=ipv4.DF)


def echo(kind: int = icmp.ECHO, code: int = 0) -> bytes:
    """Return an ICMP message from the client to the server."""
    return ipv4.build(1, CLIENT, SERVER, icmp.build(kind, code, b"data", word1=7, word2=1))


def fragment(octets: bytes) -> bytes:
    """Return the same packet as if it were a later fragment."""
    header = ipv4.Ipv4.parse(octets)
    return ipv4.build(header.protocol, header.src, header.dst, octets[20:], fragment=5)


def short(octets: bytes, length: int = 1) -> bytes:
    """Return the same packet with `length` octets of its payload alone."""
    header = ipv4.Ipv4.parse(octets)
    return ipv4.build(header.protocol, header.src, header.dst, octets[20 : 20 + length])


def at(
    octets: bytes,
    hook: Hook = Hook.FORWARD,
    net: Namespace | None = None,
    *,
    iif: str = "eth0",
    oif: str = "eth1",
    physin: str = "",
    physout: str = "",
) -> Packet:
    """Return a packet at `hook`, with the devices that it has there."""
    net = net or node()
    came_in = net.devices.get(iif) if hook in {Hook.PREROUTING, Hook.INPUT, Hook.FORWARD} else None
    leaves = net.devices.get(oif) if hook in {Hook.FORWARD, Hook.OUTPUT, Hook.POSTROUTING} else None
    skb = Skb(octets, 1, device=None if hook is Hook.OUTPUT else net.devices[iif], src_mac=MAC)
    return Packet(net, skb, hook, in_device=came_in, out_device=leaves, physin=physin, physout=physout)


def connect(packet: Packet, info: CtInfo = CtInfo.NEW, *, number: int = 1) -> Connection:
    """Give the packet a connection of its own, and return that."""
    header = packet.skb.header
    sport, dport = packet.ports or (0, 0)
    original = Tuple(header.src, header.dst, header.protocol, sport, dport)
    connection = Connection(number, original, original.invert())
    packet.skb.connection, packet.skb.ctinfo = connection, info
    return connection


def pass_time(packet: Packet, seconds: float) -> None:
    """Let the clock of the packet's namespace go on."""
    packet.net.now = Instant(packet.net.now + round(seconds * SECOND))


def drops(match: Match, packet: Packet) -> bool:
    """Return whether `match`, which must not hold, has the packet dropped."""
    assert not match.holds(packet)
    return packet.hotdrop
