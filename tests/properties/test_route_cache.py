# SPDX-License-Identifier: GPL-2.0-only
"""Remembered routing decisions change nothing: two routers, one of which never remembers, do the same."""

from __future__ import annotations

import random
import shlex
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs
from hypothesis import example, given
from hypothesis import strategies as st

from emu.apps import commands
from emu.errors import CommandError
from emu.kernel import inetdev, rtnetlink
from emu.kernel.link.veth import Veth
from emu.kernel.namespace import Namespace
from emu.kernel.nud import Nud
from emu.sim.choice import DrawnChoice
from emu.sim.time import SECOND, START, Instant, later
from emu.testing.lab import mac
from emu.wire import ethernet, icmp, ipv4, udp
from emu.wire.addresses import BROADCAST_MAC, Interface, IpAddress
from emu.wire.frame import Frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kernel.effects import Effect

DEVICES: Final = (0, 1, 2)
FAR: Final = ("10.5.0.1", "10.5.0.9", "10.6.0.1")
NEIGHBOURS: Final = tuple(f"10.0.{device}.{host}" for device in DEVICES for host in (2, 3))
OWN: Final = tuple(f"10.0.{device}.1" for device in DEVICES)
ADDRESSES: Final = (*FAR, *NEIGHBOURS, *OWN, "10.0.0.255", "255.255.255.255", "224.0.0.1", "127.0.0.1")
PREFIXES: Final = ("default", "10.5.0.0/24", "10.5.0.1", "10.6.0.0/16", "10.0.1.0/24")

PAUSES: Final = st.sampled_from((0, 0, 1, 301))  # a redirect is believed for 300 s


class Packet(NamedTuple):
    """A packet comes in, a while after what was before."""

    device: int
    src: str
    dst: str
    tos: int
    ttl: int
    is_for_all: bool
    pause: int  # seconds

    def frame(self) -> bytes:
        """Return its frame."""
        src, dst = IpAddress.parse(self.src), IpAddress.parse(self.dst)
        station = BROADCAST_MAC if self.is_for_all else mac(self.device)
        datagram = udp.build(src, dst, 1000, 2000, b"hello")
        packet = ipv4.build(ipv4.UDP, src, dst, datagram, ttl=self.ttl, tos=self.tos)
        return ethernet.header(station, mac(0x99), ethernet.IPV4) + packet


class Redirect(NamedTuple):
    """A neighbour says that another one is the better gateway."""

    device: int
    dst: str
    pause: int = 0

    def frame(self) -> bytes:
        """Return its frame."""
        own, teller, better = (IpAddress.parse(f"10.0.{self.device}.{host}") for host in (1, 2, 3))
        quoted = ipv4.build(
            ipv4.ICMP, own, IpAddress.parse(self.dst), icmp.build(icmp.ECHO_REPLY, 0, bytes(8))
        )
        words = int.from_bytes(better[:2], "big"), int.from_bytes(better[2:], "big")
        message = icmp.build(icmp.REDIRECT, icmp.REDIRECT_HOST, quoted, word1=words[0], word2=words[1])
        packet = ipv4.build(ipv4.ICMP, teller, own, message)
        return ethernet.header(mac(self.device), mac(0x99), ethernet.IPV4) + packet


class Command(NamedTuple):
    """A command line is run."""

    line: str
    pause: int = 0


Doing = Packet | Redirect | Command


def command_lines() -> st.SearchStrategy[str]:
    """Draw command lines that change where packets go, to the far networks above all."""
    device = st.sampled_from([f"eth{number}" for number in DEVICES])
    prefix, gateway = st.sampled_from(PREFIXES), st.sampled_from(NEIGHBOURS)
    verb, once = st.sampled_from(("add", "del", "replace")), st.sampled_from(("add", "add", "del"))
    kind = st.sampled_from(("unreachable", "prohibit", "blackhole", "throw", "local"))
    address = st.sampled_from((*OWN, "10.5.0.1", "10.6.0.1"))
    selector = st.sampled_from(("from 10.0.0.2", "to 10.5.0.0/24", "iif eth0", "tos 0x10", "not from all"))
    setting = st.sampled_from(("all.rp_filter", "eth0.rp_filter", "eth0.forwarding", "eth0.accept_local"))
    return st.one_of(
        st.builds("ip route {} {} via {}".format, verb, prefix, gateway),
        st.builds("ip route {} {} tos 0x10 via {}".format, verb, prefix, gateway),
        st.builds("ip route {} {} {}".format, verb, kind, prefix),
        st.builds("ip route {} {} nexthop via {} nexthop via {}".format, verb, prefix, gateway, gateway),
        st.builds("ip addr {} {}/24 dev {}".format, once, address, device),
        st.builds("ip link set {} {}".format, device, st.sampled_from(("up", "down", "mtu 900"))),
        st.builds("ip rule {} {} lookup 100".format, once, selector),
        st.builds("sysctl -w net.ipv4.conf.{}={}".format, setting, st.integers(0, 2)),
    )


