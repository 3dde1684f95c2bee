# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kube.api.objects import Node
from emu.kube.api.objects.meta import Meta
from emu.kube.api.objects.node import NodeSpec
from emu.kube.ipam.errors import RefusedError
from emu.kube.ipam.pod_cidrs import PodCidrs
from emu.wire.addresses import Prefix

CLUSTER = Prefix.parse("10.244.0.0/16")


def node(name: str, cidr: str = "") -> Node:
    """Return a node, perhaps with a pod CIDR of its own."""
    return Node(Meta(name), NodeSpec(pod_cidr=cidr))


def test_nodes_get_consecutive_pieces_in_order_of_registration() -> None:
    """The control plane, first to register, has .0.0/24."""
    found = PodCidrs([CLUSTER]).register([node("cp"), node("w1"), node("w2")])
    assert [each.spec.pod_cidr for each in found] == ["10.244.0.0/24", "10.244.1.0/24", "10.244.2.0/24"]
    assert found[1].spec.pod_cidrs == ("10.244.1.0/24",)


def test_a_node_keeps_its_own_and_nobody_else_gets_it() -> None:
    """Even one that registers earlier goes round it."""
    found = PodCidrs([CLUSTER]).register([node("a"), node("b", "10.244.0.0/24"), node("c")])
    assert [each.spec.pod_cidr for each in found] == ["10.244.1.0/24", "10.244.0.0/24", "10.244.2.0/24"]


def test_a_larger_cidr_of_a_node_takes_all_it_covers() -> None:
    """No piece of it is given."""
    found = PodCidrs([CLUSTER]).register([node("a", "10.244.0.0/23"), node("b")])
    assert found[1].spec.pod_cidr == "10.244.2.0/24"


def test_two_families_give_two() -> None:
    """The first family's stands in `podCIDR`."""
    found = PodCidrs([CLUSTER, Prefix.parse("fd00:10:244::/56")]).register([node("a"), node("b")])
    assert found[1].spec.pod_cidrs == ("10.244.1.0/24", "fd00:10:244:1::/64")


@pytest.mark.parametrize("cidr", ["10.245.0.0/24", "10.244.0.1/24", "fd00::/64"])
def test_what_lies_outside_is_refused(cidr: str) -> None:
    """The message names the node and its field."""
    with pytest.raises(RefusedError, match=r'Node "a" is invalid: spec\.podCIDRs\[0\]'):
        PodCidrs([CLUSTER]).register([node("a", cidr)])


def test_a_node_too_many_is_refused() -> None:
    """A /24 has one piece of 24 bits."""
    with pytest.raises(RefusedError, match="no remaining CIDRs"):
        PodCidrs([Prefix.parse("10.244.0.0/24")]).register([node("a"), node("b")])


def test_what_a_node_gives_back_comes_round_again() -> None:
    """Only after the others: the search goes on behind the last that was given."""
    cidrs = PodCidrs([Prefix.parse("10.244.0.0/23")])
    first, _ = cidrs.register([node("a"), node("b")])
    cidrs.forget(first)
    assert cidrs.register([node("c")])[0].spec.pod_cidr == "10.244.0.0/24"


@given(wishes=st.lists(st.one_of(st.none(), st.integers(0, 255)), max_size=40))
def test_no_two_nodes_share_a_piece(wishes: list[int | None]) -> None:
    """Whatever some of them bring along, those that are given are theirs alone, inside the range."""
    nodes = [
        node(f"n{index}", "" if wish is None else f"10.244.{wish}.0/24") for index, wish in enumerate(wishes)
    ]
    found = PodCidrs([CLUSTER]).register(nodes)
    drawn = [
        after.spec.pod_cidr for before, after in zip(nodes, found, strict=True) if not before.spec.pod_cidr
    ]
    brought = {each.spec.pod_cidr for each in nodes if each.spec.pod_cidr}
    assert len(set(drawn)) == len(drawn)
    assert not brought & set(drawn)
    assert all(Prefix.parse(each).address in CLUSTER for each in drawn)
