# SPDX-License-Identifier: GPL-2.0-only
"""One network namespace: its devices, tables and sockets, and the doors to it.

A door (a frame arrives, a timer is due, a program calls, somebody changes the
configuration) sets `now` and afterwards takes the effects. Inside, the modules
of the stack are plain functions that get the namespace first, as the kernel's
get `struct net`, and leave their effects by `emit`.
"""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from emu.errors import UnknownNameError
from emu.kernel import arp, fragment, netdev, sctp, tcp
from emu.kernel.drops import DropReason
from emu.kernel.effects import Drop, SetTimer
from emu.kernel.fib import Fib
from emu.kernel.icmp_limits import IcmpLimits
from emu.kernel.lazy import lazy
from emu.kernel.link.device import Device
from emu.kernel.link.loopback import Loopback
from emu.kernel.neigh import NeighbourTable
from emu.kernel.path import PathExceptions
from emu.kernel.route_cache import RouteCache
from emu.kernel.sctp import SctpTable
from emu.kernel.sockets import SocketTable
from emu.kernel.sysctl import Sysctl
from emu.kernel.tcp import TcpTable
from emu.sim.numbers import Numbers
from emu.sim.rng import LazyStream
from emu.sim.time import START, Instant
from emu.wire.addresses import ZERO_MAC
from emu.wire.frame import Frame

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping

    from emu.kernel.effects import Effect
    from emu.kernel.facts import Fact
    from emu.kernel.guard import Guard
    from emu.kernel.link.device import Link
    from emu.kernel.netfilter.conntrack.race import Race
    from emu.kernel.netfilter.netfilter import Netfilter
    from emu.kernel.recorder import Recorder, Tap
    from emu.kernel.skb import Skb
    from emu.sim.choice import Choice
    from emu.wire.addresses import MacAddress

