# SPDX-License-Identifier: GPL-2.0-only
"""Our octets are Scapy's, for every header and any values in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from emu.wire import arp, checksum, ethernet, icmp, ipv4, tcp, udp, vxlan
from emu.wire.addresses import IpAddress, MacAddress
from emu.wire.arp import Arp
from emu.wire.ethernet import Ethernet
from emu.wire.icmp import Icmp
from emu.wire.ipv4 import Ipv4
from emu.wire.tcp import Tcp, TcpOptions
from emu.wire.udp import Udp
from emu.wire.vxlan import Vni, Vxlan

U8, U16, U24, U32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 24, 32))
PAYLOADS = st.binary(max_size=64)
MACS = st.binary(min_size=6, max_size=6).map(MacAddress)
ADDRESSES = st.binary(min_size=4, max_size=4).map(IpAddress)
PROTOCOLS = st.sampled_from([1, 4, 6, 17, 50, 132, 253])


def between(packet: Packet, src: IpAddress, dst: IpAddress) -> bytes:
    """Return the octets of `packet` behind an IP header, its checksum computed by Scapy."""
    return bytes(IP(src=str(src), dst=str(dst)) / packet)[20:]


@given(dst=MACS, src=MACS, ethertype=U16, payload=PAYLOADS)
def test_ethernet_headers(dst: MacAddress, src: MacAddress, ethertype: int, payload: bytes) -> None:
    """Built alike, and Scapy's is read as it was meant."""
    octets = bytes(Ether(dst=str(dst), src=str(src), type=ethertype) / Raw(payload))
    assert ethernet.header(dst, src, ethertype) + payload == octets
    if ethertype != ethernet.VLAN:
        assert Ethernet.parse(octets) == (dst, src, ethertype, 14, None)


@given(dst=MACS, src=MACS, vlan=st.integers(0, 4095), priority=st.integers(0, 7), ethertype=U16)
def test_tags(dst: MacAddress, src: MacAddress, vlan: int, priority: int, ethertype: int) -> None:
    """A tag that Scapy wrote is read."""
    octets = bytes(Ether(dst=str(dst), src=str(src)) / Dot1Q(vlan=vlan, prio=priority, type=ethertype))
    assert Ethernet.parse(octets) == (dst, src, ethertype, 18, vlan)


@given(operation=U16, sha=MACS, spa=ADDRESSES, tha=MACS, tpa=ADDRESSES)
def test_arp_packets(
    operation: int, sha: MacAddress, spa: IpAddress, tha: MacAddress, tpa: IpAddress
) -> None:
    """Built alike, and read back."""
    octets = bytes(ARP(op=operation, hwsrc=str(sha), psrc=str(spa), hwdst=str(tha), pdst=str(tpa)))
    assert arp.build(operation, sha, spa, tha, tpa) == octets
    assert Arp.parse(octets) == (operation, sha, spa, tha, tpa)


@given(
    protocol=PROTOCOLS,
    src=ADDRESSES,
    dst=ADDRESSES,
    payload=PAYLOADS,
    numbers=st.tuples(U8, U8, U16, U16),
    options=st.integers(0, 10),
)
def test_ipv4_packets(
    protocol: int,
    src: IpAddress,
    dst: IpAddress,
    payload: bytes,
    numbers: tuple[int, int, int, int],
    options: int,
) -> None:
    """Lengths, flags, options (as many words of them) and checksum are Scapy's."""
    ttl, tos, identification, fragment = numbers
    ours = ipv4.build(
        protocol,
        src,
        dst,
        payload,
        ttl=ttl,
        tos=tos,
        identification=identification,
        fragment=fragment,
        options=b"\1" * 4 * options,
    )
    layer = IP(
        tos=tos,
        id=identification,
        flags=fragment >> 13,
        frag=fragment & ipv4.OFFSET_MASK,
        ttl=ttl,
        proto=protocol,
        src=str(src),
        dst=str(dst),
        options=[IPOption_NOP()] * 4 * options,
    )
    assert ours == bytes(layer / Raw(payload))
    header = Ipv4.parse(ours)
    assert header[1:] == (
        *(tos, len(ours), identification, fragment, ttl, protocol),
        *(int.from_bytes(ours[10:12], "big"), src, dst),
    )


