# SPDX-License-Identifier: GPL-2.0-only
"""Numbers, addresses and prefixes as iproute2 reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.errors import CommandError
from emu.tools.ip.values import address, contains, count, interface, link_address, number, prefix, short
from emu.tools.ip.words import Words
from emu.wire.addresses import IpAddress, Prefix


def prefixes() -> st.SearchStrategy[Prefix]:
    """Any IPv4 prefix, 0.0.0.0/0 to a /32."""
    pairs = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32))
    return pairs.map(lambda pair: Prefix.of(IpAddress.from_int(pair[0]), pair[1]))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("77", 77),
        ("0x1F", 31),
        ("0X1f", 31),
        ("017", 15),
        ("4294967295", 2**32 - 1),
        ("4294967296", None),
        ("018", None),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1_0", None),
        ("1.0", None),
        ("0x", None),
        ("x", None),
        ("\u0661", None),
    ],
)
def test_numbers_are_those_of_c(text: str, value: int | None) -> None:
    """`0x` begins a hexadecimal one, `0` an octal one; no sign, nothing behind it."""
    assert number(text) == value


def test_a_number_may_have_a_name() -> None:
    """Anything else is complained of in the option's own words."""
    take = count("it is bad", 255, {"main": 254})
    assert (take(Words(["main"])), take(Words(["254"]))) == (254, 254)
    with pytest.raises(CommandError, match='argument "256" is wrong: it is bad'):
        take(Words(["256"]))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("10.1.2.3", "10.1.2.3/32"),
        ("10.1.2.3/24", "10.1.2.3/24"),
        ("10.1/16", "10.1.0.0/16"),
        ("10", "10.0.0.0/32"),
        ("0x0a.1", "10.1.0.0/32"),
        ("10.1.2.0/255.255.255.0", "10.1.2.0/24"),
        ("default", "0.0.0.0/0"),
        ("any", "0.0.0.0/0"),
        ("all", "0.0.0.0/0"),
        ("0/0", "0.0.0.0/0"),
    ],
)
def test_the_last_octets_of_a_prefix_may_be_missing(text: str, meant: str) -> None:
    """They are 0 then; host bits stay, for the kernel to judge."""
    assert str(prefix(text)) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "10.",
        "10..1",
        "10.1.2.3.4",
        "10.1.2.256",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/255.0.255.0",
        "1.2.3.x",
    ],
)
def test_what_is_no_prefix_is_refused(text: str) -> None:
    """With status 1, as everything that is no address."""
    with pytest.raises(CommandError) as caught:
        interface(text)
    assert str(caught.value) == f'Error: any valid prefix is expected rather than "{text}".'
    assert caught.value.status == 1


def test_addresses_of_ipv6_are_refused_by_name() -> None:
    """It is known what they are; the emulator has none."""
    for read in (address, prefix):
        with pytest.raises(CommandError, match="IPv6 is not modelled"):
            read("fd00::1")
    with pytest.raises(CommandError, match='inet address is expected rather than "x"'):
        address("x")


@given(prefixes())
def test_a_prefix_is_shown_as_it_can_be_given(known: Prefix) -> None:
    """That of a single address without its length."""
    assert prefix(short(known)) == known


@given(prefixes(), prefixes())
def test_a_prefix_contains_another_if_it_has_its_first_and_its_last_address(
    outer: Prefix, inner: Prefix
) -> None:
    """Neither more nor less."""
    last = IpAddress.from_int(int(inner.address) | (2 ** (32 - inner.length) - 1))
    assert contains(outer, inner) == (inner.address in outer and last in outer)


def test_a_link_address_is_octets_of_one_or_two_digits() -> None:
    """How many there have to be is another matter."""
    assert link_address("2:0:A:f4:02:FF") == bytes((2, 0, 10, 0xF4, 2, 255))
    assert link_address("1") == b"\1"
    with pytest.raises(CommandError, match='"zz" is invalid lladdr'):
        link_address("02:zz")
