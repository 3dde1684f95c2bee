# SPDX-License-Identifier: GPL-2.0-only
"""A router whose neighbours are known: packets go in, and what comes out is looked at.

    10.0.0.10 -- eth0 10.0.0.1 [router] 10.0.1.1 eth1 -- 10.0.1.2 -- 10.0.2.0/24

Addresses of 192.0.2.0/24 have no route.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel import rtnetlink
from emu.kernel.effects import Drop, Transmit
from emu.kernel.fib import Nexthop, Route
from emu.kernel.link.veth import Veth
from emu.kernel.namespace import Namespace
from emu.kernel.nud import Nud
from emu.sim.choice import DrawnChoice
from emu.sim.time import Instant
from emu.wire import ethernet, icmp, ipv4
from emu.wire.addresses import Interface, IpAddress, MacAddress, Prefix
from emu.wire.checksum import verifies
from emu.wire.frame import Frame
from emu.wire.icmp import Icmp
from emu.wire.ipv4 import ICMP, MIN_HEADER, Ipv4

if TYPE_CHECKING:
    from emu.kernel.drops import DropReason
    from emu.kernel.effects import Effect
    from emu.sim.time import Duration

SENDER: Final = IpAddress.parse("10.0.0.10")
ROUTER: Final = IpAddress.parse("10.0.0.1")
ROUTER_OUT: Final = IpAddress.parse("10.0.1.1")
NEXT: Final = IpAddress.parse("10.0.1.2")
FAR: Final = IpAddress.parse("10.0.2.12")
_MACS: Final = {"eth0": MacAddress.parse("02:00:00:00:00:01"), "eth1": MacAddress.parse("02:00:00:00:01:01")}
_NEIGHBOUR_MAC: Final = MacAddress.parse("02:00:00:00:00:0a")


class Sent(NamedTuple):
    """A packet that left, by `iface`."""

    iface: str
    packet: bytes

    @property
    def header(self) -> Ipv4:
        """Its IP header."""
        return Ipv4.parse(self.packet)

    @property
    def dst(self) -> IpAddress:
        """Its destination."""
        return IpAddress(self.header.dst)

    @property
    def src(self) -> IpAddress:
        """Its source."""
        return IpAddress(self.header.src)

    @property
    def options(self) -> bytes:
        """Its IP options."""
        return self.packet[MIN_HEADER : self.header.header_length]

    @property
    def icmp(self) -> Icmp:
        """Its ICMP header."""
        assert self.header.protocol == ICMP
        return Icmp.parse(self.packet[self.header.header_length :])

    @property
    def error(self) -> tuple[int, int, int]:
        """Type and code of an ICMP error, and the first octet of the word behind them."""
        return self.icmp.type, self.icmp.code, self.icmp.word1 >> 8

    @property
    def quoted(self) -> Sent:
        """The packet that an ICMP error quotes."""
        return Sent("", self.packet[self.header.header_length + icmp.HEADER_LENGTH :])

    @property
    def has_right_checksum(self) -> bool:
        """Whether the header checksum is right."""
        return verifies(self.packet[: self.header.header_length])


class Router:
    """The router in the drawing."""

    def __init__(self) -> None:
        self.net = Namespace("router", random=random.Random(1), choice=DrawnChoice(random.Random(2)))
        self.now = Instant(0)
        rtnetlink.set_up(self.net, self.net.loopback)
        for name, address in (("eth0", "10.0.0.1/24"), ("eth1", "10.0.1.1/24")):
            device = self.net.add_device(name, Veth(), _MACS[name], mtu=1500)
            rtnetlink.set_up(self.net, device)
            rtnetlink.add_address(self.net, device, Interface.parse(address))
        self.neighbour("eth0", SENDER)
        self.neighbour("eth1", NEXT)
        self.route("10.0.2.0/24", "eth1", NEXT)
        self.net.sysctl.set("net.ipv4.ip_forward", 1)
        self.net.take_effects()

    def neighbour(self, device: str, address: IpAddress) -> None:
        """Make `address` a neighbour that is never asked for."""
        self.net.neighbours.replace(device, address, _NEIGHBOUR_MAC, Nud.PERMANENT, self.now)

    def route(self, dst: str, device: str, gateway: IpAddress | None = None) -> None:
        """Make a route."""
        self.net.fib.add(Route(Prefix.parse(dst), nexthops=(Nexthop(device, gateway),)))

    def set(self, name: str, value: int) -> None:
        """Set `net.ipv4.NAME`."""
        self.net.sysctl.set(f"net.ipv4.{name}", value)

    def effects(self, packet: bytes, *, to: MacAddress | None = None) -> list[Effect]:
        """Receive `packet` on eth0 and return what follows."""
        header = ethernet.header(_MACS["eth0"] if to is None else to, _NEIGHBOUR_MAC, ethernet.IPV4)
        return self.net.receive("eth0", Frame(header + packet, 1), self.now)

    def receive(self, packet: bytes, *, to: MacAddress | None = None) -> list[Sent]:
        """Receive `packet` on eth0 and return the IP packets that leave."""
        return packets(self.effects(packet, to=to))

    def run(self, duration: Duration) -> list[Sent]:
        """Let `duration` pass and return the IP packets that leave meanwhile."""
        end = self.now + duration
        found = []
        while (deadline := self.net.neighbours.next_deadline) is not None and deadline <= end:
            self.now = deadline
            found += packets(self.net.timeout(deadline))
        self.now = Instant(end)
        return found

    def drops(self, packet: bytes) -> list[DropReason]:
        """Receive `packet` on eth0, see that nothing leaves, and return why it ended."""
        effects = self.effects(packet)
        assert packets(effects) == []
        return [effect.reason for effect in effects if isinstance(effect, Drop)]


def packets(effects: list[Effect]) -> list[Sent]:
    """Return the IP packets that left."""
    found = []
    for effect in effects:
        if isinstance(effect, Transmit):
            octets = effect.frame.octets
            if octets[12:14] == ethernet.IPV4.to_bytes(2, "big"):
                found.append(Sent(effect.iface, octets[ethernet.HEADER_LENGTH :]))
    return found


def echo(
    dst: IpAddress, *, options: bytes = b"", src: IpAddress = SENDER, ttl: int = 64, size: int = 4
) -> bytes:
    """Return an echo request; `options` are filled up with zeros."""
    payload = icmp.build(icmp.ECHO, 0, bytes(size), word1=1, word2=1)
    padded = options + bytes(-len(options) % 4)
    return ipv4.build(ICMP, src, dst, payload, ttl=ttl, identification=1, options=padded)
