# SPDX-License-Identifier: GPL-2.0-only
"""Which frames are of one flow: what the recorded scenarios show of VXLAN source ports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.link.flowhash import flow_hash, source_port
from emu.wire import icmp, ipv4, tcp, udp

if TYPE_CHECKING:
    from collections.abc import Callable

A, B = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
SECRET = 0x0123_4567_89AB_CDEF
MACS = bytes(12)


def packet(protocol: int, src: bytes, dst: bytes, payload: bytes, fragment: int = 0) -> bytes:
    """Return a frame with an IPv4 packet."""
    return MACS + b"\x08\0" + ipv4.build(protocol, src, dst, payload, fragment=fragment)


def segment(src: bytes, dst: bytes, sport: int, dport: int, seq: int = 0) -> bytes:
    """Return a frame with a TCP segment."""
    octets = tcp.build(src, dst, sport, dport, seq=seq, ack=0, flags=tcp.ACK, window=1)
    return packet(ipv4.TCP, src, dst, octets)


def datagram(src: bytes, dst: bytes, sport: int, dport: int) -> bytes:
    """Return a frame with a UDP datagram."""
    return packet(ipv4.UDP, src, dst, udp.build(src, dst, sport, dport, b"x"))


def echo(src: bytes, dst: bytes, kind: int, number: int) -> bytes:
    """Return a frame with an echo message."""
    return packet(ipv4.ICMP, src, dst, icmp.build(kind, 0, b"ping", word1=number))


def same(first: bytes, second: bytes) -> bool:
    """Return whether both are of one flow."""
    return flow_hash(first, SECRET) == flow_hash(second, SECRET)


def test_all_segments_of_one_direction_are_one_flow() -> None:
    """The sequence number, like all else behind the ports, does not count."""
    assert same(segment(A, B, 40000, 80, seq=1), segment(A, B, 40000, 80, seq=2))


@pytest.mark.parametrize("make", [segment, datagram])
@pytest.mark.parametrize("sport", [40000, 80])
def test_the_two_directions_of_a_connection_are_two_flows(
    make: Callable[[bytes, bytes, int, int], bytes], sport: int
) -> None:
    """Even where both ports are the same."""
    assert not same(make(A, B, sport, 80), make(B, A, 80, sport))


def test_another_port_is_another_flow() -> None:
    """As each hop of a traceroute has."""
    assert not same(datagram(A, B, 44000, 33434), datagram(A, B, 44000, 33435))


def test_all_echoes_between_two_hosts_are_one_flow() -> None:
    """Request and reply, whatever the identifier."""
    assert same(echo(A, B, icmp.ECHO, 1), echo(B, A, icmp.ECHO_REPLY, 2))
    assert not same(echo(A, B, icmp.ECHO, 1), echo(A, b"\x0a\0\0\3", icmp.ECHO, 1))


def test_fragments_are_told_apart_by_address_and_protocol_only() -> None:
    """The first one has ports, but the others have not, and all must go one way."""
    first = packet(ipv4.UDP, A, B, bytes(range(16)), fragment=ipv4.MF)
    second = packet(ipv4.UDP, A, B, bytes(8), fragment=2)
    assert same(first, second)


def test_fragments_of_a_request_and_of_its_answer_are_told_apart() -> None:
    """The asking socket has drawn a number of its own; the answering one has none."""
    request = packet(ipv4.UDP, A, B, bytes(range(16)), fragment=ipv4.MF)
    assert not same(request, packet(ipv4.UDP, B, A, bytes(range(16)), fragment=ipv4.MF))
    assert same(packet(ipv4.ICMP, A, B, bytes(8), fragment=2), packet(ipv4.ICMP, B, A, bytes(8), fragment=2))


def test_all_frames_of_another_ethertype_are_one_flow() -> None:
    """ARP requests and replies."""
    assert same(b"\xff" * 12 + b"\x08\x06" + bytes(28), MACS + b"\x08\x06" + bytes(range(28)))
    assert not same(MACS + b"\x08\x06", MACS + b"\x88\xb5")


def test_ipv6_is_told_apart_likewise() -> None:
    """Ports of TCP and UDP, addresses alone for ICMPv6."""

    def frame(protocol: int, src: int, dst: int, ports: bytes) -> bytes:
        header = b"\x60\0\0\0\0\4" + bytes((protocol, 64)) + src.to_bytes(16, "big") + dst.to_bytes(16, "big")
        return MACS + b"\x86\xdd" + header + ports

    assert same(frame(58, 1, 2, b"aaaa"), frame(58, 2, 1, b"bbbb"))
    assert not same(frame(6, 1, 2, b"aabb"), frame(6, 2, 1, b"bbaa"))


def test_the_secret_decides() -> None:
    """Another run, other ports; the same secret, the same."""
    frame = segment(A, B, 40000, 80)
    assert flow_hash(frame, 1) != flow_hash(frame, 2)


@given(
    frame=st.binary(max_size=80), secret=st.integers(0, 2**64 - 1), low=st.integers(1, 65535), data=st.data()
)
def test_any_frame_gets_a_port_within_the_range(
    frame: bytes, secret: int, low: int, data: st.DataObject
) -> None:
    """The upper end is not used, as in the kernel, unless the range is empty."""
    high = data.draw(st.integers(low, 65535))
    port = source_port(frame, secret, low, high)
    assert low <= port <= max(low, high - 1)
