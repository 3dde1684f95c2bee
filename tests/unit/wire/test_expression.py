# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from emu.errors import FrameSyntaxError
from emu.wire.addresses import ANY_IP4
from emu.wire.expression import MAX_FRAME, MAX_TEXT, parse_frame, parse_packet

SCENARIOS = sorted((Path(__file__).parents[2] / "golden").glob("*/*/scenario.yaml"))
LAYERS = {layer.__name__: layer for layer in (Ether, ARP, Dot1Q, IP, UDP, TCP, ICMP, VXLAN, Raw)}

ETHER = "Ether(src='02:00:00:00:00:01', dst='02:00:00:00:00:02')"
IPV4 = f"{ETHER}/IP(src='10.0.0.1', dst='10.0.0.2')"


def frames_of(path: Path) -> list[str]:
    """Return the frames that a recorded scenario injects, as they are written there."""
    actions = [action for action in yaml.safe_load(path.read_text())["actions"] if "inject" in action]
    return [text for a in actions for text in a["inject"].get("frames") or [a["inject"]["frame"]]]


def by_scapy(text: str) -> Packet:
    """Return what Python and Scapy make of an expression (of ours: this evaluates it)."""
    packet = eval(text, {"__builtins__": {}}, dict(LAYERS))  # noqa: S307 (the oracle, on texts of this file)
    assert isinstance(packet, Packet)
    return packet


def fault(text: str) -> str:
    """Return what is wrong with an expression."""
    with pytest.raises(FrameSyntaxError) as refused:
        parse_frame(text)
    return str(refused.value)


class TestMeaning:
    """An expression means what it means to Scapy."""

    @pytest.mark.parametrize(
        "path", [p for p in SCENARIOS if frames_of(p)], ids=lambda path: path.parent.name
    )
    def test_recorded_frame_has_scapys_octets(self, path: Path) -> None:
        """Every frame of every recorded scenario."""
        for text in frames_of(path):
            expected = bytes.fromhex(text[4:]) if text.startswith("hex:") else bytes(by_scapy(text))
            assert parse_frame(text) == expected

    @pytest.mark.parametrize(
        "text",
        [
            ETHER,
            f"{ETHER}/Raw(b'x'*3 + 2*b'y' + b'')",
            f"{ETHER}/Raw('text'*2 + 'é')",
            f"{ETHER}/Raw(load=b'x')",
            f"{ETHER}/Raw()",
            f"{ETHER}/b'octets'/'text'",
            f"{ETHER}/(IP(src='10.0.0.1',dst='10.0.0.2')/UDP())/Raw(b'x')",
            f"{ETHER}/Dot1Q(vlan=7, prio=3)/ARP(op='is-at', hwsrc='02:00:00:00:00:01', psrc='10.0.0.1')",
            f"{ETHER}/ARP(op=2, hwsrc='02:00:00:00:00:01', psrc='10.0.0.1', hwdst='FF:ff:00:00:00:09')",
            f"{IPV4}",
            f"{IPV4}/UDP(sport=0x35, dport=5_3, chksum=None)",
            f"{IPV4}/UDP(chksum=0)/Raw(b'x')",
            f"{IPV4}/TCP(flags='SA', options=[('MSS', 1460), ('NOP', None), ('WScale', 7), ('SAckOK', b'')])",
            f"{IPV4}/TCP(flags=0x1ff, options=[('Timestamp', (1, 2)), ('SAck', (3, 4)), ('EOL', None)])",
            f"{IPV4}/TCP(options=((30, b'ab'), (254, 'cd')))",
            f"{IPV4}/TCP(flags='', options=[])",
            f"{IPV4}/TCP(flags='FSRPAUECN', seq=0xffffffff)",
            f"{IPV4}/ICMP(type='echo-reply', id=7, seq=True)",
            f"{IPV4}/ICMP(type=3, code='port-unreachable')/IP(src='10.0.0.2', dst='10.0.0.1')/UDP()",
            f"{IPV4}/ICMP(type=3, code=4, nexthopmtu=1400, unused=0)",
            f"{IPV4}/ICMP(type=5, gw='10.0.0.9')",
            f"{IPV4}/ICMP(type=13, ts_ori=1, ts_rx=2, ts_tx=3)",
            f"{IPV4}/UDP()/VXLAN(vni=0xffffff, flags='Instance')/{ETHER}",
            f"{IPV4}/UDP()/VXLAN(vni=1, flags='Instance+G')/{ETHER}",
            f"{ETHER}/IP(src='10.0.0.1', dst='10.0.0.2', flags='DF+MF', frag=8191, tos=0xff, ttl=0, id=0)",
            f"{ETHER}/IP(src='10.0.0.1', dst='10.0.0.2', flags='', proto='udp', version=5, ihl=6, len=70)",
            f"{ETHER}/IP(src='10.0.0.1', dst='10.0.0.2', options=b'\\x94\\x04\\x00\\x00')/ICMP()",
            "Raw(b'')",
            "Raw(b'fourteen octets')",
        ],
    )
    def test_expression_has_scapys_octets(self, text: str) -> None:
        """All layers, and values of all kinds."""
        assert parse_frame(text) == bytes(by_scapy(text))

    @given(
        ttl=st.integers(0, 255),
        port=st.integers(0, 65535),
        number=st.integers(0, 2**32 - 1),
        payload=st.binary(max_size=80),
    )
    def test_numbers_and_octets_are_carried(self, ttl: int, port: int, number: int, payload: bytes) -> None:
        """Whatever fits its field is what Scapy makes of it."""
        segment = f"TCP(dport={port},seq={number:#x})/Raw({payload!r})"
        text = f"{ETHER}/IP(src='10.0.0.1',dst='10.0.0.2',ttl={ttl})/{segment}"
        assert parse_frame(text) == bytes(by_scapy(text))

    def test_hexadecimal_is_octets(self) -> None:
        """With blanks, in either case."""
        assert parse_frame("hex:02 00 Ff\n0a") == bytes.fromhex("0200ff0a")

    def test_blanks_and_line_ends_do_not_matter(self) -> None:
        """A folded text in YAML is one expression."""
        assert parse_frame(
            f"  {ETHER}/\n  Raw(\n b'x')\n".replace("/\n", "/(").rstrip() + ")"
        ) == parse_frame(f"{ETHER}/Raw(b'x')")

    def test_odd_escape_is_what_it_looks_like(self) -> None:
        """It means the same as to Python, and warns nobody."""
        assert parse_frame("Raw('\\d')") == b"\\d"


