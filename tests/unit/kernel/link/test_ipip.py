# SPDX-License-Identifier: GPL-2.0-only
"""IPv4 in IPv4, after net/ipv4/ip_tunnel.c; Scapy builds the octets that are compared."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from scapy.layers.inet import ICMP, IP, UDP

from emu.apps import commands
from emu.cluster.network.rules_iptables import load
from emu.kernel import inetdev, rtnetlink
from emu.kernel.drops import DropReason
from emu.kernel.effects import Backlog, Drop, Transmit
from emu.kernel.link import ipip
from emu.kernel.link.ipip import Ipip
from emu.kernel.link.veth import Veth
from emu.kernel.nud import Nud
from emu.kernel.route import Nexthop, Route
from emu.sim.time import START
from emu.tools.ip.link_text import put_link
from emu.tools.ip.options import Options
from emu.tools.ip.record import Record
from emu.wire import ethernet
from emu.wire.addresses import Interface, IpAddress, MacAddress, Prefix
from emu.wire.frame import Frame
from emu.wire.ipv4 import Ipv4

if TYPE_CHECKING:
    from emu.kernel.effects import Effect
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace

ETH0 = MacAddress.parse("02:00:c0:a8:00:01")
ANY = "0.0.0.0"  # noqa: S104 - no socket
POD = MacAddress.parse("02:00:0a:f4:01:02")
GATE = MacAddress.parse("02:00:0a:f4:01:01")


def host(number: int) -> IpAddress:
    """Return an underlay address; 1 is the namespace's own."""
    return IpAddress(bytes((192, 168, 0, number)))


@pytest.fixture
def node(net: Namespace) -> Namespace:
    """Return a node with 192.168.0.1/24 on `eth0`, pods on `pod0`, and 10.244.2.0/24 by `tunl0` at .2."""
    net.sysctl.set("net.ipv4.ip_forward", 1)
    eth0 = net.add_device("eth0", Veth(), ETH0, mtu=1500)
    inetdev.add_address(net.fib, eth0, Interface.parse("192.168.0.1/24"))
    rtnetlink.set_up(net, eth0)
    pod0 = net.add_device("pod0", Veth(), GATE, mtu=1500)
    inetdev.add_address(net.fib, pod0, Interface.parse("10.244.1.1/24"))
    rtnetlink.set_up(net, pod0)
    for number in (2, 3):
        mac = MacAddress(ETH0[:5] + bytes((number,)))
        net.neighbours.replace("eth0", host(number), mac, Nud.PERMANENT, START)
    net.neighbours.replace("pod0", IpAddress.parse("10.244.1.2"), POD, Nud.PERMANENT, START)
    tunl0 = ipip.add(net, "tunl0", Ipip())
    inetdev.add_address(net.fib, tunl0, Interface.parse("10.244.1.0/32"))
    rtnetlink.set_up(net, tunl0)
    net.fib.add(Route(Prefix.parse("10.244.2.0/24"), nexthops=(Nexthop("tunl0", host(2), onlink=True),)))
    net.take_effects()
    return net


@pytest.fixture
def tunl0(node: Namespace) -> Device:
    """Return the tunnel device."""
    return node.devices["tunl0"]


def packet(
    length: int = 100, *, tos: int = 0, ttl: int = 33, df: bool = False, dst: str = "10.244.2.7"
) -> bytes:
    """Return a datagram of a pod, `length` octets in all."""
    header = IP(src="10.244.1.2", dst=dst, tos=tos, ttl=ttl, id=77, flags="DF" if df else 0)
    return bytes(header / UDP(sport=4000, dport=5000) / bytes(length - 28))


def come(net: Namespace, inner: bytes) -> list[Effect]:
    """Have a packet come in from the pod."""
    return net.receive("pod0", Frame(ethernet.header(GATE, POD, ethernet.IPV4) + inner, 9), START)


def arrive(net: Namespace, outer: bytes) -> list[Effect]:
    """Have a packet come in from another node."""
    mac = MacAddress(ETH0[:5] + b"\x02")
    return net.receive("eth0", Frame(ethernet.header(ETH0, mac, ethernet.IPV4) + outer, 9), START)


