# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import ctypes
import ctypes.util
import resource
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.errors import FilterError
from emu.observe import filter as filter_module
from emu.observe.filter import CaptureFilter
from emu.observe.record import LINK_TYPE_RAW

if TYPE_CHECKING:
    from collections.abc import Iterator

MACS = bytes.fromhex("020000000002 020000000001")


# No word that libpcap would take for a host name and ask a resolver about.
WORDS = """
tcp udp icmp arp ip ip6 vlan port portrange host net src dst and or not ( ) [ ] = < > & ! : + - / *
0 1 2 53 65535 65536 10.0.0.1 10.0.0.0/8 02:00:00:00:00:01 53-54 ether len less greater
"""


def datagram(src: str, dst: str, dport: int, protocol: int = 17) -> bytes:
    """Return an IPv4 packet with the ports of UDP or TCP in it; no checksums, which no filter looks at."""
    addresses = bytes(int(part) for part in f"{src}.{dst}".split("."))
    ports = struct.pack("!HHHH", 40000, dport, 8, 0) + bytes(12)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0, 64, protocol, 0)
    return header + addresses + ports


def frame(src: str = "10.0.0.1", dst: str = "10.0.1.2", dport: int = 53, protocol: int = 17) -> bytes:
    """Return an Ethernet frame with such a packet."""
    return MACS + b"\x08\0" + datagram(src, dst, dport, protocol)


@pytest.fixture
def no_libpcap(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let libpcap be found nowhere."""

    def missing(name: str) -> ctypes.CDLL:
        raise OSError(f"{name}: cannot open shared object file")

    filter_module._library.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", missing)
    monkeypatch.setattr(ctypes.util, "find_library", lambda _: None)
    yield
    filter_module._library.cache_clear()


class TestMatching:
    """What a filter lets through."""

    @pytest.mark.parametrize(
        ("expression", "matched"),
        [
            ("", True),
            ("udp", True),
            ("tcp", False),
            ("udp port 53", True),
            ("udp dst port 53 and net 10.0.0.0/8", True),
            ("src host 10.0.1.2", False),
            ("ether host 02:00:00:00:00:01", True),
            ("ip[8] = 64", True),
            ("greater 100", False),
            ("vlan", False),
            ("arp or icmp", False),
        ],
    )
    def test_expressions_mean_what_tcpdump_says(self, expression: str, *, matched: bool) -> None:
        """The usual words work, on octets as they are on a cable."""
        assert CaptureFilter.compile(expression).matches(frame()) is matched

    @given(
        wanted=st.integers(0, 65535),
        dport=st.integers(0, 65535) | st.just(None),
        protocol=st.sampled_from([6, 17]),
        host=st.sampled_from(["10.0.0.1", "10.0.0.2"]),
    )
    def test_filter_agrees_with_the_fields(
        self, wanted: int, dport: int | None, protocol: int, host: str
    ) -> None:
        """A port and host filter matches exactly the frames whose fields say so."""
        actual = wanted if dport is None else dport
        compiled = CaptureFilter.compile(f"udp dst port {wanted} and src host 10.0.0.1")
        matched = compiled.matches(frame(host, "10.0.1.2", actual, protocol))
        assert matched == (actual == wanted and protocol == 17 and host == "10.0.0.1")

    @given(octets=st.binary(max_size=120))
    def test_any_octets_are_judged(self, octets: bytes) -> None:
        """A frame too short for the fields asked for is not matched, and nothing worse happens."""
        whole = CaptureFilter.compile("udp port 53 or tcp[20] = 1 or (vlan and icmp)")
        assert whole.matches(octets) in (True, False)
        assert CaptureFilter.compile("udp port 53 or not udp port 53").matches(octets)

    def test_link_type_tells_where_ip_begins(self) -> None:
        """On a tunnel device a frame is the IP packet itself."""
        raw = CaptureFilter.compile("udp port 53", link_type=LINK_TYPE_RAW)
        assert raw.matches(datagram("10.0.0.1", "10.0.1.2", 53))
        assert not raw.matches(frame())

    def test_filter_outlives_what_it_was_compiled_from(self) -> None:
        """Many filters live side by side, each with its own program."""
        filters = [CaptureFilter.compile(f"udp port {port}") for port in range(200)]
        matching = [port for port, compiled in enumerate(filters) if compiled.matches(frame())]
        assert matching == [53]
        assert repr(filters[53]) == "CaptureFilter('udp port 53')"


class TestWrongExpressions:
    """Faults are told in libpcap's own words."""

    @pytest.mark.parametrize(
        ("expression", "message"),
        [
            ("tcp port", "syntax error"),
            ("port 99999", "illegal port number 99999 > 65535"),
            ("net 10.0.0.0/33", "mask length must be <= 32"),
            ("host 999.1.1.1", "999.1.1.1"),
            ("udp and \N{SNOWMAN}", "syntax error"),
            ("(" * 20_000, "memory exhausted"),
            ("udp\0 or nonsense", "NUL"),
        ],
        ids=lambda value: value[:20],
    )
    def test_fault_is_told(self, expression: str, message: str, capfd: pytest.CaptureFixture[str]) -> None:
        """The error has libpcap's text, and libpcap prints nothing by itself."""
        with pytest.raises(FilterError, match=message):
            CaptureFilter.compile(expression)
        assert capfd.readouterr() == ("", "")

    @given(words=st.lists(st.sampled_from(WORDS.split()), max_size=12))
    def test_any_expression_compiles_or_is_refused(self, words: list[str]) -> None:
        """Nothing but `FilterError` is raised, whatever is asked."""
        try:
            compiled = CaptureFilter.compile(" ".join(words))
        except FilterError as error:
            told = str(error)
        else:
            told = str(compiled.matches(frame()))
        assert told

    @pytest.mark.usefixtures("no_libpcap")
    def test_missing_library_is_named_and_how_to_get_it(self) -> None:
        """Without libpcap the error says what to install."""
        with pytest.raises(FilterError, match=r"libpcap.*apt install libpcap0\.8.*brew install libpcap"):
            CaptureFilter.compile("udp")


class TestResources:
    """Filters are made and dropped freely."""

    @pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux alone")
    def test_compiling_leaks_nothing(self) -> None:
        """Neither good nor bad expressions leave memory behind."""

        def compile_many() -> int:
            for port in range(5000):
                CaptureFilter.compile(f"udp port {port} and host 10.0.0.1 and not tcp")
                with pytest.raises(FilterError):
                    CaptureFilter.compile(f"udp port {port} 53 (")
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        compile_many()
        before = compile_many()
        assert compile_many() - before < 512

    def test_threads_share_filters_and_compile_at_once(self) -> None:
        """Several threads may compile and match at the same time."""
        octets = frame()

        def find(start: int) -> list[int]:
            return [
                port
                for port in range(start, start + 50)
                if CaptureFilter.compile(f"udp port {port}").matches(octets)
            ]

        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(find, range(0, 400, 50)))
        assert found == [[], [53], [], [], [], [], [], []]