LOOPBACK_MTU: Final = 65536
_NEVER: Final = Instant(1 << 63)
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Namespace:
    """A network stack.

    Attributes:
        name: how people call it, like `node1`.
        now: the instant of the call under way.
        choice: decides what can change a packet's fate.
        flow_secret: key of the flow hash. One for all namespaces of a run, as a kernel has one.
        sysctl: `/proc/sys/net` of this namespace.
        devices: by name, in the order of their index.
        fib: routing tables and routing rules.
        used_netfilter: rules and connections; None until somebody asks for `netfilter`.
        used_neighbours: the ARP table; None until somebody asks for `neighbours`.
        has_sctp: the machine's kernel has its module for SCTP; without it packets meet no protocol.
        unseen: where rules look that are not modelled (`bridge`, `arp`, `ingress DEVICE`,
            `egress DEVICE`), and whose they are: frames that come there end.
        guards: filters at the ingress of devices.
        recorder: who looks on; None for nobody.
        race: whether packets overtake each other between look-up and confirmation; None for never.
        tap: who looks at devices alone, beside the recorder; None for nobody.
        sends_icmp: an ICMP message of the kernel is being sent: meanwhile no other is.
    """

    def __init__(
        self,
        name: str,
        *,
        random: random.Random | LazyStream,
        choice: Choice,
        packet_ids: Iterator[int] | None = None,
        flow_secret: int = 0,
    ) -> None:
        self.name = name
        self.now = START
        self._random = random
        self.choice = choice
        self.flow_secret = flow_secret
        self.recorder: Recorder | None = None
        self.tap: Tap | None = None
        self.race: Race | None = None
        self.sysctl = Sysctl(initial=False)
        self.sysctl.tell_conf(self._conf_replaced)
        self.devices: dict[str, Device] = {}
        self.fib = Fib(self.devices, lambda name: self.sysctl.conf_or(name, "ignore_routes_with_linkdown"))
        self.used_netfilter: Netfilter | None = None
        self.used_neighbours: NeighbourTable[Skb] | None = None
        self.has_sctp = True
        self.unseen = _NOTHING
        self.guards: tuple[Guard, ...] = ()
        self.sends_icmp = False
        self._identification: int | None = None  # drawn before all else, but not before it is needed
        self._packet_ids = Numbers() if packet_ids is None else packet_ids
        self._indices = Numbers()
        self._effects: list[Effect] = []
        self._armed = _NEVER
        self.add_device("lo", Loopback(), ZERO_MAC, mtu=LOOPBACK_MTU)

    # --- doors ---

    def receive(self, iface: str, frame: Frame, now: Instant) -> list[Effect]:
        """Take one frame off the cable of `iface` and return what follows from it.

        Args:
            iface: name of the receiving device.
            frame: Ethernet frame without FCS.
            now: virtual time.

        Returns:
            Effects in the order in which the kernel would cause them. A frame
            that is refused yields one `Drop`, never an exception.

        Raises:
            UnknownNameError: there is no device `iface`.
        """
        self.now = now
        netdev.receive(self, self.device(iface), frame)
        return self.take_effects()

    def backlog(self, iface: str, frame: Frame, now: Instant) -> list[Effect]:
        """Carry out a `Backlog` effect; a device that is gone or down by now loses the frame."""
        self.now = now
        device = self.devices.get(iface)
        if device is not None and device.up:
            netdev.deliver(self, device, frame)
        else:
            self.drop(frame, DropReason.DEV_READY, f"{iface} is down", iface)
        return self.take_effects()

    def send_frame(self, iface: str, frame: Frame, now: Instant) -> list[Effect]:
        """Send `frame` out of `iface` as a packet socket does: past routing and netfilter.

        Raises:
            UnknownNameError: there is no device `iface`.
        """
        self.now = now
        netdev.transmit(self, self.device(iface), frame)
        return self.take_effects()

    def timeout(self, now: Instant) -> list[Effect]:
        """Do what is due by `now`; call it at the deadline of the last `SetTimer`."""
        self.now = now
        self._armed = _NEVER
        arp.timeout(self)
        fragment.timeout(self)
        tcp.timeout(self)
        sctp.timeout(self)
        for deadline in (
            self.neighbours.next_deadline,
            self.reassembly.next_deadline,
            tcp.next_deadline(self),
            sctp.next_deadline(self),
        ):
            if deadline is not None:
                self.arm(deadline)
        return self.take_effects()

    def take_effects(self) -> list[Effect]:
        """Return the effects since the last call, in order. Every door ends with this."""
        effects, self._effects = self._effects, []
        return effects

    # --- for the modules of the stack ---

    def emit(self, effect: Effect) -> None:
        """Leave `effect` for whoever came in by the door."""
        self._effects.append(effect)

    def arm(self, deadline: Instant) -> None:
        """Have `timeout` called by `deadline`."""
        if deadline < self._armed:
            self._armed = deadline
            self._effects.append(SetTimer(deadline))

    def drop(self, packet: Frame | Skb, reason: DropReason, detail: str | Fact = "", iface: str = "") -> None:
        """End `packet` here."""
        self.drops[reason] += 1
        octets = packet.octets if isinstance(packet, Frame) else packet.packet
        if not iface and not isinstance(packet, Frame):
            iface = packet.iif
        if isinstance(detail, str):
            drop = Drop(reason, packet.packet_id, iface, octets, detail)
        else:
            drop = Drop(reason, packet.packet_id, iface, octets, str(detail), detail)
        self._effects.append(drop)
        if self.recorder is not None:
            self.recorder.dropped(self, packet, drop)
        if self.tap is not None:
            self.tap.dropped(self, packet, drop)

    def ends_unseen(self, frame: Frame, place: str, iface: str) -> bool:
        """End `frame` if rules look at `place` that are not modelled; return whether they do."""
        why = self.unseen.get(place)
        if why is None:
            return False
        self.drop(frame, DropReason.NOT_MODELLED, f"{why} in {self.name}", iface)
        return True

    def note(self, packet: Frame | Skb, stage: str, detail: str | Fact = "") -> None:
        """Tell the recorder, if there is one, what happens to `packet`."""
        if self.recorder is not None:
            self.recorder.note(self, packet, stage, detail)

    def new_packet_id(self) -> int:
        """Return the number of a packet that is born here, unique in the run."""
        return next(self._packet_ids)

    def next_identification(self) -> int:
        """Return the IP identification for a packet that belongs to no connection, never 0."""
        if self._identification is None:
            self._identification = self._begin_to_draw().getrandbits(16)
        self._identification = self._identification % 0xFFFF + 1
        return self._identification

    def _begin_to_draw(self) -> random.Random:
        if isinstance(self._random, LazyStream):
            self._random = self._random.open()
        return self._random

    @property
    def random(self) -> random.Random:
        """What the kernel draws at random here: ports, sequence numbers, timers."""
        if self._identification is None:
            self._identification = self._begin_to_draw().getrandbits(16)
        assert not isinstance(self._random, LazyStream)
        return self._random

    def _draw(self, stop: int) -> int:
        return self.random.randrange(stop)

    @lazy
    def netfilter(self) -> Netfilter:
        """Rules, and the connections that are tracked; there from the first time that somebody asks."""
        from emu.kernel.netfilter.netfilter import Netfilter  # noqa: PLC0415 - most runs have no rules

        self.used_netfilter = Netfilter(self)
        return self.used_netfilter

    # --- tables that most namespaces of a large cluster never need: there from the first look on ---

    @lazy
    def exceptions(self) -> PathExceptions:
        """What ICMP taught about paths (MTUs, redirects)."""
        return PathExceptions(self.fib)

    @lazy
    def route_cache(self) -> RouteCache:
        """Decisions made about packets that came in."""
        return RouteCache()

    @lazy
    def neighbours(self) -> NeighbourTable[Skb]:
        """The ARP table."""
        self.used_neighbours = NeighbourTable(lambda device: self.sysctl.neigh[device], self._draw)
        return self.used_neighbours

    @lazy
    def reassembly(self) -> fragment.Reassembly:
        """Fragments that wait for others."""
        return fragment.Reassembly()

    @lazy
    def icmp_limits(self) -> IcmpLimits:
        """How much ICMP may still be sent."""
        return IcmpLimits()

    @lazy
    def sockets(self) -> SocketTable:
        """All open sockets."""
        return SocketTable()

    @lazy
    def tcp(self) -> TcpTable:
        """Connections and listeners."""
        return TcpTable()

    @lazy
    def sctp(self) -> SctpTable:
        """Associations and listeners."""
        return SctpTable()

    @lazy
    def drops(self) -> Counter[DropReason]:
        """How many packets ended here, by reason."""
        return Counter()

    # --- devices ---

    def device(self, name: str) -> Device:
        """Return the device `name`.

        Raises:
            UnknownNameError: there is none.
        """
        try:
            return self.devices[name]
        except KeyError:
            raise UnknownNameError(f"{self.name}: no device {name}") from None

    def _conf_replaced(self, name: str, conf: Mapping[str, int]) -> None:
        device = self.devices.get(name)
        if device is not None:
            device.conf = conf

    @property
    def loopback(self) -> Device:
        """The device `lo`."""
        return self.devices["lo"]

    def add_device(self, name: str, link: Link, mac: MacAddress, *, mtu: int) -> Device:
        """Make a device, down and without addresses, and return it.

        Raises:
            UnknownNameError: the name is taken.
        """
        if name in self.devices:
            raise UnknownNameError(f"{self.name}: there is a device {name} already")
        conf = self.sysctl.device_added(name)
        device = Device(name, next(self._indices), mac, link, mtu, conf=conf)
        self.devices[name] = device
        return device


def _reserve() -> None:
    """Have Python keep a place in every namespace for what is made when it is first asked for.

    The names that the first object of a class gets are laid out for all others,
    too; a name that comes later costs each of them a dictionary.
    """
    first = object.__new__(Namespace)
    for name, value in vars(Namespace).items():
        if isinstance(value, lazy):
            setattr(first, name, None)


_reserve()
