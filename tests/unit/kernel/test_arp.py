# SPDX-License-Identifier: GPL-2.0-only
"""ARP in one namespace: frames go in and come out, nobody is at the other end.

The answers under each setting are those that Linux 6.18 gave in the recorded
scenarios `arp-ignore-announce`, `gratuitous-arp` and `ptp-proxy-arp`.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

import pytest

from emu.kernel import arp, inetdev, rtnetlink
from emu.kernel.drops import DropReason
from emu.kernel.effects import Backlog, Drop, SetTimer, Transmit
from emu.kernel.fib import Nexthop, Route
from emu.kernel.link.veth import Veth
from emu.kernel.namespace import Namespace
from emu.kernel.neighbour import Send
from emu.kernel.nud import Nud
from emu.kernel.skb import Skb
from emu.sim.choice import DrawnChoice
from emu.sim.time import MILLISECOND, SECOND, Duration, Instant
from emu.wire import arp as wire_arp
from emu.wire import ethernet, icmp, ipv4
from emu.wire.addresses import BROADCAST_MAC, ZERO_MAC, Interface, IpAddress, MacAddress, Prefix
from emu.wire.arp import REPLY, REQUEST, Arp
from emu.wire.ethernet import Ethernet
from emu.wire.frame import Frame

if TYPE_CHECKING:
    from emu.kernel.effects import Effect
    from emu.kernel.facts import Fact
    from emu.kernel.link.device import Device
    from emu.kernel.netfilter.verdict import Verdict
    from emu.kernel.recorder import Direction

ETH0_MAC: Final = MacAddress.parse("02:00:00:00:01:01")
ETH1_MAC: Final = MacAddress.parse("02:00:00:00:02:01")
ASKER_MAC: Final = MacAddress.parse("02:00:00:00:01:02")
THIRD_MAC: Final = MacAddress.parse("02:00:00:00:01:03")


class Notes:
    """A recorder that writes down what packets went through."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def seen(self, net: Namespace, device: Device, direction: Direction, frame: Frame) -> None:
        """Pass over what a tap sees."""

    def note(self, net: Namespace, packet: Frame | Skb, stage: str, detail: str | Fact) -> None:
        """Write down a stage."""
        del net, packet
        self.notes.append(f"{stage}: {detail}")

    def ruled(self, net: Namespace, packet: Skb, place: tuple[str, str], number: int, rule: object) -> None:
        """Pass over rules."""

    def ended(self, net: Namespace, packet: Skb, place: tuple[str, str], policy: Verdict) -> None:
        """Pass over policies."""

    def dropped(self, net: Namespace, packet: Frame | Skb, drop: Drop) -> None:
        """Pass over a drop."""


def ip(text: str) -> IpAddress:
    """Return the address `text` names."""
    return IpAddress.parse(text)


