# SPDX-License-Identifier: GPL-2.0-only
"""Addresses that are their octets; the judge is `ipaddress`."""

from __future__ import annotations

import ipaddress
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.errors import AddressError
from emu.wire.addresses import (
    ANY_IP4,
    BROADCAST_MAC,
    LIMITED_BROADCAST,
    ZERO_MAC,
    Interface,
    IpAddress,
    MacAddress,
    Prefix,
)

NO_MAC = [
    "",
    "02:00:00:00:00",
    "02:00:00:00:00:00:01",
    "02-00-00-00-00-01",
    "2:0:0:0:0:1",
    "g2:00:00:00:00:01",
]
NO_IP = ["", "10.0.0", "10.0.0.256", "10.0.0.1/24", "010.0.0.1", "::g", "fe80::1%eth0", " 10.0.0.1"]
NO_PREFIX = ["", "10.0.0.0/33", "10.0.0.1/24", "10.0.0.0/-1", "fd00::/129", "fe80::%1/64", "default"]


def prefixes() -> st.SearchStrategy[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]]:
    """Return an address of either family and a length that fits it."""
    v4 = st.tuples(st.ip_addresses(v=4), st.integers(0, 32))
    return v4 | st.tuples(st.ip_addresses(v=6), st.integers(0, 128))


class TestMacAddress:
    """`MacAddress`."""

    def test_text_is_lower_case_and_joined_by_colons(self) -> None:
        """Either case is read."""
        assert str(MacAddress.parse("0A:58:aB:00:00:01")) == "0a:58:ab:00:00:01"
        assert f"{BROADCAST_MAC}" == "ff:ff:ff:ff:ff:ff"
        assert repr(ZERO_MAC) == "MacAddress(00:00:00:00:00:00)"

    @pytest.mark.parametrize("text", [*NO_MAC, "02:00:00:00:00:01\n"])
    def test_other_text_is_refused(self, text: str) -> None:
        """The error quotes it."""
        with pytest.raises(AddressError) as caught:
            MacAddress.parse(text)
        assert repr(text) in str(caught.value)

    @given(st.binary(min_size=6, max_size=6))
    def test_a_slice_of_a_frame_is_the_key(self, octets: bytes) -> None:
        """The address and the plain octets are equal and have one hash, in both directions."""
        address: bytes = MacAddress.parse(MacAddress(octets).hex(":"))
        assert {address: 1}[octets] == {octets: 1}[address] == 1

    @pytest.mark.parametrize(
        ("text", "is_group"),
        [("01:00:5e:00:00:01", True), ("ff:ff:ff:ff:ff:ff", True), ("02:00:00:00:00:01", False)],
    )
    def test_a_group_has_the_lowest_bit_of_its_first_octet(self, text: str, *, is_group: bool) -> None:
        """Multicast and broadcast, but not a locally administered address."""
        assert MacAddress.parse(text).is_group == is_group


class TestIpAddress:
    """`IpAddress`, both families."""

    @given(st.ip_addresses())
    def test_text_is_read_and_written_as_ipaddress_does(
        self, judge: ipaddress.IPv4Address | ipaddress.IPv6Address
    ) -> None:
        """Round trip, number, family and kinds of addresses agree with the standard library."""
        address = IpAddress.parse(str(judge))
        assert str(address) == str(judge)
        assert bytes(address) == judge.packed
        assert (int(address), address.family, address.bits) == (
            int(judge),
            judge.version,
            judge.max_prefixlen,
        )
        assert IpAddress.from_int(int(judge), judge.max_prefixlen) == address
        assert address.is_multicast == judge.is_multicast
        if (
            judge.version == 4 or judge.ipv4_mapped is None
        ):  # of those, versions of Python say different things
            assert address.is_loopback == judge.is_loopback
        assert address.is_unspecified == judge.is_unspecified

    @pytest.mark.parametrize("text", NO_IP)
    def test_other_text_is_refused(self, text: str) -> None:
        """A zone, a length, a leading zero: nothing is dropped in silence."""
        with pytest.raises(AddressError) as caught:
            IpAddress.parse(text)
        assert repr(text) in str(caught.value)

    @pytest.mark.parametrize("value", [5, b"\n\0\0\1", None, ("10.0.0.0", 8)])
    def test_what_is_no_text_is_refused(self, value: object) -> None:
        """A document may hold a number where an address belongs."""
        for parse in (MacAddress.parse, IpAddress.parse, Prefix.parse, Interface.parse):
            with pytest.raises(AddressError):
                parse(value)  # type: ignore[arg-type]  # the wrong type is the point

    def test_known_addresses(self) -> None:
        """The constants are what they are called."""
        assert (str(ANY_IP4), str(LIMITED_BROADCAST)) == ("0.0.0.0", "255.255.255.255")  # noqa: S104
        assert IpAddress.parse("::1").is_loopback
        assert repr(IpAddress.parse("fd00::0001")) == "IpAddress(fd00::1)"

    def test_an_address_can_be_pickled(self) -> None:
        """It comes back as the same type."""
        address = pickle.loads(pickle.dumps(LIMITED_BROADCAST))  # noqa: S301 - our own octets
        assert (address, type(address)) == (LIMITED_BROADCAST, IpAddress)


class TestPrefix:
    """`Prefix`."""

    @given(prefixes(), st.ip_addresses())
    def test_it_is_the_network_that_ipaddress_makes(
        self,
        pair: tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int],
        other: ipaddress.IPv4Address | ipaddress.IPv6Address,
    ) -> None:
        """Address, mask, text and what it contains agree with the standard library."""
        judge = ipaddress.ip_network(f"{pair[0]}/{pair[1]}", strict=False)
        prefix = Prefix.of(IpAddress(pair[0].packed), pair[1])
        assert str(prefix) == str(judge)
        assert prefix == Prefix.parse(f"{pair[0]}/{pair[1]}", strict=False) == Prefix.parse(str(judge))
        assert prefix.mask == int(judge.netmask)
        assert prefix.is_host == (judge.num_addresses == 1)
        assert IpAddress(pair[0].packed) in prefix
        assert (IpAddress(other.packed) in prefix) == (other in judge)

    @pytest.mark.parametrize("text", NO_PREFIX)
    def test_other_text_is_refused(self, text: str) -> None:
        """Set host bits are an error, unless they are to be cleared."""
        with pytest.raises(AddressError) as caught:
            Prefix.parse(text)
        assert repr(text) in str(caught.value)

    def test_an_address_alone_is_a_prefix_of_full_length(self) -> None:
        """As `ip route add` takes it."""
        assert str(Prefix.parse("10.0.0.1")) == "10.0.0.1/32"
        assert Prefix.parse("fd00::1").is_host


class TestInterface:
    """`Interface`."""

    @given(prefixes())
    def test_subnet_and_broadcast_are_those_of_ipaddress(
        self, pair: tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]
    ) -> None:
        """For every length, /0 and the host's own too."""
        text = f"{pair[0]}/{pair[1]}"
        judge, interface = ipaddress.ip_interface(text), Interface.parse(text)
        assert (str(interface), str(interface.prefix)) == (str(judge), str(judge.network))
        assert str(interface.broadcast) == str(judge.network.broadcast_address)

    @pytest.mark.parametrize("text", ["", "10.0.0.1/33", "eth0", "fe80::1%eth0/64"])
    def test_other_text_is_refused(self, text: str) -> None:
        """The error quotes it."""
        with pytest.raises(AddressError) as caught:
            Interface.parse(text)
        assert repr(text) in str(caught.value)
