# SPDX-License-Identifier: GPL-2.0-only
"""Rules and NAT for what a bridge forwards, and what stays with a packet on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.cluster.network.rules_iptables import load
from emu.kernel import rtnetlink
from emu.kernel.effects import Backlog, Transmit
from emu.kernel.link.veth import Veth
from emu.kernel.nud import Nud
from emu.sim.time import START
from emu.testing.lab import pods_on_a_bridge, two_hosts, vxlan_pair
from emu.wire import arp, ethernet, ipv4, udp
from emu.wire.addresses import Interface, IpAddress, MacAddress
from emu.wire.frame import Frame
from emu.wire.ipv4 import UDP, Ipv4

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace

CLIENT, SERVER, OWN, VIP, FAR = (
    IpAddress.parse(text) for text in ("10.0.0.1", "10.0.0.2", "10.0.0.254", "10.96.0.1", "10.9.0.9")
)
CLIENT_MAC, SERVER_MAC, OTHER_MAC = (MacAddress(b"\x0a\0\0\0\0" + bytes((last,))) for last in (1, 2, 9))
Left = dict[str, list[bytes]]


@pytest.fixture
def host(node: Namespace) -> Namespace:
    """Return `node` with the sysctl on; it forwards between `br0` (10.0.0.254) and `eth1` (10.9.0.1)."""
    node.sysctl.set("net.bridge.bridge-nf-call-iptables", 1)
    node.sysctl.set("net.ipv4.ip_forward", 1)
    rtnetlink.set_up(node, node.loopback)
    rtnetlink.add_address(node, node.device("br0"), Interface.parse("10.0.0.254/24"))
    eth1 = node.add_device("eth1", Veth(), MacAddress(b"\x0a\0\0\0\1\1"), mtu=1500)
    rtnetlink.set_up(node, eth1)
    rtnetlink.add_address(node, eth1, Interface.parse("10.9.0.1/24"))
    node.neighbours.replace("eth1", FAR, OTHER_MAC, Nud.PERMANENT, START)
    node.take_effects()
    return node


def rules(net: Namespace, table: str, *lines: str) -> None:
    """Have such rules in a table."""
    load(net, "\n".join((f"*{table}", *lines, "COMMIT", "")))


def counted(net: Namespace, table: str, chain: str) -> list[int]:
    """Return how many packets each rule of a chain has seen."""
    return list(net.netfilter.tables[table].counts(chain).packets)


def datagram(dst: IpAddress, mac: MacAddress = OTHER_MAC, *, payload: int = 8) -> bytes:
    """Return a frame from CLIENT."""
    body = udp.build(CLIENT, dst, 1000, 53, bytes(payload))
    return ethernet.header(mac, CLIENT_MAC, ethernet.IPV4) + ipv4.build(
        UDP, CLIENT, dst, body, identification=7
    )


def send(net: Namespace, iface: str, octets: bytes) -> Left:
    """Have a frame come in, and return what leaves, by device."""
    left: Left = {}
    effects = net.receive(iface, Frame(octets, net.new_packet_id()), START)
    while effects:
        for effect in effects:
            if isinstance(effect, Transmit):
                left.setdefault(effect.iface, []).append(effect.frame.octets)
        loops = [effect for effect in effects if isinstance(effect, Backlog)]
        effects = [each for loop in loops for each in net.backlog(*loop, START)]
    return left


def learn(net: Namespace) -> None:
    """Have the bridge know where SERVER is."""
    send(net, "v2", SERVER_MAC * 2 + b"\x88\xb5" + bytes(50))


def ends(frame: bytes) -> tuple[bytes, bytes, IpAddress, IpAddress]:
    """Return who a frame is for and from, and the same of the packet in it."""
    header = Ipv4.parse(frame[14:])
    return frame[:6], frame[6:12], IpAddress(header.dst), IpAddress(header.src)


DNAT = f"-A PREROUTING -d {VIP} -p udp -j DNAT --to-destination {SERVER}"


def test_a_packet_for_a_host_behind_the_same_bridge_is_bridged_to_it(host: Namespace) -> None:
    """Its MAC address is known: the frame keeps its sender, and no TTL is taken."""
    rules(host, "nat", DNAT)
    host.neighbours.replace("br0", SERVER, SERVER_MAC, Nud.PERMANENT, START)
    learn(host)
    left = send(host, "v1", datagram(VIP, host.device("br0").mac))
    assert list(left) == ["v2"]
    (frame,) = left["v2"]
    assert ends(frame) == (SERVER_MAC, CLIENT_MAC, SERVER, CLIENT)
    assert Ipv4.parse(frame[14:]).ttl == 64


def test_a_packet_for_an_unknown_mac_address_waits_for_it(host: Namespace) -> None:
    """The bridge asks on its own behalf, and sends it on as if it came from the client."""
    rules(host, "nat", DNAT)
    left = send(host, "v1", datagram(VIP))
    assert sorted(left) == ["v1", "v2", "v3"]
    assert {frame[12:14] for frames in left.values() for frame in frames} == {b"\x08\x06"}
    br0 = host.device("br0").mac
    reply = arp.build(arp.REPLY, SERVER_MAC, SERVER, br0, OWN)
    left = send(host, "v2", ethernet.header(br0, SERVER_MAC, ethernet.ARP) + reply)
    assert list(left) == ["v2"]
    assert [ends(frame) for frame in left["v2"]] == [(SERVER_MAC, CLIENT_MAC, SERVER, CLIENT)]
    (connection,) = host.netfilter.conntrack.entries(START)
    assert connection.packets == [1, 0]


def test_answers_are_translated_where_they_are_bridged_back(host: Namespace) -> None:
    """They come by another port and go to the client, from the virtual address."""
    rules(host, "nat", DNAT)
    host.neighbours.replace("br0", SERVER, SERVER_MAC, Nud.PERMANENT, START)
    host.neighbours.replace("br0", CLIENT, CLIENT_MAC, Nud.PERMANENT, START)
    learn(host)
    send(host, "v1", datagram(VIP))
    body = udp.build(SERVER, CLIENT, 53, 1000, b"answer")
    octets = ethernet.header(CLIENT_MAC, SERVER_MAC, ethernet.IPV4) + ipv4.build(UDP, SERVER, CLIENT, body)
    left = send(host, "v2", octets)
    assert [ends(frame) for frame in left["v1"]] == [(CLIENT_MAC, SERVER_MAC, CLIENT, VIP)]
    assert udp.checksum_holds(VIP, CLIENT, left["v1"][0][34:])


def test_a_packet_for_another_network_goes_up_and_is_routed(host: Namespace) -> None:
    """Whatever MAC address it had: the host takes it for its own, and it meets PREROUTING once."""
    rules(host, "nat", f"-A PREROUTING -d {VIP} -p udp -j DNAT --to-destination {FAR}")
    left = send(host, "v1", datagram(VIP, OTHER_MAC))
    assert list(left) == ["eth1"]
    (frame,) = left["eth1"]
    assert ends(frame) == (OTHER_MAC, host.device("eth1").mac, FAR, CLIENT)
    assert Ipv4.parse(frame[14:]).ttl == 63
    assert counted(host, "nat", "PREROUTING") == [1]


@pytest.mark.parametrize("target", [f"DNAT --to-destination {OWN}", "REDIRECT"])
def test_a_packet_for_this_host_goes_up(host: Namespace, target: str) -> None:
    """INPUT knows the bridge and the port it came in by."""
    rules(host, "nat", f"-A PREROUTING -d {VIP} -p udp -j {target}")
    rules(
        host,
        "filter",
        "-A INPUT -i br0 -m physdev --physdev-in v1 -j DROP",
        "-A INPUT -j ACCEPT",
    )
    assert send(host, "v1", datagram(VIP)) == {}
    assert counted(host, "filter", "INPUT") == [1, 0]
    assert counted(host, "nat", "PREROUTING") == [1]


def test_each_clone_of_a_flooded_frame_meets_its_own_rules(host: Namespace) -> None:
    """FORWARD knows both ports; what it drops or changes for one, the others still get as it was."""
    rules(host, "filter", "-A FORWARD -i br0 -o br0 -m physdev --physdev-in v1 --physdev-out v2 -j DROP")
    left = send(host, "v1", datagram(SERVER))
    assert list(left) == ["v3"]
    assert counted(host, "filter", "FORWARD") == [1]
    rules(host, "filter", "-A FORWARD -j ACCEPT")
    rules(host, "mangle", "-A FORWARD -m physdev --physdev-out v2 -j TOS --set-tos 0x10/0xff")
    left = send(host, "v1", datagram(SERVER))
    assert {iface: frames[0][15] for iface, frames in left.items()} == {"v2": 0x10, "v3": 0}
    assert counted(host, "filter", "FORWARD") == [2]


def test_a_flooded_packet_is_one_connection(host: Namespace) -> None:
    """Counted once, where it came in; its clones share it."""
    rules(host, "filter", "-A FORWARD -m conntrack --ctstate NEW -j ACCEPT")
    send(host, "v1", datagram(SERVER))
    (connection,) = host.netfilter.conntrack.entries(START)
    assert connection.packets == [1, 0]
    assert counted(host, "filter", "FORWARD") == [2]


def test_without_the_sysctl_bridged_packets_meet_no_rules(host: Namespace) -> None:
    """They are not even seen."""
    host.sysctl.set("net.bridge.bridge-nf-call-iptables", 0)
    rules(host, "filter", "-A FORWARD -j DROP")
    assert sorted(send(host, "v1", datagram(SERVER))) == ["v2", "v3"]
    assert counted(host, "filter", "FORWARD") == [0]


# --- what stays with a packet ---


def test_a_mark_goes_up_a_bridge(host: Namespace) -> None:
    """Set in PREROUTING where a port took it, it is there in INPUT."""
    rules(host, "mangle", "-A PREROUTING -j MARK --set-mark 5", "-A INPUT -m mark --mark 5 -j ACCEPT")
    send(host, "v1", datagram(OWN, host.device("br0").mac))
    assert counted(host, "mangle", "INPUT") == [1]


def test_a_mark_and_a_connection_go_through_the_loopback() -> None:
    """What OUTPUT marked is marked in PREROUTING, and it is tracked but once."""
    lab = two_hosts()
    net = lab.net("a")
    rules(net, "mangle", "-A OUTPUT -j MARK --set-mark 5", "-A PREROUTING -i lo -m mark --mark 5 -j ACCEPT")
    rules(net, "filter", "-A INPUT -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT")
    lab.ping("a", "a")
    assert counted(net, "mangle", "PREROUTING") == [2]
    (connection,) = net.netfilter.conntrack.entries(net.now)
    assert connection.packets == [1, 1]


def test_a_mark_does_not_cross_a_cable() -> None:
    """The other end is another namespace, with connections of its own."""
    lab = pods_on_a_bridge()
    rules(lab.net("pod1"), "mangle", "-A OUTPUT -j MARK --set-mark 5")
    rules(lab.net("node1"), "mangle", "-A PREROUTING -m mark --mark 5 -j ACCEPT", "-A PREROUTING -j ACCEPT")
    lab.ping("pod1", "node1")
    before, after = counted(lab.net("node1"), "mangle", "PREROUTING")
    assert (before, after) == (0, 1)


def test_a_mark_goes_into_and_out_of_a_tunnel_and_the_connection_does_not() -> None:
    """The outer packet has the inner one's mark, and a connection of its own; and the other way round."""
    lab = vxlan_pair()
    rules(
        lab.net("node1"),
        "mangle",
        "-A FORWARD -o flannel.1 -j MARK --set-mark 5",
        "-A OUTPUT -o eth0 -p udp -m udp --dport 8472 -m mark --mark 5 -m conntrack --ctstate NEW -j ACCEPT",
    )
    rules(
        lab.net("node2"),
        "mangle",
        "-A PREROUTING -i eth0 -p udp -m udp --dport 8472 -j MARK --set-mark 6",
        "-A PREROUTING -i flannel.1 -p icmp -m mark --mark 6 -m conntrack --ctstate NEW -j ACCEPT",
    )
    lab.ping("pod1", "pod2")
    assert counted(lab.net("node1"), "mangle", "OUTPUT") == [1]
    assert counted(lab.net("node2"), "mangle", "PREROUTING") == [1, 1]
    protocols = sorted(
        each.protocol for each in lab.net("node2").netfilter.conntrack.entries(lab.net("node2").now)
    )
    assert protocols == [1, 17, 17]
