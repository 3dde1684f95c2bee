# SPDX-License-Identifier: GPL-2.0-only
"""Answers to refused packets, compared with those of Linux 6.18 to the same octets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from emu.kernel import inetdev
from emu.kernel.effects import Transmit
from emu.kernel.netfilter.conntrack.entry import CtInfo, Status
from emu.kernel.netfilter.conntrack.tcp_table import State
from emu.kernel.netfilter.conntrack.tcp_window import TcpState
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.targets.reject import Answer, Reject
from emu.kernel.netfilter.verdict import Verdict
from emu.kernel.skb import Bridged
from emu.sim.time import SECOND
from emu.wire import icmp, ipv4, tcp, udp
from emu.wire.addresses import Interface, IpAddress
from tests.unit.kernel.netfilter.packets import CLIENT, MAC, at, connect, node

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.packet import Packet

OWN: Final = IpAddress.parse("10.0.0.254")
RESET: Final = Reject(Answer.TCP_RESET)


def host() -> Namespace:
    """Return a host with an address on `eth0`, who knows the client's MAC address."""
    net = node()
    device = net.devices["eth0"]
    inetdev.add_address(net.fib, device, Interface(OWN, 24))
    device.up = True
    inetdev.device_up(net.fib, device)
    net.neighbours.learn("eth0", CLIENT, MAC, net.now, create=True)
    return net


def answers(packet: Packet, target: Reject) -> list[bytes]:
    """Return the packets that are sent when `target` refuses `packet`."""
    assert target.apply(packet) is Verdict.DROP
    effects = packet.net.take_effects()
    return [effect.frame.octets[14:] for effect in effects if isinstance(effect, Transmit)]


def refused(protocol: int, payload: bytes, target: Reject, *, tos: int = 0) -> list[bytes]:
    """Return what is sent when a packet of the client's to this host is refused."""
    octets = ipv4.build(protocol, CLIENT, OWN, payload, tos=tos)
    return answers(at(octets, Hook.INPUT, host()), target)


def tcp_to(flags: int, *, ack: int = 0, payload: bytes = b"") -> bytes:
    """Return a segment to port 7, of sequence number 1000."""
    return tcp.build(CLIENT, OWN, 5, 7, seq=1000, ack=ack, flags=flags, window=8192, payload=payload)


@pytest.mark.parametrize(
    ("flags", "ack", "payload", "expected"),
    [
        (tcp.SYN, 0, b"", (0, 1001, tcp.RST | tcp.ACK)),
        (tcp.SYN, 0, b"abc", (0, 1004, tcp.RST | tcp.ACK)),
        (tcp.ACK, 77, b"abc", (77, 0, tcp.RST)),
        (tcp.FIN | tcp.PSH, 0, b"abc", (0, 1004, tcp.RST | tcp.ACK)),
        (0, 0, b"", (0, 1000, tcp.RST | tcp.ACK)),
    ],
    ids=("SYN", "SYN with data", "ACK", "FIN", "no flags"),
)
def test_a_reset_fits_what_it_answers(
    flags: int, ack: int, payload: bytes, expected: tuple[int, int, int]
) -> None:
    """It has the number that was acknowledged, or acknowledges all there is."""
    (answer,) = refused(6, tcp_to(flags, ack=ack, payload=payload), RESET, tos=0x10)
    header, segment = ipv4.Ipv4.parse(answer), tcp.Tcp.parse(answer[20:])
    assert (header.src, header.dst, header.tos, header.ttl) == (OWN, CLIENT, 0, 64)
    assert (header.identification, header.fragment) == (0, ipv4.DF)
    assert (segment.sport, segment.dport, segment.window) == (7, 5, 0)
    assert (segment.seq, segment.ack, segment.flags) == expected
    assert tcp.checksum_holds(OWN, CLIENT, answer[20:])


def test_a_reset_and_a_wrong_checksum_get_no_reset() -> None:
    """Nor does what is no TCP."""
    assert refused(6, tcp_to(tcp.RST), RESET) == []
    broken = bytearray(tcp_to(tcp.SYN))
    broken[16] ^= 1
    assert refused(6, bytes(broken), RESET) == []
    assert refused(17, bytes(20), RESET) == []