class TestNothingFromOutside:
    """What is left out is not taken from the machine that emu runs on."""

    def test_addresses_left_out_are_fixed(self) -> None:
        """Broadcast to zero, from zero, on every layer however deep."""
        octets = parse_frame("Ether()/IP(dst='10.0.0.2')/UDP()/VXLAN()/Ether()/ARP()")
        outer, inner = Ether(octets), Ether(octets)[VXLAN].payload
        assert isinstance(inner, Ether)
        for frame in (outer, inner):
            assert (frame.dst, frame.src) == ("ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00")
        assert outer[IP].src == inner[ARP].psrc == str(ANY_IP4)
        assert inner[ARP].hwsrc == "00:00:00:00:00:00"

    def test_none_is_left_out(self) -> None:
        """An address that is None is no request to look one up."""
        assert parse_frame("Ether(src=None)/IP(src=None)") == parse_frame("Ether()/IP()")

    def test_time_stamps_left_out_are_zero(self) -> None:
        """The wall clock is outside too."""
        assert parse_frame(f"{IPV4}/ICMP(type=13)")[-12:] == bytes(12)

    @pytest.mark.parametrize(
        "value", ["'www.example.org'", "'10.0.0.0/24'", "'10.0.0'", "'::1'", "1", "['10.0.0.1']"]
    )
    def test_address_is_literal(self, value: str) -> None:
        """No names to look up, no ranges to walk through."""
        assert (
            fault(f"Ether()/IP(dst={value})")
            == "column 16: IP(dst=...) has to be an IPv4 address like '10.0.0.1'"
        )

    @pytest.mark.parametrize("field", ["sport", "dport"])
    def test_port_is_a_number(self, field: str) -> None:
        """Words for ports are in a file of the machine."""
        assert fault(
            f"Ether()/IP()/UDP({field}='http')"
        ) == f"column 18: UDP({field}=...) has to be a number".replace("18", str(18 + len(field) + 1))


