# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import subprocess
import sys

import pytest
from scapy.fields import ConditionalField, Emph, IPField, MACField, MultipleTypeField
from scapy.layers.inet import ICMP, IP, TCP, UDP, icmpcodes
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from emu.errors import FrameSyntaxError
from emu.wire import craft
from emu.wire.addresses import ANY_IP4, ZERO_MAC, IpAddress, MacAddress
from emu.wire.craft import FieldKind

MAC = MacAddress.parse("02:00:00:00:00:07")
SRC = IpAddress.parse("10.244.1.2")
NO_MAC, NO_IP = str(ZERO_MAC), str(ANY_IP4)
PRESENT_IF: dict[str, dict[str, craft.FieldValue]] = {
    **{f"ICMP.{field}": {"type": 13} for field in ("ts_ori", "ts_rx", "ts_tx")},
    **{f"ICMP.{field}": {"type": 3} for field in ("reserved", "length", "nexthopmtu")},
    "ICMP.ptr": {"type": 12},
    "VXLAN.reserved0": {"flags": "NextProtocol"},
    "VXLAN.NextProtocol": {"flags": "NextProtocol"},
    "VXLAN.gpid": {"flags": "G"},
}
"""What makes Scapy build the fields that not every header of the layer has."""
STARTS = {"IP.version": b"\xf5", "IP.ihl": b"\x4f", "ARP.hwtype": b"\xff\xff"}
"""How a header begins with the greatest value of a field that decides how it is dissected."""


class TestTemplates:
    """The headers that the stack patches come from Scapy."""

    @pytest.mark.parametrize(
        ("kind", "packet"),
        [
            ("ethernet", Ether(src=NO_MAC, dst=NO_MAC, type=0)),
            ("arp", ARP(op=0, hwsrc=NO_MAC, psrc=NO_IP, hwdst=NO_MAC, pdst=NO_IP)),
            ("ipv4", IP(src=NO_IP, dst=NO_IP, id=0, ttl=0, proto=0, len=0, chksum=0)),
            ("icmp", ICMP(type=0, chksum=0)),
            ("udp", UDP(sport=0, dport=0, len=0, chksum=0)),
            ("tcp", TCP(sport=0, dport=0, flags=0, window=0, chksum=0)),
            ("vxlan", VXLAN(vni=0, flags=8)),
        ],
    )
    def test_template_is_scapys_header(self, kind: str, packet: Packet) -> None:
        """Octet by octet, and of the fixed length of that header."""
        assert craft.template(kind) == bytes(packet)

    @pytest.mark.parametrize(
        ("kind", "constant"),
        [
            ("ethernet", bytes(14)),
            ("arp", bytes.fromhex("0001080006040000") + bytes(20)),
            ("ipv4", b"\x45" + bytes(19)),
            ("icmp", bytes(8)),
            ("udp", bytes(8)),
            ("tcp", bytes(12) + b"\x50" + bytes(7)),
            ("vxlan", b"\x08" + bytes(7)),
        ],
    )
    def test_template_has_no_address_and_no_number(self, kind: str, constant: bytes) -> None:
        """Only what is the same in every header of that kind is set: nothing of this machine leaks in."""
        assert craft.template(kind) == constant

    def test_template_is_made_once(self) -> None:
        """Scapy is slow; a second header costs a look-up."""
        assert craft.template("tcp") is craft.template("tcp")

    def test_scapy_is_imported_when_a_frame_is_made(self) -> None:
        """Not before: it costs 200 ms."""
        program = (
            "import sys, emu.wire.craft, emu.wire.expression as e\n"
            "e.parse_frame('hex:00')\n"
            "assert 'scapy' not in sys.modules\n"
            "e.parse_frame('Ether()')\n"
            "assert 'scapy.packet' in sys.modules and 'scapy.all' not in sys.modules\n"
        )
        subprocess.run([sys.executable, "-c", program], check=True)