def sent(effects: list[Effect], device: str = "eth0") -> list[bytes]:
    """Return the packets that leave by a device."""
    return [each.frame.octets[14:] for each in effects if isinstance(each, Transmit) and each.iface == device]


def drops(effects: list[Effect]) -> list[DropReason]:
    """Return why packets ended."""
    return [each.reason for each in effects if isinstance(each, Drop)]


def test_outer_octets_are_those_of_scapy(node: Namespace) -> None:
    """A forwarded packet leaves in a header of protocol 4 to the route's next hop, and is else untouched."""
    (found,) = sent(come(node, packet()))
    identification = Ipv4.parse(found).identification
    expected = IP(src="192.168.0.1", dst="192.168.0.2", ttl=32, id=identification, proto=4)
    assert found == bytes(expected / packet(ttl=32))


@pytest.mark.parametrize("df", [False, True])
def test_df_is_that_of_the_packet_inside(node: Namespace, *, df: bool) -> None:
    """Without `pmtudisc` the outer packet has DF if the inner one has."""
    (found,) = sent(come(node, packet(df=df)))
    assert Ipv4.parse(found).df is df


def test_pmtudisc_always_sets_df(node: Namespace, tunl0: Device) -> None:
    """With `pmtudisc` each outer packet has DF."""
    tunl0.link = Ipip(pmtudisc=True)
    (found,) = sent(come(node, packet()))
    assert Ipv4.parse(found).df


@pytest.mark.parametrize(
    ("link", "inner", "outer"),
    [
        (Ipip(), 0xB8, 0),
        (Ipip(), 0xB9, 1),
        (Ipip(), 0x03, 2),
        (Ipip(tos=0x20), 0xB9, 0x21),
        (Ipip(tos_inherit=True), 0xBA, 0xBA),
    ],
)
def test_dscp_is_the_devices_and_ecn_the_packets(
    node: Namespace, tunl0: Device, link: Ipip, inner: int, outer: int
) -> None:
    """DSCP is not inherited unless the device says so; ECN is, and CE becomes ECT(0)."""
    tunl0.link = link
    (found,) = sent(come(node, packet(tos=inner)))
    assert Ipv4.parse(found).tos == outer


def test_a_device_may_have_a_ttl(node: Namespace, tunl0: Device) -> None:
    """A TTL that was given stands in each outer header."""
    tunl0.link = Ipip(ttl=5)
    (found,) = sent(come(node, packet()))
    assert Ipv4.parse(found).ttl == 5


def test_a_remote_is_always_the_other_end(node: Namespace, tunl0: Device) -> None:
    """With ends of its own a tunnel asks no route who is at the other one."""
    tunl0.link = Ipip(local=host(1), remote=host(3))
    (found,) = sent(come(node, packet()))
    assert (Ipv4.parse(found).src, Ipv4.parse(found).dst) == (host(1), host(3))


def test_mtu_is_1480(tunl0: Device) -> None:
    """Twenty octets are kept for the outer header."""
    assert tunl0.mtu == 1480


def test_full_size_with_df_gets_fragmentation_needed(node: Namespace) -> None:
    """1500 octets with DF do not fit: the pod is told 1480, and nothing leaves."""
    effects = come(node, packet(1500, df=True))
    (error,) = sent(effects, "pod0")
    assert (error[20:22], int.from_bytes(error[26:28], "big")) == (b"\x03\x04", 1480)
    assert drops(effects) == [DropReason.PKT_TOO_BIG]
    assert sent(effects) == []


def test_full_size_without_df_is_cut_before_the_tunnel(node: Namespace) -> None:
    """Without DF the packet is cut to 1480 octets, and each part has its own outer header."""
    found = sent(come(node, packet(1500)))
    assert [Ipv4.parse(each).protocol for each in found] == [4, 4]
    assert [len(each) for each in found] == [1496, 64]
    assert all(Ipv4.parse(each).offset == 0 for each in found)


def test_a_narrow_path_is_told_as_it_is_less_the_header(node: Namespace, tunl0: Device) -> None:
    """What ICMP said of the outer path counts for the next packet with DF, 20 octets less."""
    (outer,) = sent(come(node, packet(1400, df=True)))
    quoted = outer[:28]
    error = IP(src="192.168.0.9", dst="192.168.0.1") / ICMP(type=3, code=4, nexthopmtu=1300) / quoted
    arrive(node, bytes(error))
    effects = come(node, packet(1400, df=True))
    (told,) = sent(effects, "pod0")
    assert (told[20:22], int.from_bytes(told[26:28], "big")) == (b"\x03\x04", 1280)
    assert tunl0.counters.tx_dropped == 1