class TestFaults:
    """What is refused is told with its column."""

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "column 1: "),
            ("IP(", "column 3: "),
            ("Ether()/IP(ttl=)", "column 1"),
            ("IP(dst='10.0.0.1')", "column 1: a frame begins with Ether(...), not IP"),
            ("Ether()/IP(tll=3)", "column 12: IP has no field 'tll'; did you mean 'ttl'?"),
            ("Ether()/IP(dts='10.0.0.1')", "column 12: IP has no field 'dts'; did you mean 'dst'?"),
            ("Ether()/IPP()", "column 9: there is no layer IPP; did you mean 'IP'?"),
            ("Ether()/scapy.IP()", "column 9: there is no layer scapy.IP"),
            ("Ether()/IP", "column 9: a value is "),
            ("Ether()/5", "column 9: a layer is written like IP(...); there are Ether, ARP, "),
            ("Ether()/IP('10.0.0.1')", "column 12: IP takes its fields by name, like version=..."),
            ("Ether()/Raw(b'a', b'b')", "column 13: Raw takes its fields by name, like load=..."),
            ("Ether()/Raw(b'a', load=b'b')", "column 19: Raw has load twice"),
            ("Ether()/IP(ttl=1, ttl=2)", "column 19: IP has ttl twice"),
            ("Ether()/IP(**{})", "column 14: ** is not supported"),
            ("Ether()/Raw(*b'')", "column 13: a value is "),
            (
                "Ether(src='02:00')",
                "column 11: Ether(src=...) has to be a MAC address like '02:00:00:00:00:01'",
            ),
            ("Ether()/IP(ttl=256)", "column 16: IP(ttl=...) has to be from 0 to 255"),
            ("Ether()/IP(ttl=-1)", "column 16: IP(ttl=...) has to be from 0 to 255"),
            ("Ether()/IP(frag=8192)", "column 17: IP(frag=...) has to be from 0 to 8191"),
            ("Ether()/IP(ttl=(1, 64))", "column 16: IP(ttl=...) has to be a number"),
            ("Ether()/IP(ttl=1.5)", "column 16: a value is "),
            ("Ether()/IP(proto='tpc')", "column 18: IP(proto=...) has to be a number or a word like icmp"),
            ("Ether()/IP(flags='DG')", "column 18: IP(flags=...) has no flag 'DG'; there are MF DF evil"),
            ("Ether()/IP(flags=8)", "column 18: IP(flags=...) has to be from 0 to 7"),
            ("Ether()/IP(flags=[])", "column 18: IP(flags=...) has to be a number or flags"),
            ("Ether()/IP(options=[1])", "column 20: IP(options=...) has to be octets"),
            ("Ether()/TCP(options=b'abcd')", "column 21: TCP(options=...) has to be a list of pairs"),
            ("Ether()/TCP(options=[('MSS',)])", "column 21: TCP(options=...) has to be a list of pairs"),
            (
                "Ether()/TCP(options=[('MMS', 1)])",
                "column 21: TCP(options=...) knows no option 'MMS'; did you mean",
            ),
            ("Ether()/TCP(options=[(256, b'')])", "column 21: TCP(options=...) has to name its options"),
            ("Ether()/TCP(options=[('MSS', 65536)])", "column 9: TCP: "),
            ("Ether()/TCP(options=[('MSS', None)])", "column 9: TCP: "),
            ("Ether()/ICMP(unused='x')", "column 21: ICMP(unused=...) has to be a number or octets"),
            ("Ether()/Raw(5)", "column 13: Raw(load=...) has to be octets like b'hello'"),
            ("Ether()/Raw(1 + 2)", "column 13: + joins octets, * repeats them"),
            ("Ether()/Raw(b'a' + 'b')", "column 13: + joins octets, * repeats them"),
            ("Ether()/Raw(b'a' - b'b')", "column 13: a value is "),
            ("Ether()/Raw(b'é')", "column 13: bytes can only contain ASCII"),
            ("Ether()/Raw('é')/IP(x=1)", "column 21: IP has no field 'x'"),
            ("Ether()/(\n  IP(x=1))", "column 6 of line 2: IP has no field 'x'"),
            ("Ether()/Raw([lambda: 0])", "column 14: a value is "),
            ("__import__('os').system('true')", "column 1: there is no layer __import__('os').system"),
            ("hex:0", "column 5: an octet has two hexadecimal digits"),
            ("hex:00 0x", "column 9: 'x' is no hexadecimal digit"),
            ("a\0", "column 1: "),
            ("'\ud800'", "column 1: "),
        ],
    )
    def test_fault_is_told_with_its_column(self, text: str, message: str) -> None:
        """The first thing wrong, where it begins."""
        assert fault(text).startswith(message)

    @given(text=st.text() | st.text(alphabet="EtherIPRaw()/=,'b*+[]1 \n", max_size=40))
    def test_any_text_is_a_frame_or_a_fault(self, text: str) -> None:
        """Nothing else ever comes out, whatever is written."""
        for written in (text, f"hex:{text}", f"{ETHER}/{text}", f"{ETHER}/Raw({text})"):
            with suppress(FrameSyntaxError):
                assert isinstance(parse_frame(written), bytes)