class TestOctets:
    """A packet's octets, with blanks filled from the emulated host."""

    def test_blanks_of_the_outermost_layers_are_the_hosts(self) -> None:
        """Its MAC and IP address; layers inside have zeros."""
        packet = Ether() / IP(dst="10.0.0.1") / ICMP(type=3) / IP(dst="10.0.0.9") / UDP()
        frame = Ether(craft.octets_of(packet, src=SRC, mac=MAC))
        assert (frame.src, frame.dst) == (str(MAC), "ff:ff:ff:ff:ff:ff")
        assert frame[IP].src == str(SRC)
        assert bytes(frame[ICMP].payload)[12:16] == bytes(4)

    def test_arp_speaks_for_the_host(self) -> None:
        """Sender addresses are the host's."""
        frame = Ether(craft.octets_of(Ether() / ARP(pdst="10.0.0.1"), src=SRC, mac=MAC))
        assert (frame[ARP].hwsrc, frame[ARP].psrc) == (str(MAC), str(SRC))

    def test_what_is_given_stays(self) -> None:
        """Only blanks are filled, and the packet itself is left as it is."""
        packet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="1.1.1.1", dst="2.2.2.2")
        frame = Ether(craft.octets_of(packet, src=SRC, mac=MAC))
        assert (frame.src, frame.dst, frame[IP].src) == ("02:00:00:00:00:01", "02:00:00:00:00:02", "1.1.1.1")
        blank = Ether()
        craft.octets_of(blank, mac=MAC)
        assert "src" not in blank.fields

    def test_ipv6_source_is_not_looked_up(self) -> None:
        """It is unspecified, as the host's addresses here are IPv4."""
        frame = Ether(craft.octets_of(Ether() / IPv6(dst="2001:db8::1")))
        assert frame[IPv6].src == "::"

    def test_octets_are_taken_as_they_are(self) -> None:
        """Anything with `__bytes__` will do, and Scapy is not asked."""
        assert craft.octets_of(b"octets", mac=MAC) == b"octets"
        assert craft.octets_of(MAC) == bytes(MAC)

    def test_packet_that_scapy_cannot_build_is_refused(self) -> None:
        """With Scapy's reason, not its traceback."""
        with pytest.raises(FrameSyntaxError, match="0 <= number <= 255"):
            craft.octets_of(IP(dst="10.0.0.1", ttl=300))


class TestFrames:
    """What begins at layer 2."""

    @pytest.mark.parametrize(
        ("packet", "expected"),
        [(Ether() / IP(), True), (IP(dst="10.0.0.1"), False), (Raw(b"x"), False), (b"octets", True)],
    )
    def test_frame_begins_with_ethernet(self, packet: craft.SupportsBytes, *, expected: bool) -> None:
        """A Scapy packet says so; plain octets are frames."""
        assert craft.is_frame(packet) is expected

    def test_dissected_frame_has_its_layers(self) -> None:
        """For people who read it with Scapy."""
        octets = craft.octets_of(Ether() / IP(dst="10.0.0.1") / UDP(dport=53))
        assert craft.dissect(octets)[UDP].dport == 53


class TestShapes:
    """What is known of the layers' fields agrees with Scapy."""

    @pytest.mark.parametrize("name", craft.layers())
    def test_every_field_has_a_shape(self, name: str) -> None:
        """None is missing, none is invented."""
        assert list(craft.shapes(name)) == [field.name for field in craft.layers()[name].fields_desc]

    @pytest.mark.parametrize("name", craft.layers())
    def test_addresses_are_known_as_such(self, name: str) -> None:
        """Every field that would look up a name or walk through a range is an address here."""
        for field in craft.layers()[name].fields_desc:
            plain = field.fld if isinstance(field, ConditionalField | Emph) else field
            variants = [v for v, _ in plain.flds] if isinstance(plain, MultipleTypeField) else [plain]
            kind = craft.shapes(name)[field.name].kind
            is_ip = any(isinstance(variant, IPField) for variant in variants)
            is_mac = any(isinstance(variant, MACField) for variant in variants)
            assert (kind is FieldKind.IPV4, kind is FieldKind.MAC) == (is_ip, is_mac)

    @pytest.mark.parametrize(
        ("name", "field"),
        [(n, f) for n in craft.layers() for f, s in craft.shapes(n).items() if s.kind is FieldKind.NUMBER],
    )
    def test_numbers_fill_their_field_and_no_more(self, name: str, field: str) -> None:
        """The greatest number of so many bits comes back from the octets; the layer keeps its length."""
        greatest = (1 << craft.shapes(name)[field].bits) - 1
        built = craft.octets_of(craft.layer(name, PRESENT_IF.get(f"{name}.{field}", {}) | {field: greatest}))
        if start := STARTS.get(f"{name}.{field}"):
            assert built.startswith(start)
        else:
            assert craft.layers()[name](built).getfieldval(field) == greatest

    def test_words_are_scapys(self) -> None:
        """A word for a number means what Scapy prints for it."""
        assert craft.shapes("ARP")["op"].words["is-at"] == 2
        assert craft.shapes("ICMP")["type"].words["time-exceeded"] == 11
        for number, codes in icmpcodes.items():
            for code, word in codes.items():
                assert craft.shapes("ICMP")["code"].words[word] == code, (number, word)

    def test_no_word_comes_from_a_file_of_this_machine(self) -> None:
        """Ports have no words; protocols and Ethernet types have ours."""
        assert craft.shapes("TCP")["dport"].words == craft.shapes("UDP")["sport"].words == {}
        assert craft.shapes("IP")["proto"].words["udp"] == 17
        assert craft.shapes("Ether")["type"].words["ARP"] == 0x0806