@given(src=ADDRESSES, dst=ADDRESSES, ports=st.tuples(U16, U16), payload=PAYLOADS)
def test_udp_datagrams(src: IpAddress, dst: IpAddress, ports: tuple[int, int], payload: bytes) -> None:
    """Length and checksum over the pseudo header are Scapy's; without checksum, zero."""
    layer = UDP(sport=ports[0], dport=ports[1]) / Raw(payload)
    ours = udp.build(src, dst, *ports, payload)
    assert ours == between(layer, src, dst)
    assert udp.checksum_holds(src, dst, ours)
    assert Udp.parse(ours)[:3] == (*ports, len(ours))
    layer.chksum = 0
    assert udp.build(src, dst, *ports, payload, with_checksum=False) == between(layer, src, dst)


@given(
    ends=st.tuples(ADDRESSES, ADDRESSES),
    ports=st.tuples(U16, U16),
    numbers=st.tuples(U32, U32, U16),
    flags=U8,
    mss=st.none() | U16,
    scale=st.none() | st.integers(0, 14),
    stamps=st.none() | st.tuples(U32, U32),
    payload=PAYLOADS,
)
def test_tcp_segments(
    ends: tuple[IpAddress, IpAddress],
    ports: tuple[int, int],
    numbers: tuple[int, int, int],
    flags: int,
    mss: int | None,
    scale: int | None,
    stamps: tuple[int, int] | None,
    payload: bytes,
) -> None:
    """Header, options in Linux's order, and checksum over the pseudo header are Scapy's."""
    seq, ack, window = numbers
    spelled: list[tuple[str, object]] = []
    if mss is not None:
        spelled.append(("MSS", mss))
    if stamps is not None:
        spelled += [("NOP", None), ("NOP", None), ("Timestamp", stamps)]
    if scale is not None:
        spelled += [("NOP", None), ("WScale", scale)]
    layer = TCP(
        sport=ports[0], dport=ports[1], seq=seq, ack=ack, flags=flags, window=window, options=spelled
    ) / Raw(payload)
    options = TcpOptions(mss=mss, window_scale=scale, timestamps=stamps)
    ours = tcp.build(
        *ends, *ports, seq=seq, ack=ack, flags=flags, window=window, options=options.build(), payload=payload
    )
    assert ours == between(layer, *ends)
    assert tcp.checksum_holds(*ends, ours)
    header = Tcp.parse(ours)
    assert (header.sport, header.dport, header.seq, header.ack, header.flags, header.window) == (
        *(*ports, seq, ack),
        *(flags, window),
    )
    assert TcpOptions.parse(ours[20 : header.header_length]) == options


@given(blocks=st.lists(st.tuples(U32, U32), min_size=1, max_size=4))
def test_sack_blocks(blocks: list[tuple[int, int]]) -> None:
    """Up to four fit."""
    flat = tuple(edge for block in blocks for edge in block)
    layer = TCP(options=[("NOP", None), ("NOP", None), ("SAck", flat)])
    assert TcpOptions(sack=tuple(blocks)).build() == bytes(layer)[20:]


@given(kind=st.sampled_from([0, 8]), code=U8, words=st.tuples(U16, U16), payload=PAYLOADS)
def test_icmp_echoes(kind: int, code: int, words: tuple[int, int], payload: bytes) -> None:
    """Identifier, sequence number and checksum are Scapy's."""
    ours = icmp.build(kind, code, payload, word1=words[0], word2=words[1])
    assert ours == bytes(ICMP(type=kind, code=code, id=words[0], seq=words[1]) / Raw(payload))
    assert Icmp.parse(ours)[3:] == words