def test_what_is_inside_comes_in_by_the_tunnel(node: Namespace) -> None:
    """An outer packet for this host is unwrapped, and the inner one goes to the backlog of the device."""
    inner = bytes(IP(src="10.244.2.7", dst="10.244.1.2", ttl=20) / UDP(sport=1, dport=2))
    effects = arrive(node, bytes(IP(src="192.168.0.2", dst="192.168.0.1", ttl=20, proto=4) / inner))
    (queued,) = (each for each in effects if isinstance(each, Backlog))
    assert (queued.iface, queued.frame.octets) == ("tunl0", ethernet.NO_HEADER + inner)
    (out,) = sent(node.backlog("tunl0", queued.frame, START), "pod0")
    assert Ipv4.parse(out).ttl == 19


@pytest.mark.parametrize(("outer", "inner", "result"), [(3, 2, 3), (1, 2, 1), (3, 0, None), (2, 1, 1)])
def test_congestion_comes_off_the_outer_header(
    node: Namespace, outer: int, inner: int, result: int | None
) -> None:
    """A mark on the way gets to the inner packet (RFC 6040), or ends one that cannot tell it."""
    inside = IP(src="10.244.2.7", dst="10.244.1.2", tos=inner) / UDP(sport=1, dport=2)
    effects = arrive(node, bytes(IP(src="192.168.0.2", dst="192.168.0.1", tos=outer) / inside))
    found = [each.frame.octets[15] for each in effects if isinstance(each, Backlog)]
    assert found == ([] if result is None else [result])
    assert drops(effects) == ([DropReason.IP_TUNNEL_ECN] if result is None else [])


def test_a_tunnel_of_somebody_else_is_told_port_unreachable(node: Namespace, tunl0: Device) -> None:
    """A tunnel with a remote takes nothing from others: they get port unreachable (`tunnel4_rcv`)."""
    tunl0.link = Ipip(remote=host(3))
    effects = arrive(node, bytes(IP(src="192.168.0.2", dst="192.168.0.1") / IP() / UDP()))
    (error,) = sent(effects)
    assert error[20:22] == b"\x03\x03"


def test_without_a_tunnel_the_protocol_is_unknown(net: Namespace) -> None:
    """Where there is no device of the kind the protocol has no handler."""
    eth0 = net.add_device("eth0", Veth(), ETH0, mtu=1500)
    inetdev.add_address(net.fib, eth0, Interface.parse("192.168.0.1/24"))
    rtnetlink.set_up(net, eth0)
    effects = arrive(net, bytes(IP(src="192.168.0.2", dst="192.168.0.1") / IP() / UDP()))
    assert drops(effects) == [DropReason.IP_NOPROTO]


def test_the_most_particular_tunnel_takes_it(node: Namespace) -> None:
    """A tunnel with the sender as remote comes before the one for all."""
    own = ipip.add(node, "ipip2", Ipip(remote=host(2)))
    rtnetlink.set_up(node, own)
    inner = bytes(IP(src="10.244.2.7", dst="10.244.1.2") / UDP())
    effects = arrive(node, bytes(IP(src="192.168.0.2", dst="192.168.0.1", proto=4) / inner))
    assert [each.iface for each in effects if isinstance(each, Backlog)] == ["ipip2"]


def test_a_way_into_itself_is_no_way(node: Namespace) -> None:
    """A tunnel whose other end is behind the tunnel sends nothing, and nothing goes round."""
    loop = Route(Prefix.parse("192.168.0.2/32"), nexthops=(Nexthop("tunl0", host(2), onlink=True),))
    node.fib.add(loop)
    assert drops(come(node, packet())) == [DropReason.RECURSION_LIMIT]


def rules(net: Namespace, table: str, *lines: str) -> None:
    """Have such rules in a table."""
    load(net, "\n".join((f"*{table}", *lines, "COMMIT", "")))


