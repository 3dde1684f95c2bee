# SPDX-License-Identifier: GPL-2.0-only
"""What holds of a bridge and a VXLAN device whatever arrives, in whatever order."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import attrs
from hypothesis import given
from hypothesis import strategies as st

from emu.kernel import inetdev, netdev, rtnetlink
from emu.kernel.effects import Backlog, Transmit
from emu.kernel.link import bridge_ports
from emu.kernel.link.bridge import Bridge
from emu.kernel.link.fdb import FdbState, FdbWrite
from emu.kernel.link.veth import Veth
from emu.kernel.link.vxlan import Vxlan
from emu.kernel.link.vxlan_fdb import Remote
from emu.kernel.namespace import Namespace
from emu.sim.choice import DrawnChoice
from emu.sim.time import SECOND, START, Instant, later
from emu.wire import ethernet, ipv4, udp
from emu.wire.addresses import BROADCAST_MAC, ZERO_MAC, Interface, IpAddress, MacAddress
from emu.wire.frame import Frame
from emu.wire.vxlan import Vni

if TYPE_CHECKING:
    from emu.kernel.effects import Drop
    from emu.kernel.facts import Fact
    from emu.kernel.link.device import Device
    from emu.kernel.netfilter.verdict import Verdict
    from emu.kernel.recorder import Direction
    from emu.kernel.skb import Skb

STATIONS = [MacAddress(b"\x0a\0\0\0\0" + bytes((number,))) for number in range(6)]
GROUP = MacAddress.parse("01:00:5e:00:00:01")
OURS = MacAddress.parse("02:00:00:00:01:00")
PORTS = ("v0", "v1", "v2", "v3")


class Arrival(NamedTuple):
    """A frame that comes in, some time after the one before it."""

    port: str
    src: MacAddress
    dst: MacAddress
    pause: int  # seconds


def arrivals() -> st.SearchStrategy[list[Arrival]]:
    """Frames between few stations that move about, with pauses around the ageing time."""
    destinations = st.sampled_from([*STATIONS, GROUP, BROADCAST_MAC, OURS])
    arrival = st.builds(
        Arrival,
        port=st.sampled_from(PORTS),
        src=st.sampled_from(STATIONS),
        dst=destinations,
        pause=st.sampled_from((0, 1, 150, 299, 300)),
    )
    return st.lists(arrival, max_size=30)


class Witness:
    """A recorder that keeps what it is told, so that every note is made."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def seen(self, net: Namespace, device: Device, direction: Direction, frame: Frame) -> None:  # noqa: ARG002
        """Take down that a frame passed."""
        self.words.append(f"{direction.value} {device.name}")

    def note(self, net: Namespace, packet: Frame | Skb, stage: str, detail: str | Fact) -> None:  # noqa: ARG002
        """Take down a decision."""
        self.words.append(f"{stage}: {detail}")

    def ruled(self, net: Namespace, packet: Skb, place: tuple[str, str], number: int, rule: object) -> None:
        """Pass over rules."""

    def ended(self, net: Namespace, packet: Skb, place: tuple[str, str], policy: Verdict) -> None:
        """Pass over policies."""

    def dropped(self, net: Namespace, packet: Frame | Skb, drop: Drop) -> None:  # noqa: ARG002
        """Take down an end."""
        self.words.append(f"{drop.reason.name} {drop.detail}")


def make_node(*, filtering: bool = False) -> tuple[Namespace, Bridge]:
    """Return a namespace with a bridge of four running ports."""
    net = Namespace("node1", random=random.Random(0), choice=DrawnChoice(random.Random(0)))
    net.sysctl.set("net.bridge.bridge-nf-call-iptables", int(filtering))
    link = Bridge()
    device = net.add_device("br0", link, OURS, mtu=1500)
    bridge_ports.start(device, mac_is_set=True)
    rtnetlink.set_up(net, device)
    for number, name in enumerate(PORTS, 1):
        mac = MacAddress(OURS[:5] + bytes((number,)))
        rtnetlink.set_up(net, net.add_device(name, Veth(), mac, mtu=1500))
        rtnetlink.set_master(net, net.devices[name], device)
    net.take_effects()
    return net, link


@attrs.define
class Run:
    """A node, what it was told, and the clock."""

    net: Namespace
    bridge: Bridge
    now: Instant = START
    heard: dict[MacAddress, tuple[str, Instant]] = attrs.field(factory=dict)

    def step(self, arrival: Arrival) -> list[str]:
        """Let one frame arrive and return the ports it left by."""
        self.now = later(self.now, arrival.pause * SECOND)
        octets = arrival.dst + arrival.src + b"\x88\xb5" + b"hello"
        effects = self.net.receive(arrival.port, Frame(octets, 1), self.now)
        self.heard[arrival.src] = (arrival.port, self.now)
        return [effect.iface for effect in effects if isinstance(effect, Transmit)]

    def known_port(self, mac: MacAddress) -> str | None:
        """Return where `mac` was heard last, None if that is too long ago."""
        port, instant = self.heard.get(mac, ("", START))
        return port if port and self.now - instant < 300 * SECOND else None


@given(arrivals())
def test_a_frame_never_leaves_by_the_port_it_came_in(frames: list[Arrival]) -> None:
    """Without hairpin mode there is no way back."""
    run = Run(*make_node())
    for arrival in frames:
        assert arrival.port not in run.step(arrival)


@given(arrivals())
def test_a_frame_leaves_by_each_port_at_most_once(frames: list[Arrival]) -> None:
    """However it is sent, nobody gets two copies."""
    run = Run(*make_node())
    for arrival in frames:
        ways = run.step(arrival)
        assert len(ways) == len(set(ways))


