# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.apps.proxy_protocol import Ends, NoHeaderError, header, parse
from emu.wire.addresses import IpAddress

ENDS = Ends(IpAddress.parse("198.51.100.7"), 40112, IpAddress.parse("203.0.113.1"), 80)
GIVEN = st.builds(
    Ends,
    st.integers(0, 2**32 - 1).map(IpAddress.from_int),
    st.integers(0, 65535),
    st.integers(0, 2**32 - 1).map(IpAddress.from_int),
    st.integers(0, 65535),
)


def test_the_first_version_is_a_line_of_text() -> None:
    """As section 2.1 of the specification spells it."""
    assert header(1, ENDS) == b"PROXY TCP4 198.51.100.7 203.0.113.1 40112 80\r\n"


def test_the_second_version_has_fixed_fields() -> None:
    """Signature, version and command, family, length, addresses, ports: section 2.2."""
    signature = bytes.fromhex("0d0a0d0a000d0a515549540a 21 11 000c")
    assert header(2, ENDS) == signature + bytes.fromhex("c6336407 cb007101 9cb0 0050")


@given(version=st.sampled_from((1, 2)), ends=GIVEN, rest=st.binary(max_size=8), cut=st.integers(0, 60))
def test_what_is_written_is_read_again_however_it_is_cut(
    version: int, ends: Ends, rest: bytes, cut: int
) -> None:
    """A header in pieces is waited for; what stands behind it is left over."""
    octets = header(version, ends)
    assert parse(octets + rest) == (ends, rest)
    if 0 < cut < len(octets):
        assert parse(octets[:cut]) is None


@pytest.mark.parametrize("octets", [b"GET / HTTP/1.1\r\n", b"PROXY nonsense\r\n", b"\x16\x03\x01", b"PROXX"])
def test_what_is_no_header_is_told_at_once(octets: bytes) -> None:
    """A request, a ClientHello."""
    with pytest.raises(NoHeaderError):
        parse(octets)


@pytest.mark.parametrize(
    "words",
    [
        "TCP4 198.51.100.7 203.0.113.1 65536 80",
        "TCP4 198.51.100.7 203.0.113.1 -1 80",
        "TCP4 198.51.100.7 203.0.113.1 +1 80",
        "TCP4 198.51.100.7 203.0.113.1 1_0 80",
        "TCP4 198.51.100.7 203.0.113.1 000080 80",
        "TCP4 2001:db8::1 2001:db8::2 40112 80",
        "TCP4 198.51.100.7 2001:db8::2 40112 80",
        "TCP6 198.51.100.7 203.0.113.1 40112 80",
    ],
)
def test_a_line_whose_fields_do_not_fit_is_no_header(words: str) -> None:
    """A port is a number of five digits at most, an address one of the family that is said."""
    with pytest.raises(NoHeaderError):
        parse(f"PROXY {words}\r\n".encode())


def test_addresses_of_the_other_family_are_read() -> None:
    """As section 2.1 has them."""
    found = parse(b"PROXY TCP6 2001:db8::1 2001:db8::2 65535 80\r\n")
    assert found is not None
    assert found[0] == Ends(IpAddress.parse("2001:db8::1"), 65535, IpAddress.parse("2001:db8::2"), 80)


def test_a_proxy_may_speak_for_itself() -> None:
    """UNKNOWN and LOCAL: health checks of the proxy."""
    assert parse(b"PROXY UNKNOWN\r\nrest") == (None, b"rest")
    assert parse(bytes.fromhex("0d0a0d0a000d0a515549540a 20 00 0000") + b"rest") == (None, b"rest")
