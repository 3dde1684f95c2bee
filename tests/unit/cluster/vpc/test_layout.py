# SPDX-License-Identifier: GPL-2.0-only
"""Who gets which address of a VPC."""

from __future__ import annotations

import pytest

from emu.cluster.vpc.layout import Wish, node_addresses, public_addresses
from emu.cluster.vpc.shape import made
from emu.cluster.vpc.spec import InterfaceSpec, NatGatewaySpec, SubnetSpec, VpcSpec
from emu.errors import DocumentError
from emu.wire.addresses import Interface, IpAddress, Prefix

NAT = NatGatewaySpec(IpAddress.parse("203.0.113.9"))
SPEC = VpcSpec(
    (Prefix.parse("10.0.0.0/16"),),
    (
        SubnetSpec("public", Prefix.parse("10.0.0.0/24"), "a", public=True),
        SubnetSpec("private-a", Prefix.parse("10.0.1.0/24"), "a"),
        SubnetSpec("private-b", Prefix.parse("10.0.2.0/28"), "b"),
    ),
    internet_gateway=True,
    nat_gateway=NAT,
)


def placed(*wishes: Wish) -> list[str]:
    """Return the first address of each node."""
    return [str(devices[0][0]) for devices in node_addresses(SPEC, wishes).values()]


def test_nodes_are_in_the_subnet_of_their_zone_and_private_ones_come_first() -> None:
    """Where private subnets have a way out; the first four addresses are the cloud's."""
    assert placed(Wish("n"), Wish("m", zone="b"), Wish("o", subnet="public"), Wish("p")) == [
        "10.0.1.4/24",
        "10.0.2.4/28",
        "10.0.0.4/24",
        "10.0.1.5/24",
    ]


def test_an_address_that_is_given_has_the_length_of_its_subnet_and_is_not_given_again() -> None:
    """Whatever length the document writes."""
    own = Wish("n", ((Interface.parse("10.0.1.4/16"),),))
    assert placed(Wish("m"), own) == ["10.0.1.5/24", "10.0.1.4/24"]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish("n", ((Interface.parse("192.168.0.4/24"),),)), "address 192.168.0.4 of n is in no subnet"),
        (Wish("n", subnet="privat"), "the VPC has no subnet privat (there are public, private-a, private-b)"),
        (Wish("n", zone="c"), "the VPC has no subnet in zone c"),
    ],
)
def test_a_place_that_there_is_not_is_a_fault(wish: Wish, words: str) -> None:
    """It says what there is."""
    with pytest.raises(DocumentError, match=words.replace("(", r"\(").replace(")", r"\)")):
        placed(wish)


def test_a_subnet_can_be_full() -> None:
    """A /28 has eleven addresses for machines."""
    placed(*(Wish(f"n{number}", zone="b") for number in range(11)))
    with pytest.raises(DocumentError, match="no address is left in subnet private-b for node n11"):
        placed(*(Wish(f"n{number}", zone="b") for number in range(12)))


def test_machines_of_public_subnets_have_public_addresses_unless_told_otherwise() -> None:
    """Others have one if they are given one; that of an object counts, too."""
    nodes = node_addresses(
        SPEC, [Wish("n", subnet="public"), Wish("m", subnet="public"), Wish("o"), Wish("p")]
    )
    own = IpAddress.parse("203.0.113.50")
    spec = VpcSpec(
        SPEC.cidrs,
        SPEC.subnets,
        internet_gateway=True,
        interfaces=(InterfaceSpec("m", public_ip=False), InterfaceSpec("o", public_ip=own)),
    )
    found = public_addresses(spec, nodes, {"p": IpAddress.parse("203.0.113.60")})
    assert {name: str(each) for name, each in found.items()} == {
        "n": "203.0.113.68",
        "o": "203.0.113.50",
        "p": "203.0.113.60",
    }


def test_without_an_internet_gateway_nobody_has_one() -> None:
    """There is nothing that would translate it."""
    nodes = node_addresses(SPEC, [Wish("n", subnet="public")])
    assert public_addresses(VpcSpec(SPEC.cidrs, SPEC.subnets), nodes, {}) == {}


def test_a_vpc_that_is_made_lies_around_the_nodes() -> None:
    """Their networks are its private subnets; the NAT gateway has one of its own."""
    spec = made([Prefix.parse("192.168.1.0/24"), Prefix.parse("10.1.0.0/24"), Prefix.parse("192.168.1.0/24")])
    assert [(each.name, str(each.cidr)) for each in spec.subnets] == [
        ("public", "10.255.255.0/24"),
        ("private", "192.168.1.0/24"),
        ("private-2", "10.1.0.0/24"),
    ]
    assert {str(each) for each in spec.cidrs} == {"192.168.1.0/24", "10.1.0.0/24", "10.255.255.0/24"}