@given(arrivals())
def test_what_is_known_goes_to_its_port_and_what_is_not_to_all(frames: list[Arrival]) -> None:
    """A station heard within the ageing time is never flooded to, any other always is."""
    run = Run(*make_node())
    for arrival in frames:
        ways = set(run.step(arrival))
        known = run.known_port(arrival.dst)
        others = set(PORTS) - {arrival.port}
        if arrival.dst == OURS:
            assert ways == set()
        elif known is not None:
            assert ways == {known} & others
        else:
            assert ways == others


@given(arrivals())
def test_the_fdb_holds_what_was_heard_and_no_more(frames: list[Arrival]) -> None:
    """Each dynamic entry is a source heard within the ageing time, behind the port it was heard on."""
    run = Run(*make_node())
    for arrival in frames:
        run.step(arrival)
    entries = [entry for entry in run.bridge.fdb.entries(run.now) if entry.state is FdbState.DYNAMIC]
    found = {entry.mac: entry.port.name for entry in entries if entry.port is not None}
    expected = {mac: run.known_port(mac) for mac in run.heard}
    assert found == {mac: port for mac, port in expected.items() if port is not None}


def frames_of_any_octets() -> st.SearchStrategy[bytes]:
    """Any octets, most of them with addresses and ethertypes that lead further in."""
    macs = st.sampled_from([*STATIONS, GROUP, BROADCAST_MAC, OURS, ZERO_MAC]) | st.binary(
        min_size=6, max_size=6
    )
    link_local = st.integers(0, 255).map(lambda last: b"\x01\x80\xc2\0\0" + bytes((last,)))
    ethertypes = st.sampled_from((b"\x08\0", b"\x08\x06", b"\x86\xdd", b"\x81\0", b"\x88\xb5"))
    plain = st.tuples(macs | link_local, macs, ethertypes, st.binary(max_size=60))
    return st.binary(max_size=80) | plain.map(b"".join) | packets()


def packets() -> st.SearchStrategy[bytes]:
    """Frames with an IPv4 header that is right, of a few too large for some port."""
    addresses = st.binary(min_size=4, max_size=4)
    return st.builds(
        lambda dst, protocol, src, to, size, flags: (
            ethernet.header(dst, STATIONS[0], ethernet.IPV4)
            + ipv4.build(protocol, src, to, bytes(size), fragment=flags)
        ),
        st.sampled_from([*STATIONS, BROADCAST_MAC]),
        st.integers(0, 255),
        addresses,
        addresses,
        st.integers(0, 1600),
        st.sampled_from((0, ipv4.DF, ipv4.MF, 100)),
    )


@given(
    frames=st.lists(frames_of_any_octets(), max_size=8), filtering=st.booleans(), small=st.integers(68, 1500)
)
def test_no_octets_can_break_a_bridge(*, frames: list[bytes], filtering: bool, small: int) -> None:
    """Whatever arrives is forwarded or dropped, with netfilter on the bridge or without."""
    net, _ = make_node(filtering=filtering)
    net.recorder = Witness()
    rtnetlink.set_mtu(net, net.devices["v3"], small)
    for octets in frames:
        net.receive("v0", Frame(octets, 1), START)
        netdev.transmit(net, net.devices["br0"], Frame(octets, 1))


VNI9 = bytes.fromhex("0800000000000900")


def make_vtep() -> Namespace:
    """Return a namespace with a VXLAN device that sends everything to 192.168.0.2."""
    net = Namespace("node1", random=random.Random(0), choice=DrawnChoice(random.Random(0)))
    local = IpAddress.parse("192.168.0.1")
    inetdev.add_address(net.fib, net.add_device("eth0", Veth(), OURS, mtu=1500), Interface(local, 24))
    rtnetlink.set_up(net, net.devices["eth0"])
    link = Vxlan(Vni(9), local=local, dstport=4789, ttl_inherit=True, tos_inherit=True)
    remote = Remote(IpAddress.parse("192.168.0.2"))
    link.fdb.write(ZERO_MAC, remote, FdbState.PERMANENT, START, FdbWrite.ADD)
    rtnetlink.set_up(net, net.add_device("vx", link, STATIONS[0], mtu=1450))
    net.recorder = Witness()
    net.take_effects()
    return net


def header_octets() -> st.SearchStrategy[bytes]:
    """VXLAN headers: the right one, ones that differ in a bit, and any octets."""
    bits = st.integers(0, 63).map(lambda bit: (int.from_bytes(VNI9, "big") ^ 1 << bit).to_bytes(8, "big"))
    return st.just(VNI9) | bits | st.binary(max_size=8)


@given(header=header_octets(), inner=frames_of_any_octets(), tos=st.integers(0, 255))
def test_no_octets_can_break_a_vxlan_device(header: bytes, inner: bytes, tos: int) -> None:
    """What comes out of a tunnel, if anything, is as long as what was in it."""
    net = make_vtep()
    src, dst = b"\xc0\xa8\0\2", b"\xc0\xa8\0\1"
    packet = ipv4.build(ipv4.UDP, src, dst, udp.build(src, dst, 5, 4789, header + inner), tos=tos)
    frame = Frame(ethernet.header(OURS, STATIONS[1], ethernet.IPV4) + packet, 1)
    effects = net.receive("eth0", frame, START)
    came_out = [effect.frame.octets for effect in effects if isinstance(effect, Backlog)]
    assert [len(octets) for octets in came_out] in ([], [len(inner)])
    netdev.transmit(net, net.devices["vx"], Frame(inner, 1))