@pytest.mark.parametrize(
    ("protocol", "payload", "answered"),
    [
        (99, b"abcdefg1", False),
        (99, b"\x12\x34\xed\xcb", True),
        (99, b"", True),
        (2, b"\x11\0\0\0\0\0\0\0", False),
        (1, icmp.build(icmp.ECHO, 0, b"abcd"), True),
        (1, b"\x08\0\x12\x34\0\0\0\0abcd", False),
        (17, udp.build(CLIENT, OWN, 5, 9, b"abcd"), True),
        (17, udp.build(CLIENT, OWN, 5, 9, b"abcd", with_checksum=False), True),
        (17, b"\0\5\0\x09\0\x0c\0\x4dabcd", False),
        (17, b"\0\5\0\7", False),
        (132, b"\0\5\0\7" + b"\1" * 20, True),
        (47, b"\0\0\x08\0" + b"\1" * 20, True),
        (47, b"\x80\0\x08\0" + b"\1" * 20, True),
        (136, b"\0\5\0\7" + b"\1" * 20, True),
        (6, tcp_to(tcp.SYN), True),
        (6, tcp_to(tcp.RST), True),
        (1, icmp.build(icmp.UNREACHABLE, 1, bytes(40)), False),
    ],
)
def test_an_error_is_sent_about_packets_whose_checksum_is_right(
    protocol: int, payload: bytes, *, answered: bool
) -> None:
    """Protocols that the kernel does not know have to sum up, too; some are not looked at."""
    sent = refused(protocol, payload, Reject())
    assert bool(sent) is answered
    for answer in sent:
        header, message = ipv4.Ipv4.parse(answer), icmp.Icmp.parse(answer[20:])
        assert (header.src, header.dst, header.tos) == (OWN, CLIENT, 0xC0)
        assert (message.type, message.code) == (icmp.UNREACHABLE, icmp.PORT_UNREACHABLE)


def test_a_packet_whose_record_route_was_filled_in_gets_no_answer() -> None:
    """Its header does not sum up until it leaves, and Linux takes that for a wrong checksum."""
    for target in (Reject(), RESET):
        octets = bytearray(
            ipv4.build(6, CLIENT, OWN, tcp_to(tcp.SYN), options=bytes((7, 7, 4, 0, 0, 0, 0, 0)))
        )
        octets[22:27] = bytes((8, *OWN))
        assert answers(at(bytes(octets), Hook.INPUT, host()), target) == []


@pytest.mark.parametrize("kind", range(19))
def test_only_queries_of_icmp_are_answered_by_an_error(kind: int) -> None:
    """Router discovery and types that nobody assigned count as errors themselves."""
    is_query = kind in {0, 8, 13, 14, 15, 16, 17, 18}
    assert bool(refused(1, icmp.build(kind, 0, bytes(8)), Reject())) is is_query


@pytest.mark.parametrize("answer", [answer for answer in Answer if answer is not Answer.TCP_RESET])
def test_the_code_is_the_one_that_was_asked_for(answer: Answer) -> None:
    """Each name has its own."""
    (sent,) = refused(17, udp.build(CLIENT, OWN, 5, 9, b""), Reject(answer))
    assert icmp.Icmp.parse(sent[20:]).code == answer.value


def test_a_reset_ends_the_connection_it_is_about() -> None:
    """And is RELATED to it on its way out."""
    packet = at(ipv4.build(6, CLIENT, OWN, tcp_to(tcp.ACK, ack=5)), Hook.INPUT, host())
    connection = connect(packet, CtInfo.ESTABLISHED)
    connection.status |= Status.CONFIRMED
    connection.tracker = TcpState(State.ESTABLISHED)
    connection.refresh(packet.net.now, 432_000 * SECOND)
    assert len(answers(packet, RESET)) == 1
    assert connection.tracker.state is State.CLOSE
    assert connection.timeout == 10 * SECOND


def test_what_came_by_a_port_of_a_bridge_is_answered_by_that_port() -> None:
    """From the MAC address that it was sent to."""
    net = host()
    net.devices["eth1"].up = True
    octets = ipv4.build(6, CLIENT, OWN, tcp_to(tcp.SYN))
    packet = at(octets, Hook.FORWARD, net, physin="eth1", physout="eth0")
    packet.skb.bridged = Bridged("eth1", "eth0", dst_mac=bytes((2, 0, 0, 0, 0, 9)))
    assert RESET.apply(packet) is Verdict.DROP
    (effect,) = net.take_effects()
    assert isinstance(effect, Transmit)
    assert effect.iface == "eth1"
    assert effect.frame.octets[:14] == MAC + bytes((2, 0, 0, 0, 0, 9)) + b"\x08\0"
