# SPDX-License-Identifier: GPL-2.0-only
"""TCP segments and their options."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.errors import HeaderError
from emu.wire import tcp
from emu.wire.addresses import IpAddress
from emu.wire.tcp import Tcp, TcpOptions

SRC, DST = IpAddress.parse("10.0.0.1"), IpAddress.parse("10.0.0.2")
U32 = st.integers(0, 2**32 - 1)


def tcp_options() -> st.SearchStrategy[TcpOptions]:
    """Return any options that fit into the 40 octets there are."""
    return st.builds(
        TcpOptions,
        mss=st.none() | st.integers(0, 65535),
        window_scale=st.none() | st.integers(0, 14),
        sack_permitted=st.booleans(),
        timestamps=st.none() | st.tuples(U32, U32),
        sack=st.lists(st.tuples(U32, U32), max_size=4).map(tuple),
    ).filter(lambda options: len(options.build()) <= 40)


def test_what_was_built_is_read_back() -> None:
    """Every field, the payload behind the options, and a checksum that holds."""
    segment = tcp.build(
        SRC,
        DST,
        40000,
        80,
        seq=1,
        ack=2,
        flags=tcp.SYN | tcp.ACK,
        window=64240,
        options=b"\1" * 4,
        payload=b"data",
    )
    header = Tcp.parse(segment)
    assert header[:7] == (40000, 80, 1, 2, 6 << 4, 0x12, 64240)
    assert (header.header_length, segment[24:]) == (24, b"data")
    assert tcp.checksum_holds(SRC, DST, segment)
    assert not tcp.checksum_holds(SRC, DST, segment + b"\1")


@pytest.mark.parametrize("length", [0, 19])
def test_too_few_octets_are_no_header(length: int) -> None:
    """Twenty are the least."""
    with pytest.raises(HeaderError):
        Tcp.parse(bytes(length))


class TestOptions:
    """`TcpOptions`."""

    def test_a_syn_of_linux_without_timestamps(self) -> None:
        """MSS, SACK permitted behind two NOPs, window scale behind one: twelve octets."""
        options = TcpOptions(mss=1460, window_scale=7, sack_permitted=True)
        assert options.build().hex() == "020405b40101040201030307"

    def test_a_syn_of_linux_with_timestamps(self) -> None:
        """SACK permitted takes the place of the two NOPs before the timestamps."""
        options = TcpOptions(mss=1460, window_scale=7, sack_permitted=True, timestamps=(1, 0))
        assert options.build().hex() == "020405b40402080a000000010000000001030307"

    @given(tcp_options())
    def test_what_was_built_is_read_back(self, options: TcpOptions) -> None:
        """And fills whole words."""
        octets = options.build()
        assert len(octets) % 4 == 0
        assert TcpOptions.parse(octets) == options

    @given(st.binary(max_size=40))
    def test_any_octets_can_be_read(self, octets: bytes) -> None:
        """Malformed options end the list; nothing is raised, and a scale is never above 14."""
        options = TcpOptions.parse(octets)
        assert options.window_scale is None or options.window_scale <= 14

    @pytest.mark.parametrize("tail", ["02", "0200", "0201", "0205b4", "020405"])
    def test_a_malformed_option_ends_the_list(self, tail: str) -> None:
        """What stood before it counts."""
        assert TcpOptions.parse(bytes.fromhex("030307" + tail)) == TcpOptions(window_scale=7)

    def test_unknown_options_are_passed_over(self) -> None:
        """Fast open's cookie does not hide the MSS behind it; what is behind the end does not count."""
        assert TcpOptions.parse(bytes.fromhex("2204abcd01020405b400030307")) == TcpOptions(mss=1460)

    @pytest.mark.parametrize("octets", ["0203aa", "030407aa", "040301", "0803aa", "0506aabbccdd", "0502"])
    def test_an_option_of_the_wrong_length_is_passed_over(self, octets: str) -> None:
        """Its kind is known but not its value."""
        assert TcpOptions.parse(bytes.fromhex(octets)) == TcpOptions()

    def test_a_scale_above_14_counts_as_14(self) -> None:
        """RFC 7323, section 2.3."""
        assert TcpOptions.parse(b"\3\3\xff").window_scale == 14