@given(code=U8, mtu=U16, payload=PAYLOADS)
def test_icmp_unreachables(code: int, mtu: int, payload: bytes) -> None:
    """The next-hop MTU stands where Scapy puts it."""
    ours = icmp.build(icmp.UNREACHABLE, code, payload, word2=mtu)
    assert ours == bytes(ICMP(type=3, code=code, nexthopmtu=mtu) / Raw(payload))


@given(vni=U24, inner=PAYLOADS)
def test_vxlan_headers(vni: int, inner: bytes) -> None:
    """Flags and VNI are Scapy's."""
    octets = bytes(VXLAN(vni=vni, flags="Instance") / Raw(inner))
    assert vxlan.build(Vni(vni), inner) == octets
    assert Vxlan.parse(octets) == (vxlan.FLAG_VNI, vni)


@given(
    src=ADDRESSES,
    dst=ADDRESSES,
    new=ADDRESSES,
    ports=st.tuples(U16, U16, U16),
    payload=PAYLOADS,
    use_tcp=st.booleans(),
)
def test_a_translation_updates_checksums_as_if_built_anew(
    src: IpAddress,
    dst: IpAddress,
    new: IpAddress,
    ports: tuple[int, int, int],
    payload: bytes,
    *,
    use_tcp: bool,
) -> None:
    """DNAT changes an address and a port: three incremental updates equal a fresh packet's checksums."""
    sport, dport, new_port = ports

    def transport(to: IpAddress, port: int) -> bytes:
        if use_tcp:
            return tcp.build(src, to, sport, port, seq=1, ack=2, flags=16, window=3, payload=payload)
        return udp.build(src, to, sport, port, payload)

    protocol, place = (6, 16) if use_tcp else (17, 6)
    before, after = transport(dst, dport), transport(new, new_port)
    updated = int.from_bytes(before[place : place + 2], "big")
    updated = checksum.update(updated, int(dst), int(new))
    updated = checksum.update(updated, dport, new_port)
    if not use_tcp:
        updated = updated or 0xFFFF
    assert updated == int.from_bytes(after[place : place + 2], "big")
    old, fresh = (ipv4.build(protocol, src, to, before) for to in (dst, new))
    header = checksum.update(int.from_bytes(old[10:12], "big"), int(dst), int(new))
    assert header == int.from_bytes(fresh[10:12], "big")


@pytest.mark.parametrize("length", [0, 1, 64, 1480])
def test_a_whole_vxlan_packet(length: int) -> None:
    """All layers together, the inner frame with its own checksums."""
    a, b = IpAddress.parse("10.244.1.2"), IpAddress.parse("10.244.2.2")
    node_a, node_b = IpAddress.parse("192.168.0.1"), IpAddress.parse("192.168.0.2")
    macs = [MacAddress(bytes((2, 0, 0, 0, 0, number))) for number in range(4)]
    payload = bytes(length)
    inner = ethernet.header(macs[1], macs[0], ethernet.IPV4) + ipv4.build(
        17, a, b, udp.build(a, b, 1000, 2000, payload)
    )
    outer = udp.build(node_a, node_b, 50000, 8472, vxlan.build(Vni(1), inner), with_checksum=False)
    ours = ethernet.header(macs[3], macs[2], ethernet.IPV4) + ipv4.build(17, node_a, node_b, outer)
    scapy = (
        Ether(src=str(macs[2]), dst=str(macs[3]))
        / IP(src=str(node_a), dst=str(node_b), id=0)
        / UDP(sport=50000, dport=8472, chksum=0)
        / VXLAN(vni=1, flags="Instance")
        / Ether(src=str(macs[0]), dst=str(macs[1]))
        / IP(src=str(a), dst=str(b), id=0)
        / UDP(sport=1000, dport=2000)
        / Raw(payload)
    )
    assert ours == bytes(scapy)
