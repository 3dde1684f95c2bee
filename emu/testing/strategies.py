# SPDX-License-Identifier: GPL-2.0-only
"""Hypothesis strategies for addresses, packets and frames, each named in the plural.

Arguments say what is valid; within that anything is drawn, and what fails
shrinks to the simplest thing of its kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from hypothesis import strategies as st

from emu.wire import arp, checksum, ethernet, icmp, ipv4, tcp, udp, vxlan
from emu.wire.addresses import BROADCAST_MAC, IpAddress, MacAddress, Prefix
from emu.wire.ipv4 import Ipv4
from emu.wire.vxlan import Vni

if TYPE_CHECKING:
    from collections.abc import Sequence

_T = TypeVar("_T")

_U8: Final = st.integers(0, 0xFF)
_U16: Final = st.integers(0, 0xFFFF)
_U32: Final = st.integers(0, 0xFFFFFFFF)
_HEADERS: Final = 14 + 20 + 8 + 8 + 14 + 20 + 8  # octets, in a tunnel; where damage tells most
_PAYLOADS: Final = st.binary(max_size=40) | st.integers(0, 1472).map(bytes)


# --- addresses ---


def mac_addresses(*, groups: bool = False) -> st.SearchStrategy[MacAddress]:
    """Any MAC address of one station; with `groups` those of several stations, too."""
    octets = st.binary(min_size=6, max_size=6).map(MacAddress)
    return octets if groups else octets.filter(lambda mac: not mac.is_group and any(mac))


def ip_addresses() -> st.SearchStrategy[IpAddress]:
    """Any IPv4 address, special ones included; shrinks to 0.0.0.0."""
    return _U32.map(IpAddress.from_int)


def prefixes(*, shortest: int = 0, longest: int = 32) -> st.SearchStrategy[Prefix]:
    """Any IPv4 prefix; shrinks to 0.0.0.0 with the shortest length."""
    return st.builds(Prefix.of, ip_addresses(), st.integers(shortest, longest))


# --- packets ---


def ip_options() -> st.SearchStrategy[bytes]:
    """Any well-formed options of an IPv4 header, padded: at most 40 octets, a multiple of 4."""
    padding = st.sampled_from((b"\1", b"\0"))  # no operation; the end of the list
    option = st.builds(
        lambda kind, value: bytes((kind, len(value) + 2)) + value,
        st.integers(2, 0xFF),
        st.binary(max_size=8),
    )
    return st.lists(padding | option, max_size=4).map(_padded)


def _padded(options: Sequence[bytes]) -> bytes:
    octets = b""
    for option in options:
        if len(octets) + len(option) <= 40:
            octets += option
    return octets + bytes(-len(octets) % 4)


def ip_packets(
    *,
    addresses: st.SearchStrategy[IpAddress] | None = None,
    payloads: st.SearchStrategy[bytes] | None = None,
    fragmented: bool = False,
) -> st.SearchStrategy[bytes]:
    """IPv4 packets with right lengths and header checksum, whatever they carry.

    Args:
        addresses: of source and destination; any by default.
        payloads: what follows the header; any up to 1472 octets by default.
        fragmented: flags and offset may be those of a fragment.
    """
    ends = ip_addresses() if addresses is None else addresses
    flags = st.sampled_from((0, ipv4.DF))
    return st.builds(
        ipv4.build,
        _U8,
        ends,
        ends,
        _PAYLOADS if payloads is None else payloads,
        ttl=_U8,
        tos=_U8,
        identification=_U16,
        fragment=_U16 if fragmented else flags,
        options=ip_options(),
    )


def icmp_messages() -> st.SearchStrategy[bytes]:
    """ICMP messages of any type, with a right checksum; errors may quote a packet."""
    quoted = ip_packets() | _PAYLOADS
    kinds = st.sampled_from((icmp.ECHO, icmp.ECHO_REPLY, *sorted(icmp.ERRORS))) | _U8
    return st.builds(icmp.build, kinds, _U8, quoted, word1=_U16, word2=_U16)


@st.composite
def transported(
    draw: st.DrawFn,
    addresses: st.SearchStrategy[IpAddress],
    ports: st.SearchStrategy[int],
    payloads: st.SearchStrategy[bytes],
) -> bytes:
    """Draw IPv4 packets with UDP, TCP or ICMP inside, all checksums right."""
    src, dst = draw(addresses), draw(addresses)
    sport, dport = draw(ports), draw(ports)
    protocol = draw(st.sampled_from((ipv4.UDP, ipv4.ICMP, ipv4.TCP)))
    if protocol == ipv4.UDP:
        checked = draw(st.booleans())
        body = udp.build(src, dst, sport, dport, draw(payloads), with_checksum=checked)
    elif protocol == ipv4.TCP:
        words = draw(st.tuples(_U32, _U32, _U8, _U16))
        seq, ack, flags, window = words
        body = tcp.build(
            *(src, dst, sport, dport),
            seq=seq,
            ack=ack,
            flags=flags,
            window=window,
            options=draw(ip_options()),
            payload=draw(payloads),
        )
    else:
        body = draw(icmp_messages())
    return ipv4.build(
        protocol,
        src,
        dst,
        body,
        ttl=draw(st.integers(1, 64)),
        tos=draw(_U8),
        identification=draw(st.integers(0, 1) | _U16),
        fragment=draw(st.sampled_from((0, 0, ipv4.DF, ipv4.MF, 3))),
        options=draw(st.just(b"") | ip_options()),
    )


# --- frames ---


@st.composite
def frames(
    draw: st.DrawFn,
    *,
    macs: Sequence[MacAddress] = (),
    addresses: Sequence[IpAddress] = (),
    ports: Sequence[int] = (),
    tunnels: bool = True,
) -> bytes:
    """Draw Ethernet frames whose contents are right: ARP, IPv4, a VXLAN packet with a frame inside.

    Args:
        draw: given by Hypothesis.
        macs: stations that frames are from, and for if they are not for all; any by default.
        addresses: hosts that packets are from and for; any by default.
        ports: of UDP and TCP; any by default.
        tunnels: whether there may be VXLAN.
    """
    stations = _known(macs, mac_addresses())
    hosts = _known(addresses, ip_addresses())
    src, dst = draw(stations), draw(stations | st.just(BROADCAST_MAC))
    kind = draw(st.sampled_from(("arp", "ip", "other", "vxlan") if tunnels else ("arp", "ip", "other")))
    if kind == "arp":
        operation = draw(st.sampled_from((arp.REQUEST, arp.REPLY)))
        packet = arp.build(operation, draw(stations), draw(hosts), draw(stations), draw(hosts))
        return ethernet.header(dst, src, ethernet.ARP) + packet
    if kind == "other":
        return ethernet.header(dst, src, draw(_U16)) + draw(_PAYLOADS)
    if kind == "ip":
        packet = draw(transported(hosts, _known(ports, _U16), _PAYLOADS))
        return ethernet.header(dst, src, ethernet.IPV4) + packet
    inner = draw(frames(macs=macs, addresses=addresses, ports=ports, tunnels=False))
    ends = draw(hosts), draw(hosts)
    payload = vxlan.build(Vni(draw(st.sampled_from((1, 9)) | st.integers(0, 0xFFFFFF))), inner)
    datagram = udp.build(*ends, draw(_U16), draw(st.sampled_from((8472, 4789))), payload)
    return ethernet.header(dst, src, ethernet.IPV4) + ipv4.build(ipv4.UDP, *ends, datagram)


def _known(things: Sequence[_T], others: st.SearchStrategy[_T]) -> st.SearchStrategy[_T]:
    return st.sampled_from(things) if things else others


@st.composite
def mutants(draw: st.DrawFn, originals: st.SearchStrategy[bytes]) -> bytes:
    """Draw frames that were right once: bits flipped, octets overwritten, cut short, or longer.

    Lengths and checksums may be made right again, so that the fault is met further in.
    """
    octets = bytearray(draw(originals))
    for kind in draw(st.lists(st.sampled_from(("flip", "write", "cut", "extend")), max_size=3)):
        if kind == "extend":
            octets += draw(st.binary(min_size=1, max_size=30))
        elif octets:
            at = draw(st.integers(0, min(len(octets), _HEADERS) - 1) | st.integers(0, len(octets) - 1))
            if kind == "flip":
                octets[at] ^= 1 << draw(st.integers(0, 7))
            elif kind == "write":
                octets[at] = draw(_U8)
            else:
                del octets[at:]
    return mended(bytes(octets)) if draw(st.booleans()) else bytes(octets)


_CHECKSUMS: Final = {ipv4.ICMP: 2, ipv4.UDP: 6, ipv4.TCP: 16}


def mended(frame: bytes) -> bytes:
    """Return `frame` with right lengths and checksums, if it carries IPv4 with a whole header."""
    head, packet = frame[: ethernet.HEADER_LENGTH], frame[ethernet.HEADER_LENGTH :]
    if head[12:14] != b"\x08\0" or len(packet) < ipv4.MIN_HEADER:
        return frame
    header = Ipv4.parse(packet)
    length = header.header_length
    if not ipv4.MIN_HEADER <= length <= len(packet) <= ipv4.MAX_PACKET:
        return frame
    body = bytearray(packet[length:])
    place = _CHECKSUMS.get(header.protocol)
    if place is not None and len(body) >= place + 2:
        if header.protocol == ipv4.UDP:
            body[4:6] = len(body).to_bytes(2, "big")
        body[place : place + 2] = b"\0\0"
        pseudo = checksum.pseudo_header(header.src, header.dst, header.protocol, len(body))
        total = checksum.checksum(bytes(body), 0 if header.protocol == ipv4.ICMP else pseudo)
        body[place : place + 2] = total.to_bytes(2, "big")
    fixed = packet[:2] + len(packet).to_bytes(2, "big") + packet[4:length]
    return head + ipv4.rechecksum(fixed) + bytes(body)