class Node:
    """A namespace with two cables, whose frames are looked at and go nowhere."""

    def __init__(self) -> None:
        self.net = Namespace("node", random=random.Random(1), choice=DrawnChoice(random.Random(2)))
        self.now = Instant(0)
        rtnetlink.set_up(self.net, self.net.loopback)
        for name, mac, address in (("eth0", ETH0_MAC, "10.1.0.1/24"), ("eth1", ETH1_MAC, "10.2.0.1/24")):
            rtnetlink.set_up(self.net, self.net.add_device(name, Veth(), mac, mtu=1500))
            self.add_address(name, address)
        self.net.take_effects()

    def add_address(self, device: str, address: str) -> None:
        """Give `device` an address."""
        inetdev.add_address(self.net.fib, self.net.devices[device], Interface.parse(address))

    def add_route(self, dst: str, device: str) -> None:
        """Have `dst` on the link of `device`."""
        self.net.fib.add(Route(Prefix.parse(dst), nexthops=(Nexthop(device),)))

    def set(self, name: str, value: int, device: str = "eth0") -> None:
        """Set `net.ipv4.conf.DEVICE.NAME`."""
        self.net.sysctl.set(f"net.ipv4.conf.{device}.{name}", value)

    def receive(self, packet: Arp, dst: MacAddress = BROADCAST_MAC, device: str = "eth0") -> list[Effect]:
        """Take an ARP packet in a frame to `dst`."""
        octets = ethernet.header(dst, packet.sender_mac, ethernet.ARP) + wire_arp.build(*packet)
        return self.net.receive(device, Frame(octets, 77), self.now)

    def ask(self, target: str, asker: str = "10.1.0.2", dst: MacAddress = BROADCAST_MAC) -> list[Effect]:
        """Receive a request for `target` on eth0."""
        return self.receive(Arp(REQUEST, ASKER_MAC, ip(asker), ZERO_MAC, ip(target)), dst)

    def answers(self, target: str, asker: str = "10.1.0.2") -> bool:
        """Return whether a request for `target` on eth0 is answered."""
        sent = transmitted(self.ask(target, asker))
        expected = Arp(REPLY, ETH0_MAC, ip(target), ASKER_MAC, ip(asker))
        assert sent in ([], [("eth0", ASKER_MAC, expected)])
        return bool(sent)

    def reply(self, sender: str, mac: MacAddress = ASKER_MAC, dst: MacAddress = ETH0_MAC) -> list[Effect]:
        """Receive a reply that says where `sender` is."""
        return self.receive(Arp(REPLY, mac, ip(sender), ETH0_MAC, ip("10.1.0.1")), dst)

    def send(self, dst: str, src: str = "10.1.0.1", device: str = "eth0") -> list[Effect]:
        """Send a packet to the neighbour `dst`."""
        skb = Skb(ipv4.build(17, ip(src), ip(dst), b"to " + dst.encode()), self.net.new_packet_id())
        self.net.now = self.now
        arp.output(self.net, skb, self.net.devices[device], ip(dst))
        return self.net.take_effects()

    def run(self, duration: Duration) -> list[tuple[int, Effect]]:
        """Let `duration` pass; return the effects and after how many milliseconds they came."""
        begin, end = self.now, self.now + duration
        followed: list[tuple[int, Effect]] = []
        while (deadline := self.net.neighbours.next_deadline) is not None and deadline <= end:
            self.net.now = deadline
            arp.timeout(self.net)
            effects = self.net.take_effects()
            followed += [((deadline - begin) // MILLISECOND, effect) for effect in effects]
        self.now = Instant(end)
        return followed

    def state(self, address: str, device: str = "eth0") -> Nud | None:
        """Return the state of a neighbour, None if there is none."""
        neighbour = self.net.neighbours.get(device, ip(address))
        return None if neighbour is None else neighbour.state

    def mac(self, address: str) -> MacAddress:
        """Return the MAC address of a neighbour on eth0."""
        neighbour = self.net.neighbours.get("eth0", ip(address))
        assert neighbour is not None
        return neighbour.mac


def transmitted(effects: list[Effect]) -> list[tuple[str, MacAddress, Arp]]:
    """Return the ARP packets that left, with device and destination of the frame."""
    found = []
    for effect in effects:
        if isinstance(effect, Transmit):
            header = Ethernet.parse(effect.frame.octets)
            assert header.ethertype == ethernet.ARP
            assert header.src in {ETH0_MAC, ETH1_MAC}
            found.append((effect.iface, header.dst, Arp.parse(effect.frame.octets[header.payload :])))
    return found


def dropped(effects: list[Effect]) -> list[DropReason]:
    """Return why packets ended."""
    return [effect.reason for effect in effects if isinstance(effect, Drop)]


@pytest.fixture
def node() -> Node:
    """A namespace with 10.1.0.1/24 on eth0 and 10.2.0.1/24 on eth1."""
    return Node()


# --- whom to answer ---

ASKED: Final = ("10.1.0.1", "10.1.0.7", "10.1.0.8", "10.2.0.1", "192.0.2.1")


@pytest.mark.parametrize(
    ("mode", "in_subnet", "from_afar", "probes"),
    [
        (0, "yyyyy", "yy", "y"),
        (1, "yyynn", "yn", "y"),
        (2, "yyynn", "nn", "y"),
        (3, "yyyyy", "yy", "y"),
        (4, "yyyyy", "yy", "y"),
        (8, "nnnnn", "nn", "n"),
    ],
)
def test_arp_ignore_decides_whom_we_answer(
    node: Node, mode: int, in_subnet: str, from_afar: str, probes: str
) -> None:
    """For each address of ours and each asker as Linux does, by `conf.eth0` or `conf.all`."""
    node.add_address("eth0", "10.1.0.7/24")
    node.add_address("eth0", "10.1.0.8/32")
    node.add_address("lo", "192.0.2.1/32")
    node.add_route("10.9.0.0/16", "eth0")
    for device, other in (("eth0", "all"), ("all", "eth0")):
        node.set("arp_ignore", mode, device)
        node.set("arp_ignore", 0, other)
        assert "".join("ny"[node.answers(target)] for target in ASKED) == in_subnet
        assert (
            "".join("ny"[node.answers(target, "10.9.9.9")] for target in ("10.1.0.1", "10.2.0.1"))
            == from_afar
        )
        assert "ny"[node.answers("10.1.0.1", "0.0.0.0")] == probes  # noqa: S104 - an RFC 5227 probe


def test_arp_ignore_3_conceals_addresses_of_scope_host(node: Node) -> None:
    """An address of scope host is for this host alone."""
    interface = Interface.parse("192.0.2.1/32")
    inetdev.add_address(node.net.fib, node.net.loopback, interface, scope="host")
    assert node.answers("192.0.2.1")
    node.set("arp_ignore", 3)
    assert not node.answers("192.0.2.1")


def test_who_uses_our_own_address_gets_no_answer(node: Node) -> None:
    """The source is not believed, so a duplicate address is not even told (nor learned)."""
    assert not node.answers("10.1.0.1", "10.1.0.1")
    assert node.state("10.1.0.1") is None


def test_nobody_answers_for_others(node: Node) -> None:
    """An address of the subnet that is not ours concerns us not."""
    assert not node.answers("10.1.0.9")
    assert not node.answers("10.1.0.255")
    assert node.state("10.1.0.2") is None


def test_arp_filter_answers_only_where_the_way_back_begins(node: Node) -> None:
    """Each address is answered for on the cable that leads to the asker."""
    assert node.answers("10.2.0.1")
    node.set("arp_filter", 1)
    assert node.answers("10.2.0.1")
    assert not node.answers("10.1.0.1", "10.2.0.2")
    assert not node.answers("10.1.0.1", "172.16.0.9")


def test_a_strict_reverse_path_filter_silences_arp(node: Node) -> None:
    """The request is routed like a packet: an asker from the wrong side gets no answer."""
    node.set("rp_filter", 1)
    assert node.answers("10.2.0.1")
    assert not node.answers("10.1.0.1", "10.2.0.2")


def test_who_asks_for_us_becomes_a_stale_neighbour(node: Node) -> None:
    """So that our answer to what follows needs no request; who is not answered is not learned."""
    assert node.answers("10.1.0.1")
    assert node.state("10.1.0.2") is Nud.STALE
    assert node.mac("10.1.0.2") == ASKER_MAC
    node.set("arp_ignore", 8)
    assert not node.answers("10.1.0.1", "10.1.0.3")
    assert node.state("10.1.0.3") is None


def test_a_request_to_us_alone_is_answered_too(node: Node) -> None:
    """A unicast request, as PROBE sends it."""
    assert transmitted(node.ask("10.1.0.1", dst=ETH0_MAC)) == [
        ("eth0", ASKER_MAC, Arp(REPLY, ETH0_MAC, ip("10.1.0.1"), ASKER_MAC, ip("10.1.0.2")))
    ]


@pytest.mark.parametrize("target", ["224.0.0.1", "127.0.0.1"])
def test_there_is_no_arp_about_groups_and_the_loopback(node: Node, target: str) -> None:
    """Such a packet is dropped, and 127.0.0.0/8 answered for only with `route_localnet`."""
    assert dropped(node.ask(target)) == [DropReason.NOT_SPECIFIED]
    node.set("route_localnet", 1)
    assert node.answers(target) == target.startswith("127")


def test_malformed_arp_is_dropped(node: Node) -> None:
    """Too short, another protocol, an unknown operation."""
    packet = Arp(REQUEST, ASKER_MAC, ip("10.1.0.2"), ZERO_MAC, ip("10.1.0.1"))
    octets = ethernet.header(BROADCAST_MAC, ASKER_MAC, ethernet.ARP) + wire_arp.build(*packet)
    short = node.net.receive("eth0", Frame(octets[:-1]), node.now)
    assert dropped(short) == [DropReason.PKT_TOO_SMALL]
    ipv6 = octets[:16] + b"\x86\xdd" + octets[18:]
    assert dropped(node.net.receive("eth0", Frame(ipv6), node.now)) == [DropReason.NOT_SPECIFIED]
    assert dropped(node.receive(packet._replace(operation=3))) == [DropReason.NOT_SPECIFIED]


def test_hardware_type_6_is_understood(node: Node) -> None:
    """IEEE 802 is as good as Ethernet."""
    packet = wire_arp.build(REQUEST, ASKER_MAC, ip("10.1.0.2"), ZERO_MAC, ip("10.1.0.1"))
    octets = ethernet.header(BROADCAST_MAC, ASKER_MAC, ethernet.ARP) + b"\0\x06" + packet[2:]
    assert len(transmitted(node.net.receive("eth0", Frame(octets), node.now))) == 1


def test_a_frame_for_another_station_is_passed_over(node: Node) -> None:
    """No answer, no neighbour, and no drop, as Linux counts."""
    assert node.ask("10.1.0.1", dst=THIRD_MAC) == []
    assert len(node.net.neighbours) == 0


def test_a_device_without_arp_neither_hears_nor_asks(node: Node) -> None:
    """With ARP off, packets are sent to the device's own address."""
    node.net.devices["eth0"].arp = False
    assert node.ask("10.1.0.1") == []
    (sent,) = node.send("10.1.0.9")
    assert isinstance(sent, Transmit)
    assert sent.frame.octets[:6] == ETH0_MAC
    assert node.state("10.1.0.9") is Nud.NOARP


# --- in the place of others ---


def proxy(node: Node, *, delay: int = 0) -> None:
    """Have `node` forward, and eth0 answer for what is behind eth1."""
    node.net.sysctl.set("net.ipv4.ip_forward", 1)
    node.net.sysctl.set("net.ipv4.neigh.eth0.proxy_delay", delay)
    node.set("proxy_arp", 1)


def test_proxy_arp_answers_for_what_lies_behind_another_device(node: Node) -> None:
    """Not for neighbours of the asker, not without forwarding, not without a route."""
    node.set("proxy_arp", 1)
    assert not node.answers("10.2.0.9")
    proxy(node)
    assert node.answers("10.2.0.9")
    assert node.state("10.1.0.2") is Nud.STALE
    assert not node.answers("10.1.0.9")
    assert not node.answers("172.16.0.1")


def test_a_single_address_may_be_proxied(node: Node) -> None:
    """`ip neigh add proxy`, without `proxy_arp`."""
    proxy(node)
    node.set("proxy_arp", 0)
    node.net.neighbours.proxies.add(("eth0", ip("10.2.0.9")))
    assert node.answers("10.2.0.9")
    assert not node.answers("10.2.0.8")


def test_proxy_arp_pvlan_answers_for_neighbours_of_the_asker(node: Node) -> None:
    """RFC 3069: the ports of a switch that may not talk to each other talk through us."""
    proxy(node)
    node.set("proxy_arp", 0)
    node.set("proxy_arp_pvlan", 1)
    assert node.answers("10.1.0.9")
    assert not node.answers("10.1.0.9", "10.1.0.9")
    assert not node.answers("10.2.0.9")


@pytest.mark.parametrize(
    ("medium", "other", "answered"), [(0, 3, 1), (1, 2, 1), (1, 1, 0), (1, -1, 0), (-1, 2, 0)]
)
def test_devices_of_one_medium_need_no_proxy(node: Node, medium: int, other: int, answered: int) -> None:
    """`medium_id`: 0 is a medium of its own, -1 has no proxy, equal ones hear each other."""
    proxy(node)
    node.set("medium_id", medium)
    node.set("medium_id", other, "eth1")
    assert node.answers("10.2.0.9") == bool(answered)


def test_a_broadcast_request_is_answered_by_proxy_after_a_random_while(node: Node) -> None:
    """Within `proxy_delay` (hundredths of a second), so that the owner may answer first."""
    proxy(node, delay=80)
    effects = node.ask("10.2.0.9")
    assert [type(effect) for effect in effects] == [SetTimer]
    followed = node.run(800 * MILLISECOND)
    (answer,) = transmitted([effect for _, effect in followed])
    assert answer == ("eth0", ASKER_MAC, Arp(REPLY, ETH0_MAC, ip("10.2.0.9"), ASKER_MAC, ip("10.1.0.2")))
    assert node.net.neighbours.next_deadline is None


def test_a_unicast_request_is_answered_by_proxy_at_once(node: Node) -> None:
    """Who asks us and only us waits for nobody else."""
    proxy(node, delay=80)
    assert len(transmitted(node.ask("10.2.0.9", dst=ETH0_MAC))) == 1


def test_proxied_requests_are_dropped_when_too_many_wait_or_the_device_goes_down(node: Node) -> None:
    """One more than `proxy_qlen` may wait; none outlives its device."""
    proxy(node, delay=80)
    node.net.sysctl.set("net.ipv4.neigh.eth0.proxy_qlen", 1)
    effects = [effect for _ in range(3) for effect in node.ask("10.2.0.9")]
    assert dropped(effects) == [DropReason.NOT_SPECIFIED]
    rtnetlink.set_down(node.net, node.net.devices["eth0"])
    assert dropped(node.net.take_effects()) == [DropReason.QUEUE_PURGE] * 2
    assert node.net.neighbours.next_deadline is None


# --- what to believe ---


def gratuitous(sender: str, mac: MacAddress = THIRD_MAC, operation: int = REQUEST) -> Arp:
    """Return an announcement of `sender`."""
    target = mac if operation == REPLY else ZERO_MAC
    return Arp(operation, mac, ip(sender), target, ip(sender))


def test_an_answer_to_us_makes_a_neighbour_reachable(node: Node) -> None:
    """And what waited leaves in a frame to the new address."""
    node.send("10.1.0.2")
    (sent,) = [effect for effect in node.reply("10.1.0.2") if isinstance(effect, Transmit)]
    header = Ethernet.parse(sent.frame.octets)
    assert (header.dst, header.src, header.ethertype) == (ASKER_MAC, ETH0_MAC, ethernet.IPV4)
    assert sent.frame.octets.endswith(b"to 10.1.0.2")
    assert node.state("10.1.0.2") is Nud.REACHABLE


def test_a_broadcast_reply_is_no_proof(node: Node) -> None:
    """It is believed, but has to be verified."""
    node.net.neighbours.replace("eth0", ip("10.1.0.2"), ASKER_MAC, Nud.STALE, node.now)
    node.now = Instant(2 * SECOND)
    node.reply("10.1.0.2", THIRD_MAC, dst=BROADCAST_MAC)
    assert node.state("10.1.0.2") is Nud.STALE
    assert node.mac("10.1.0.2") == THIRD_MAC


def test_of_two_answers_the_first_holds_for_a_second(node: Node) -> None:
    """`locktime`; a gratuitous one is believed all the same."""
    node.send("10.1.0.2")
    node.reply("10.1.0.2")
    node.now = Instant(SECOND)
    node.reply("10.1.0.2", THIRD_MAC)
    assert node.mac("10.1.0.2") == ASKER_MAC
    node.receive(gratuitous("10.1.0.2"))
    assert node.mac("10.1.0.2") == THIRD_MAC
    node.now = Instant(2 * SECOND + 1)
    node.reply("10.1.0.2")
    assert node.mac("10.1.0.2") == ASKER_MAC


@pytest.mark.parametrize(
    ("mode", "learned"), [(0, ""), (1, "request reply unasked foreign"), (2, "request reply unasked")]
)
def test_arp_accept_makes_strangers_neighbours(node: Node, mode: int, learned: str) -> None:
    """Announcements and unasked replies; with 2 only of hosts in a subnet of ours."""
    node.set("arp_accept", mode)
    strangers = {
        "request": gratuitous("10.1.0.50"),
        "reply": gratuitous("10.1.0.51", operation=REPLY),
        "unasked": Arp(REPLY, THIRD_MAC, ip("10.1.0.52"), ETH0_MAC, ip("10.1.0.1")),
        "bystander": Arp(REQUEST, THIRD_MAC, ip("10.1.0.53"), ZERO_MAC, ip("10.1.0.54")),
        "foreign": gratuitous("172.16.0.5"),
    }
    for packet in strangers.values():
        node.receive(packet)
    known = [name for name, packet in strangers.items() if node.state(str(packet.sender_ip)) is Nud.STALE]
    assert " ".join(known) == learned


def test_drop_gratuitous_arp_does_what_it_says(node: Node) -> None:
    """For networks where such frames are attacks."""
    node.set("drop_gratuitous_arp", 1)
    assert dropped(node.receive(gratuitous("10.1.0.50"))) == [DropReason.NOT_SPECIFIED]


def test_a_gratuitous_reply_names_its_sender_as_target(node: Node) -> None:
    """Otherwise it is a reply like others, and locked out for a second."""
    node.send("10.1.0.2")
    node.reply("10.1.0.2")
    node.receive(gratuitous("10.1.0.2", operation=REPLY)._replace(target_mac=ETH0_MAC))
    assert node.mac("10.1.0.2") == ASKER_MAC
    node.receive(gratuitous("10.1.0.2", operation=REPLY))
    assert node.mac("10.1.0.2") == THIRD_MAC


# --- what to ask with ---


def sender_of(node: Node, src: str) -> str:
    """Return the sender address of the request for a packet from `src` to 10.1.0.2."""
    ((iface, dst, request),) = transmitted(node.send("10.1.0.2", src))
    assert (iface, dst, request.target_mac) == ("eth0", BROADCAST_MAC, ZERO_MAC)
    assert (request.sender_mac, request.target_ip) == (ETH0_MAC, ip("10.1.0.2"))
    return str(request.sender_ip)


@pytest.mark.parametrize(
    ("mode", "src", "sender"),
    [
        (0, "10.2.0.1", "10.2.0.1"),
        (0, "10.1.0.7", "10.1.0.7"),
        (0, "172.16.0.9", "10.1.0.1"),
        (1, "10.2.0.1", "10.1.0.1"),
        (1, "10.1.0.7", "10.1.0.7"),
        (2, "10.1.0.7", "10.1.0.1"),
        (2, "10.2.0.1", "10.1.0.1"),
    ],
)
def test_arp_announce_chooses_the_address_to_ask_with(node: Node, mode: int, src: str, sender: str) -> None:
    """The packet's source, if it is ours (0) and of the target's subnet (1), or never (2)."""
    node.add_address("eth0", "10.1.0.7/24")
    node.set("arp_announce", mode)
    assert sender_of(node, src) == sender


def test_a_device_without_an_address_asks_with_one_of_another(node: Node) -> None:
    """As the devices of Calico's pods do on the node."""
    rtnetlink.set_up(node.net, node.net.add_device("cali1", Veth(), ETH1_MAC, mtu=1500))
    ((_, _, request),) = transmitted(node.send("10.65.0.11", "192.0.2.77", "cali1"))
    assert str(request.sender_ip) == "10.1.0.1"


def test_unanswered_requests_end_in_host_unreachable(node: Node) -> None:
    """Three requests a second apart; then each sender hears of it, and the packets are dropped."""
    node.send("10.1.0.9")
    node.send("10.1.0.9")
    followed = node.run(10 * SECOND)
    requests = [at for at, effect in followed if isinstance(effect, Transmit)]
    assert requests == [1000, 2000]
    last = [effect for at, effect in followed if at == 3000]
    assert dropped(last) == [DropReason.NEIGH_FAILED] * 2
    messages = [effect.frame.octets[14:] for effect in last if isinstance(effect, Backlog)]
    assert [(message[20], message[21]) for message in messages] == [
        (icmp.UNREACHABLE, icmp.HOST_UNREACHABLE)
    ] * 2
    assert node.state("10.1.0.9") is Nud.FAILED


def test_a_report_that_needs_the_failed_neighbour_itself_ends_there(node: Node) -> None:
    """The first report asks for the address anew; the packets behind it are dropped in silence."""
    skbs = [Skb(ipv4.build(17, ip("10.1.0.9"), ip("10.1.0.9"), bytes(8)), number) for number in (1, 2)]
    eth0 = node.net.devices["eth0"]
    for skb in skbs:
        skb.device = eth0
        arp.output(node.net, skb, eth0, ip("10.1.0.9"))
    node.net.take_effects()
    last = [effect for at, effect in node.run(3 * SECOND) if at == 3000]
    assert dropped(last) == [DropReason.NEIGH_FAILED, DropReason.QUEUE_PURGE]
    assert len(transmitted(last)) == 1
    assert node.state("10.1.0.9") is Nud.INCOMPLETE


def test_probes_of_a_doubtful_neighbour_go_to_it_alone(node: Node) -> None:
    """After `delay_first_probe_time`, with a target MAC address of zeros all the same."""
    node.ask("10.1.0.1")
    node.send("10.1.0.2")
    ((at, sent), *_) = [item for item in node.run(5 * SECOND) if isinstance(item[1], Transmit)]
    assert at == 5000
    expected = Arp(REQUEST, ETH0_MAC, ip("10.1.0.1"), ZERO_MAC, ip("10.1.0.2"))
    assert transmitted([sent]) == [("eth0", ASKER_MAC, expected)]


def test_probe_asks_without_a_packet(node: Node) -> None:
    """Once, however often it is called."""
    arp.probe(node.net, node.net.devices["eth0"], ip("10.1.0.9"))
    arp.probe(node.net, node.net.devices["eth0"], ip("10.1.0.9"))
    assert len(transmitted(node.net.take_effects())) == 1


@pytest.mark.parametrize("notify", [0, 1])
def test_arp_notify_announces_all_addresses_when_the_device_comes_up(node: Node, notify: int) -> None:
    """By gratuitous requests; not by default, and not when a carrier comes back."""
    node.add_address("eth0", "10.1.0.7/24")
    node.set("arp_notify", notify)
    eth0 = node.net.devices["eth0"]
    rtnetlink.set_down(node.net, eth0)
    node.net.take_effects()
    rtnetlink.set_up(node.net, eth0)
    announced = transmitted(node.net.take_effects())
    assert [(dst, str(packet.sender_ip), str(packet.target_ip)) for _, dst, packet in announced] == [
        (BROADCAST_MAC, address, address) for address in ("10.1.0.1", "10.1.0.7")
    ] * notify


@pytest.mark.parametrize(("evict", "left"), [(1, None), (0, Nud.REACHABLE)])
def test_a_lost_carrier_makes_neighbours_forgotten(node: Node, evict: int, left: Nud | None) -> None:
    """Unless `arp_evict_nocarrier` is 0; PERMANENT ones stay in any case."""
    node.set("arp_evict_nocarrier", evict)
    node.net.neighbours.replace("eth0", ip("10.1.0.2"), ASKER_MAC, Nud.REACHABLE, node.now)
    node.net.neighbours.replace("eth0", ip("10.1.0.3"), ASKER_MAC, Nud.PERMANENT, node.now)
    arp.carrier_lost(node.net, node.net.devices["eth0"])
    assert node.state("10.1.0.2") is left
    assert node.state("10.1.0.3") is Nud.PERMANENT


# --- where no question is needed ---


@pytest.mark.parametrize(
    ("dst", "mac"),
    [
        ("224.0.0.251", "01:00:5e:00:00:fb"),
        ("239.129.2.3", "01:00:5e:01:02:03"),
        ("10.1.0.255", "ff:ff:ff:ff:ff:ff"),
        ("255.255.255.255", "ff:ff:ff:ff:ff:ff"),
    ],
)
def test_groups_and_broadcasts_have_fixed_addresses(node: Node, dst: str, mac: str) -> None:
    """RFC 1112: the lower 23 bits of the group; all ones for a broadcast."""
    for _ in range(2):
        (sent,) = node.send(dst)
        assert isinstance(sent, Transmit)
        assert sent.frame.octets[:14] == MacAddress.parse(mac) + ETH0_MAC + b"\x08\x00"


def test_frames_on_the_loopback_have_addresses_of_zeros(node: Node) -> None:
    """Whatever the destination."""
    (sent,) = node.send("127.0.0.1", "127.0.0.1", "lo")
    assert isinstance(sent, Backlog)
    assert sent.frame.octets[:14] == bytes(12) + b"\x08\x00"


def test_a_frame_has_the_new_addresses_after_a_change(node: Node) -> None:
    """The remembered header follows the neighbour's MAC address and our own."""
    node.send("10.1.0.2")
    node.reply("10.1.0.2")
    node.send("10.1.0.2")
    node.now = Instant(5 * SECOND)
    node.reply("10.1.0.2", THIRD_MAC)
    (sent,) = node.send("10.1.0.2")
    assert isinstance(sent, Transmit)
    assert sent.frame.octets[:12] == THIRD_MAC + ETH0_MAC
    rtnetlink.set_mac(node.net, node.net.devices["eth0"], ETH1_MAC)
    assert node.state("10.1.0.2") is None


def test_an_address_that_is_no_longer_good_sends_nothing_more(node: Node) -> None:
    """What waited is sent only as long as the neighbour is valid."""
    node.send("10.1.0.2")
    neighbour = node.net.neighbours.get("eth0", ip("10.1.0.2"))
    assert neighbour is not None
    arp.act(node.net, [Send(neighbour, neighbour.take())])
    assert dropped(node.net.take_effects()) == [DropReason.QUEUE_PURGE]


def test_a_recorder_hears_why_a_packet_waits_and_why_a_request_is_not_answered(node: Node) -> None:
    """The stages are `neighbour` and `arp`."""
    recorder = Notes()
    node.net.recorder = recorder
    node.send("10.1.0.9")
    node.set("arp_ignore", 8)
    node.ask("10.1.0.1")
    node.ask("10.1.0.8")
    node.ask("10.1.0.1", asker="0.0.0.0")  # noqa: S104 - an RFC 5227 probe
    assert recorder.notes == [
        "neighbour: waits for the MAC address of 10.1.0.9 dev eth0",
        "arp: not answered: arp_ignore 8",
        "arp: not answered: the destination is not ours; ip_forward is 0",
        "arp: not learned: 10.1.0.2 is no neighbour",
        "arp: not answered: arp_ignore 8",
    ]


def test_a_full_table_drops_the_packet(node: Node) -> None:
    """With NEIGH_CREATEFAIL, where Linux logs a neighbor table overflow."""
    node.net.neighbours.thresholds = node.net.neighbours.thresholds._replace(force=0, most=0)
    assert dropped(node.send("10.1.0.2")) == [DropReason.NEIGH_CREATEFAIL]
    arp.probe(node.net, node.net.devices["eth0"], ip("10.1.0.2"))
    assert node.net.take_effects() == []
    assert not node.answers("10.1.0.1")


@pytest.mark.parametrize(
    ("octets", "size"),
    [(32, 832), (225, 832), (226, 1280), (673, 1280), (674, 2304), (1500, 2304), (1698, 4352)],
)
def test_the_memory_of_a_packet_is_charged_as_linux_does(octets: int, size: int) -> None:
    """Counted by how many datagrams wait within 212,992 octets: 256, 166 or 92."""
    assert arp.truesize(octets) == size