class TestLimits:
    """No short text can cost much."""

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("Raw(b'" + "x" * MAX_TEXT + "')", f"column {MAX_TEXT}: the expression is longer than"),
            ("Ether()/Raw(b'x'*65536)", "column 13: 65536 octets are too many; 65535 are the most"),
            ("Ether()/Raw(b'x'*10**9)", "column 18: a value is "),
            ("Ether()/Raw(b'x'*60000*60000)", "column 13: 3600000000 octets are too many"),
            ("/".join(["Raw(b'x'*65535)"] * 6), "column 69: 65535 octets are too many"),
            (
                "Raw(b'x'*60000)/Raw(b'x'*60000)",
                f"column 1: the frame has 120000 octets; {MAX_FRAME} is the most",
            ),
            ("hex:" + "00" * (MAX_FRAME + 1), f"column 1: the frame has {MAX_FRAME + 1} octets"),
            ("Ether()/IP()/Raw(b'x'*65535)", "column 1: "),
            ("/".join(["Ether()"] * 65), "column 1: more than 64 layers"),
            ("/".join(["IP()"] * 13_000), "column 1: "),
            ("(" * 60_000, "column "),
            (f"Raw({'[' * 150}{']' * 150})", "column "),
            (f"Raw({'-' * 60_000}1)", "column "),
            ("Raw(" + "b''+" * 15_000 + "b'')", "column "),
            (f"IP(id={'1' * 5000})", "column 1: "),
            (f"Ether(type=0x{'f' * 60_000})", "column 12: Ether(type=...) has to be from 0 to 65535"),
        ],
        ids=str.__len__,
    )
    def test_limit_is_told(self, text: str, message: str) -> None:
        """Text, values, nesting, layers and the frame itself have limits."""
        assert fault(text).startswith(message)

    def test_greatest_frame_is_built(self) -> None:
        """An IP packet of 65535 octets fits."""
        assert len(parse_frame(f"{IPV4}/UDP()/Raw(b'x'*65507)")) == MAX_FRAME


class TestPacket:
    """`parse_packet` gives the Scapy packet itself."""

    def test_packet_may_begin_with_any_layer(self) -> None:
        """As traces and `emu send` write them."""
        packet = parse_packet("IP(dst='10.0.0.2')/TCP(dport=80)")
        assert isinstance(packet, IP)
        assert (packet.dst, packet[TCP].dport) == ("10.0.0.2", 80)
        assert "src" not in packet.fields  # left for the emulated host to fill in

    def test_octets_are_dissected(self) -> None:
        """`hex:` stands for a frame here too."""
        packet = parse_packet(f"hex:{bytes(by_scapy(IPV4)).hex()}")
        assert packet[IP].dst == "10.0.0.2"

    def test_packet_that_cannot_be_built_is_refused(self) -> None:
        """What is returned can be turned into octets."""
        with pytest.raises(FrameSyntaxError, match="column 6: TCP: "):
            parse_packet("IP()/TCP(options=[('MSS', 65536)])")