def packets() -> st.SearchStrategy[Packet]:
    """Draw packets, most of them for the far networks, and a few that no router takes."""
    likely = st.builds(
        Packet,
        st.just(0),
        st.sampled_from(NEIGHBOURS[:2]),
        st.sampled_from(FAR[:2]),
        st.sampled_from((0, 0x10)),
        st.just(64),
        st.just(value=False),
        PAUSES,
    )
    address = st.sampled_from(ADDRESSES)
    device, tos, ttl = st.sampled_from(DEVICES), st.sampled_from((0, 0x10)), st.sampled_from((64, 1))
    return likely | st.builds(Packet, device, address, address, tos, ttl, st.booleans(), PAUSES)


def doings() -> st.SearchStrategy[list[Doing]]:
    """Draw packets, changes of the configuration and, rarely, redirects, after which nothing is remembered.

    The same few packets come again and again.
    """
    redirects = st.builds(Redirect, st.sampled_from(DEVICES), st.sampled_from(FAR), PAUSES)
    changes = st.builds(Command, command_lines(), PAUSES)
    few = st.lists(packets(), min_size=2, max_size=4)
    return few.flatmap(lambda pool: _mixed(st.sampled_from(pool), changes, redirects))


def _mixed(
    packets: st.SearchStrategy[Packet],
    changes: st.SearchStrategy[Command],
    redirects: st.SearchStrategy[Redirect],
) -> st.SearchStrategy[list[Doing]]:
    def one(weight: int) -> st.SearchStrategy[Doing]:
        if weight < 5:
            return packets
        return changes if weight < 7 else redirects

    return st.lists(st.integers(0, 7).flatmap(one), min_size=15, max_size=60)


class Forgetful(dict[object, object]):
    """A dictionary in which nothing is ever found."""

    def get(self, key: object, default: object = None) -> object:
        """Find nothing."""
        del key
        return default


@attrs.define
class Router:
    """A namespace with three networks, whose neighbours are all known, and its clock."""

    net: Namespace
    now: Instant = START

    def do(self, doing: Doing) -> tuple[list[Effect], str]:
        """Let something happen; return what follows from it, and the words of a command."""
        self.now = later(self.now, doing.pause * SECOND)
        if not isinstance(doing, Command):
            frame = Frame(doing.frame(), self.net.new_packet_id())
            return self.net.receive(f"eth{doing.device}", frame, self.now), ""
        self.net.now = self.now
        try:
            words = commands.execute(self.net, shlex.split(doing.line))
        except CommandError as error:
            words = str(error)
        return self.net.take_effects(), words


def router() -> Router:
    """Return a router that forwards, believes redirects, and has ways to the far networks."""
    net = Namespace("r", random=random.Random(0), choice=DrawnChoice(random.Random(0)))
    for name in ("ip_forward", "conf.all.accept_redirects", "icmp_ratelimit"):
        net.sysctl.set(f"net.ipv4.{name}", 0 if name == "icmp_ratelimit" else 1)
    rtnetlink.set_up(net, net.loopback)
    for number in DEVICES:
        device = net.add_device(f"eth{number}", Veth(), mac(number), mtu=1500)
        inetdev.add_address(net.fib, device, Interface.parse(f"10.0.{number}.1/24"))
        rtnetlink.set_up(net, device)
    for line in (
        "10.5.0.0/24 via 10.0.1.2",
        "10.6.0.0/16 via 10.0.2.2",
        "10.5.0.9 via 10.0.0.2",
        "default via 10.0.2.3 table 100",
    ):
        commands.execute(net, ["ip", "route", "add", *line.split()])
    know_neighbours(net)
    net.take_effects()
    return Router(net)


def know_neighbours(net: Namespace) -> None:
    """Enter all neighbours for good."""
    for text in NEIGHBOURS:
        ip = IpAddress.parse(text)
        net.neighbours.replace(f"eth{ip[2]}", ip, mac(int(ip)), Nud.PERMANENT, START)


def to_far(src: str = "10.0.0.2", *, tos: int = 0, pause: int = 0) -> Packet:
    """Return a packet to 10.5.0.1."""
    return Packet(0, src, "10.5.0.1", tos=tos, ttl=64, is_for_all=False, pause=pause)


@given(doings())
@example(  # what a redirect taught is forgotten for all senders at once
    [
        to_far("10.0.0.2"),
        Redirect(1, "10.5.0.1"),
        to_far("10.0.0.2"),
        to_far("10.0.0.3"),
        to_far("10.0.0.2", pause=301),
        to_far("10.0.0.3"),
    ]
)
@example([Command("ip rule add tos 0x10 lookup 100"), to_far(), to_far(tos=0x10), to_far()])
def test_remembered_decisions_change_nothing(sequence: Sequence[Doing]) -> None:
    """The same frames leave, the same packets are dropped, the same words are printed."""
    usual, forgetful = router(), router()
    forgetful.net.route_cache.decisions = Forgetful()  # type: ignore[assignment]
    for doing in sequence:
        assert usual.do(doing) == forgetful.do(doing), doing
        if isinstance(doing, Command) and doing.line.startswith("ip link"):
            know_neighbours(usual.net)
            know_neighbours(forgetful.net)