def test_the_mark_stays_on_the_outer_packet(node: Namespace) -> None:
    """A rule that looks at the outer packet in OUTPUT sees the mark of the inner one."""
    rules(node, "mangle", ":PREROUTING ACCEPT", "-A PREROUTING -i pod0 -j MARK --set-mark 7")
    rules(node, "filter", ":OUTPUT ACCEPT", "-A OUTPUT -p 4 -m mark --mark 7 -j DROP")
    assert drops(come(node, packet())) == [DropReason.NETFILTER_DROP]


def test_both_packets_are_connections(node: Namespace) -> None:
    """Conntrack knows the packet inside and the one around it, each by its own protocol."""
    rules(node, "filter", ":FORWARD ACCEPT", "-A FORWARD -m conntrack --ctstate INVALID -j DROP")
    come(node, packet())
    known = node.netfilter.conntrack.entries(node.now)
    assert [each.protocol for each in known] == [17, 4]


def test_a_masqueraded_sender_is_told_under_its_own_name(node: Namespace) -> None:
    """Who was masqueraded on the tunnel gets fragmentation needed all the same (`icmp_ndo_send`)."""
    rules(node, "nat", ":POSTROUTING ACCEPT", "-A POSTROUTING -o tunl0 -j MASQUERADE")
    node.fib.add(Route(Prefix.parse("10.244.3.0/24"), nexthops=(Nexthop("tunl0", host(3), onlink=True),)))
    (outer,) = sent(come(node, packet(1400, df=True)))
    error = IP(src="192.168.0.9", dst="192.168.0.1") / ICMP(type=3, code=4, nexthopmtu=1300) / outer[:28]
    arrive(node, bytes(error))
    (told,) = sent(come(node, packet(1400, df=True)), "pod0")
    assert IpAddress(told[16:20]) == IpAddress.parse("10.244.1.2")
    assert IpAddress(told[28 + 12 : 28 + 16]) == IpAddress.parse("10.244.1.2")


def test_counters_do_not_count_what_is_not_there(node: Namespace, tunl0: Device) -> None:
    """A device without link header counts packets alone."""
    come(node, packet(100))
    assert (tunl0.counters.tx_packets, tunl0.counters.tx_bytes) == (1, 100)


def test_ip_link_shows_it_as_iproute2_does(node: Namespace) -> None:
    """`ip -d link` has the ends as addresses and the options of the tunnel."""
    told = Record()
    put_link(told, node.devices["tunl0"], node.devices, Options(details=True), is_link=True)
    assert told.text.startswith(
        "4: tunl0@NONE: <NOARP,UP,LOWER_UP> mtu 1480 qdisc noqueue state UNKNOWN mode DEFAULT group default "
        "qlen 1000\n    link/ipip 0.0.0.0 brd 0.0.0.0 promiscuity 0  allmulti 0 minmtu 0 maxmtu 0 \n"
        "    ipip any remote any local any ttl inherit nopmtudisc addrgenmode eui64 "
    )


def test_ip_tunnel_shows_it_as_iproute2_does(node: Namespace) -> None:
    """`ip tunnel` has a line for each tunnel; one with ends shows them."""
    ipip.add(node, "ipip1", Ipip(host(1), host(3), "eth0", ttl=9, pmtudisc=True))
    assert commands.execute(node, ["ip", "tunnel"]) == (
        "tunl0: any/ip remote any local any ttl inherit nopmtudisc\n"
        "ipip1: ip/ip remote 192.168.0.3 local 192.168.0.1 dev eth0 ttl 9\n"
    )
    told = json.loads(commands.execute(node, ["ip", "-j", "tunnel", "show", "tunl0"]))
    assert told == [{"ifname": "tunl0", "mode": "any/ip", "remote": ANY, "local": ANY, "nopmtudisc": None}]


def test_a_tunnel_with_ends_is_point_to_point(node: Namespace) -> None:
    """`ip link` shows its ends as addresses, one of them as the peer, and the device below."""
    ipip.add(node, "ipip1", Ipip(host(1), host(3), "eth0"))
    told = commands.execute(node, ["ip", "link", "show", "ipip1"])
    assert told.startswith("5: ipip1@eth0: <POINTOPOINT,NOARP> mtu 1480 qdisc noop state DOWN")
    assert "link/ipip 192.168.0.1 peer 192.168.0.3" in told
