# SPDX-License-Identifier: GPL-2.0-only
"""Addresses from blocks that nodes claim."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kube.ipam.blocks import MOST_BLOCKS, Blocks
from emu.kube.ipam.errors import AllocationError
from emu.wire.addresses import IpAddress, Prefix


def pool(text: str = "10.244.0.0/16", *, length: int = 26, is_strict: bool = False) -> Blocks:
    """Return a pool of which nobody has anything."""
    return Blocks(Prefix.parse(text), length, is_strict)


def test_a_node_claims_a_block_and_uses_it_from_the_first_address_on() -> None:
    """All 64 addresses are given, the first and the last one too, the lowest first."""
    blocks = pool()
    found = [blocks.assign("n", str(number)) for number in range(64)]
    (block,) = blocks.of("n")
    assert block.length == 26
    assert [int(each) - int(block.address) for each in found] == list(range(64))


def test_a_full_block_is_followed_by_the_next_one() -> None:
    """The 65th address is of a second block, and the first one is still the node's."""
    blocks = pool()
    for number in range(65):
        blocks.assign("n", str(number))
    first, second = blocks.of("n")
    assert int(second.address) == int(first.address) + 64


def test_what_was_given_back_comes_last() -> None:
    """An address rests until all others of its block were given."""
    blocks = pool(length=29)
    first = blocks.assign("n", "0")
    blocks.release("n", "0")
    assert [blocks.assign("n", str(number)) for number in range(8)][-1] == first


def test_nodes_begin_at_different_places() -> None:
    """The same node always begins at the same block, others at others."""
    blocks, again = pool(), pool()
    addresses = [blocks.assign(name, "x") for name in ("a", "b", "c")]
    assert [again.assign(name, "x") for name in ("a", "b", "c")] == addresses
    assert len({Prefix.of(each, 26) for each in addresses}) == 3


def test_without_a_block_to_claim_addresses_are_borrowed() -> None:
    """A pool of one block serves two nodes; the second one has single addresses of it."""
    blocks = pool("10.244.0.0/26")
    blocks.assign("a", "x")
    address = blocks.assign("b", "x")
    assert (blocks.of("b"), blocks.borrowed("b")) == ((), (address,))


def test_strict_affinity_borrows_nothing() -> None:
    """Then the second node has no address, and is told so."""
    blocks = pool("10.244.0.0/26", is_strict=True)
    blocks.assign("a", "x")
    with pytest.raises(AllocationError, match=r"No IPs available in pools: \[10.244.0.0/26\]"):
        blocks.assign("b", "x")


def test_a_node_claims_twenty_blocks_at_most() -> None:
    """With blocks of one address, the 21st address is borrowed, or not to be had."""
    blocks = pool(length=32, is_strict=True)
    for number in range(MOST_BLOCKS):
        blocks.assign("a", str(number))
    with pytest.raises(AllocationError):
        blocks.assign("a", "more")


def test_an_address_that_is_asked_for_is_given_if_it_is_free() -> None:
    """Its block becomes the node's; taken, or outside of the pool, it is refused."""
    blocks = pool()
    wanted = IpAddress.parse("10.244.7.9")
    blocks.assign_this("a", "x", wanted)
    assert blocks.of("a") == (Prefix.parse("10.244.7.0/26"),)
    with pytest.raises(AllocationError, match="is already assigned"):
        blocks.assign_this("a", "y", wanted)
    with pytest.raises(AllocationError, match="is not in a configured pool"):
        blocks.assign_this("a", "y", IpAddress.parse("10.0.0.1"))


def test_a_node_that_is_gone_leaves_its_block_to_others() -> None:
    """What others have borrowed of it stays theirs, and with the last one the block goes."""
    blocks = pool("10.244.0.0/26")
    blocks.assign("a", "x")
    kept = blocks.assign("b", "x")
    blocks.forget("a")
    assert (blocks.of("a"), blocks.borrowed("b")) == ((), (kept,))
    blocks.release("b", "x")
    assert blocks.assign("c", "x") == IpAddress.parse("10.244.0.0")


def test_who_listens_hears_of_blocks_and_not_of_pods() -> None:
    """A claim and a borrowed address are told; the next address of an own block is not."""
    blocks = pool("10.244.0.0/26")
    heard: list[int] = []
    blocks.watch(lambda: heard.append(1))
    blocks.assign("a", "x")
    blocks.assign("a", "y")
    assert len(heard) == 1
    blocks.assign("b", "x")
    assert len(heard) == 2


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20), st.booleans()), max_size=60),
    st.sampled_from((28, 30, 32)),
)
def test_nobody_has_what_another_has(doings: list[tuple[str, int, bool]], length: int) -> None:
    """However addresses are given and given back, each has one owner, in the pool, and is found again."""
    blocks = pool("10.244.0.0/27", length=length)
    held: dict[tuple[str, str], IpAddress] = {}
    for host, number, gives in doings:
        key = (host, str(number))
        if gives and key not in held:
            try:
                held[key] = blocks.assign(*key)
            except AllocationError:
                assert len(held) == 32 or length == 32
        elif not gives:
            held.pop(key, None)
            blocks.release(*key)
        assert len(set(held.values())) == len(held)
        assert all(blocks.held(*each) == address for each, address in held.items())
    for (host, _), address in held.items():
        leads = any(address in block for block in blocks.of(host))
        assert leads is not (address in blocks.borrowed(host))
