# SPDX-License-Identifier: GPL-2.0-only
"""A gateway with rules: packets are put in, and what comes out is looked at.

    10.1.0.0/24 -- left 10.1.0.1 [gateway] 10.2.0.1 right -- 10.2.0.0/24 -- 10.77.0.0/24

    gateway = Gateway("*nat", "-A POSTROUTING -o right -j MASQUERADE", "COMMIT")
    (out,) = gateway.send("left", flow.packet())

All neighbours are known. The third place is `here`: the gateway itself sends,
and what is handed to its protocols comes out.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, NamedTuple
from unittest import mock

import attrs

from emu.cluster.network.rules_iptables import load
from emu.kernel import ipv4, rtnetlink
from emu.kernel.effects import Backlog, Drop, Transmit
from emu.kernel.fib import Nexthop, Route
from emu.kernel.link.veth import Veth
from emu.kernel.namespace import Namespace
from emu.kernel.nud import Nud
from emu.sim.choice import Choice, DrawnChoice
from emu.sim.time import START, Duration, later
from emu.testing.checks import wrong_checksums
from emu.wire import ethernet, icmp, tcp, udp
from emu.wire import ipv4 as wire_ipv4
from emu.wire.addresses import Interface, IpAddress, MacAddress, Prefix
from emu.wire.crc32c import sctp_checksum
from emu.wire.frame import Frame
from emu.wire.ipv4 import ICMP, TCP, UDP, Ipv4

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.effects import Effect
    from emu.kernel.netfilter.conntrack.entry import Connection
    from emu.kernel.skb import Skb

SCTP: Final = 132
HERE: Final = "here"
_WITH_NUMBERS: Final = frozenset((ICMP, TCP, UDP, SCTP))
_IPV4: Final = ethernet.IPV4.to_bytes(2, "big")
_MACS: Final = {"left": MacAddress.parse("02:00:00:00:01:01"), "right": MacAddress.parse("02:00:00:00:02:01")}
_NEIGHBOUR_MAC: Final = MacAddress.parse("02:00:00:00:00:0a")
_NETS: Final = {"left": "10.1.0", "right": "10.2.0"}
_LAST_NEIGHBOUR: Final = 40


def ip(text: str) -> IpAddress:
    """Return an address."""
    return IpAddress.parse(text)


@attrs.frozen
class Flow:
    """Who sends to whom; of an echo, `sport` is the identifier and `dport` its type and code."""

    protocol: int
    src: IpAddress
    dst: IpAddress
    sport: int
    dport: int

    @property
    def reply(self) -> Flow:
        """The flow of answers."""
        if self.protocol == ICMP:
            kind = icmp.ECHO_REPLY if self.dport >> 8 == icmp.ECHO else icmp.ECHO
            return attrs.evolve(self, src=self.dst, dst=self.src, dport=kind << 8)
        return Flow(self.protocol, self.dst, self.src, self.dport, self.sport)

    def payload(self, data: bytes = b"data", *, flags: int = tcp.SYN, seq: int = 1, ack: int = 0) -> bytes:
        """Return a transport unit of the flow, its checksum right."""
        if self.protocol == UDP:
            return udp.build(self.src, self.dst, self.sport, self.dport, data)
        if self.protocol == TCP:
            ends = self.src, self.dst, self.sport, self.dport
            return tcp.build(*ends, seq=seq, ack=ack, flags=flags, window=1000, payload=data)
        if self.protocol == ICMP:
            return icmp.build(self.dport >> 8, self.dport & 0xFF, data, word1=self.sport, word2=1)
        if self.protocol == SCTP:
            return _sctp_init(self.sport, self.dport) if ack == 0 else _sctp_init(self.sport, self.dport, 2)
        return data

    def packet(self, data: bytes = b"data", *, ttl: int = 64, **words: int) -> bytes:
        """Return an IP packet of the flow; see `payload`."""
        return wire_ipv4.build(
            self.protocol, self.src, self.dst, self.payload(data, **words), ttl=ttl, identification=7
        )

    @classmethod
    def of(cls, packet: bytes) -> Flow:
        """Return the flow of a packet, or of what an ICMP error quotes of one."""
        header = Ipv4.parse(packet)
        at = header.header_length
        ends = header.protocol, IpAddress(header.src), IpAddress(header.dst)
        if header.protocol not in _WITH_NUMBERS:
            return cls(*ends, 0, 0)
        first, second = (int.from_bytes(packet[at + place : at + place + 2], "big") for place in (0, 2))
        if header.protocol == ICMP:
            first, second = int.from_bytes(packet[at + 4 : at + 6], "big"), first
        return cls(*ends, first, second)


def _sctp_init(sport: int, dport: int, kind: int = 1) -> bytes:
    """Return an SCTP packet with an INIT chunk, or another of its form (2: INIT ACK)."""
    chunk = bytes((kind, 0, 0, 20)) + b"\0\0\0\x09" + bytes((0, 0, 16, 0, 0, 1, 0, 1)) + b"\0\0\0\1"
    tag = b"\0\0\0\0" if kind == 1 else b"\0\0\0\x09"
    body = sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + tag + b"\0\0\0\0" + chunk
    return body[:8] + sctp_checksum(body) + body[12:]


class Out(NamedTuple):
    """A packet that came out at `place`: `left`, `right` or `here`."""

    place: str
    packet: bytes

    @property
    def flow(self) -> Flow:
        """Its flow."""
        return Flow.of(self.packet)

    @property
    def header(self) -> Ipv4:
        """Its IP header."""
        return Ipv4.parse(self.packet)

    @property
    def body(self) -> bytes:
        """What follows its IP header."""
        return self.packet[self.header.header_length :]

    @property
    def is_error(self) -> bool:
        """Whether it is an ICMP error."""
        return self.header.protocol == ICMP and self.body[0] in icmp.ERRORS

    @property
    def quoted(self) -> bytes:
        """What an ICMP error quotes."""
        return self.body[icmp.HEADER_LENGTH :]

    @property
    def wrong_checksums(self) -> list[str]:
        """The layers whose checksum is wrong, the one that an ICMP error quotes left out."""
        wrong = wrong_checksums(bytes(12) + _IPV4 + self.packet)
        if self.header.protocol == SCTP and self.body[8:12] != sctp_checksum(self.body):
            wrong.append("SCTP")
        return wrong


class Gateway:
    """The gateway in the drawing.

    Attributes:
        net: its namespace.
        now: what it thinks the time is.
        drops: what it dropped, and the reasons, since the last look.
    """

    def __init__(self, *rules: str, seed: int = 0, choice: Choice | None = None) -> None:
        self.net = Namespace(
            "gw", random=random.Random(seed), choice=choice or DrawnChoice(random.Random(seed))
        )
        self.now = START
        self.drops: list[Drop] = []
        self._ids = iter(range(1, 1 << 62))
        net = self.net
        for key in ("all", "default"):
            net.sysctl.set(f"net.ipv4.conf.{key}.send_redirects", 0)
            net.sysctl.set(f"net.ipv4.conf.{key}.route_localnet", 1)
        rtnetlink.set_up(net, net.loopback)
        for name, prefix in _NETS.items():
            device = net.add_device(name, Veth(), _MACS[name], mtu=1500)
            rtnetlink.set_up(net, device)
            rtnetlink.add_address(net, device, Interface.parse(f"{prefix}.1/24"))
            for number in range(2, _LAST_NEIGHBOUR):
                net.neighbours.replace(name, ip(f"{prefix}.{number}"), _NEIGHBOUR_MAC, Nud.PERMANENT, START)
        beyond = Nexthop("right", ip(f"10.2.0.{_LAST_NEIGHBOUR - 1}"))
        net.fib.add(Route(Prefix.parse("10.77.0.0/24"), nexthops=(beyond,)))
        net.sysctl.set("net.ipv4.ip_forward", 1)
        net.sysctl.set("net.ipv4.icmp_ratemask", 0)
        self.load(*rules)
        net.take_effects()

    def load(self, *rules: str) -> None:
        """Replace the tables that `rules` name, lines of a text for iptables-restore."""
        if rules:
            load(self.net, "\n".join(rules) + "\n")

    def send(self, place: str, packet: bytes) -> list[Out]:
        """Have `packet` come in at `place`, or go out from here, and return what comes out."""
        taken: list[Out] = []

        def take(_net: Namespace, skb: Skb) -> None:
            taken.append(Out(HERE, skb.packet))

        with mock.patch.object(ipv4, "_protocols", take):
            effects = self._send(place, packet)
            found: list[Out] = []
            while effects:
                found += self._sent(effects)
                loops = [effect for effect in effects if isinstance(effect, Backlog)]
                effects = [each for loop in loops for each in self.net.backlog(*loop, self.now)]
        return found + taken

    def _send(self, place: str, packet: bytes) -> list[Effect]:
        number = next(self._ids)
        if place != HERE:
            link = ethernet.header(_MACS[place], _NEIGHBOUR_MAC, ethernet.IPV4)
            return self.net.receive(place, Frame(link + packet, number), self.now)
        header = Ipv4.parse(packet)
        self.net.now = self.now
        try:
            ipv4.send(
                self.net,
                protocol=header.protocol,
                src=header.src,
                dst=header.dst,
                payload=packet[header.header_length :],
                ttl=header.ttl,
            )
        except OSError:
            return self.net.take_effects()
        return self.net.take_effects()

    def _sent(self, effects: list[Effect]) -> Iterator[Out]:
        for effect in effects:
            if isinstance(effect, Transmit):
                octets = effect.frame.octets
                if octets[12:14] == _IPV4:
                    yield Out(effect.iface, octets[ethernet.HEADER_LENGTH :])
            elif isinstance(effect, Drop):
                self.drops.append(effect)

    def wait(self, duration: Duration) -> None:
        """Let time pass."""
        self.now = later(self.now, duration)

    def connections(self) -> list[Connection]:
        """Return the live connections."""
        return self.net.netfilter.conntrack.entries(self.now)
