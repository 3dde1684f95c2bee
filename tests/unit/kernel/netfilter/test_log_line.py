# SPDX-License-Identifier: GPL-2.0-only
"""Packets in the words of the kernel's log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.log_line import LogFields, render
from emu.kernel.netfilter.targets.log import Log, NfLog
from emu.wire import icmp, ipv4, tcp
from tests.unit.kernel.netfilter.packets import CLIENT, SERVER, at, datagram, echo, fragment, segment, short

if TYPE_CHECKING:
    import pytest

    from emu.kernel.facts import Fact
    from emu.kernel.namespace import Namespace
    from emu.kernel.skb import Skb
    from emu.wire.frame import Frame

ENDS = "SRC=10.0.0.1 DST=10.1.0.2"


def test_a_segment_is_told_with_its_flags() -> None:
    """In the order of the kernel: CWR, ECE, URG, ACK, PSH, RST, SYN, FIN."""
    packet = at(segment(flags=tcp.SYN | tcp.ACK | tcp.ECE))
    packet.skb.mark = 0x1F
    assert render(packet, LogFields()) == (
        f"IN=eth0 OUT=eth1 {ENDS} LEN=40 TOS=0x00 PREC=0x00 TTL=64 ID=0 DF "
        "PROTO=TCP SPT=1000 DPT=80 WINDOW=1000 RES=0x00 ECE ACK SYN URGP=0 MARK=0x1f"
    )


def test_more_is_told_where_it_is_asked_for() -> None:
    """Sequence numbers, options, and the socket's owner."""
    packet = at(segment(options=bytes((2, 4, 5, 0xB4))), Hook.OUTPUT)
    packet.skb.socket = 1
    line = render(packet, LogFields(tcp_sequence=True, tcp_options=True, ip_options=True, owner=True))
    assert line.startswith(f"IN= OUT=eth1 {ENDS} ")
    assert "DPT=80 SEQ=100 ACK=0 WINDOW=1000" in line
    assert line.endswith("URGP=0 OPT (020405B4) UID=0 GID=0")


def test_a_datagram_is_told_with_ports_and_length() -> None:
    """A later fragment has none of these."""
    assert render(at(datagram()), LogFields()).endswith("ID=0 PROTO=UDP SPT=1000 DPT=53 LEN=13")
    assert render(at(fragment(datagram())), LogFields()).endswith("FRAG:5 PROTO=UDP")
    assert render(at(short(datagram(), 3)), LogFields()).endswith("PROTO=UDP INCOMPLETE [3 bytes]")


def test_an_echo_is_told_with_its_numbers_and_others_by_number() -> None:
    """Protocols that have no name too."""
    assert render(at(echo()), LogFields()).endswith("PROTO=ICMP TYPE=8 CODE=0 ID=7 SEQ=1")
    assert render(at(ipv4.build(99, CLIENT, SERVER, b"")), LogFields()).endswith("ID=0 PROTO=99")


def test_an_error_is_told_with_the_packet_that_it_quotes() -> None:
    """And the MTU that would have been small enough."""
    message = icmp.build(icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED, datagram(), word2=1400)
    line = render(at(ipv4.build(1, CLIENT, SERVER, message)), LogFields())
    assert f"PROTO=ICMP TYPE=3 CODE=4 [{ENDS} LEN=33 " in line
    assert line.endswith("PROTO=UDP SPT=1000 DPT=53 LEN=13 ] MTU=1400")


def test_ports_of_a_bridge_are_told_beside_the_bridge() -> None:
    """They are what it really came in by and leaves by."""
    packet = at(datagram(), physin="veth1", physout="veth2")
    assert render(packet, LogFields()).startswith("IN=eth0 OUT=eth1 PHYSIN=veth1 PHYSOUT=veth2 SRC=")


class Notes:
    """Remembers what is noted."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str]] = []

    def note(self, net: Namespace, packet: Frame | Skb, stage: str, detail: str | Fact) -> None:
        """Remember it."""
        del net, packet
        self.notes.append((stage, str(detail)))


def test_the_line_goes_to_the_recorder_with_its_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is nobody, nothing is made up."""
    packet, notes = at(datagram()), Notes()
    assert Log(LogFields()).apply(packet) is None
    monkeypatch.setattr(packet.net, "recorder", notes)
    assert Log(LogFields(), prefix="dropped: ").apply(packet) is None
    assert NfLog(5, "p").apply(packet) is None
    line = render(packet, LogFields())
    assert notes.notes == [("log", f"dropped: {line}"), ("nflog", f"group 5: p{line}")]
