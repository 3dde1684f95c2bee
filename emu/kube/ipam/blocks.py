# SPDX-License-Identifier: GPL-2.0-only
"""Addresses from blocks that nodes claim, as calico gives them.

A pool is cut into blocks. A node claims one when it needs its first address, and
another when that is full; within a block the lowest ordinal comes first, and one that
was given back comes last. A node that finds no block to claim borrows single addresses
from blocks of others, unless affinity is strict.

Known difference: where a node begins to look for a free block is drawn from a
generator of Go's, seeded with the node's name; here it is a hash of the name, modulo
the number of blocks.

Source: projectcalico/calico libcalico-go/lib/ipam (ipam.go, ipam_block.go, ipam_block_reader_writer.go).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.ipam.errors import AllocationError
from emu.wire.addresses import IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_BLOCKS: Final = 20
"""Blocks that a node claims at most."""


def _begin(host: str) -> int:
    """Return where a node begins to look."""
    return int.from_bytes(hashlib.sha256(host.encode()).digest()[:4], "big")


@attrs.define(eq=False)
class Block:
    """One block of a pool.

    Attributes:
        cidr: its addresses.
        host: the node that has claimed it, empty once that is gone.
        free: ordinals that nobody has, the next one first.
        owners: who has the others, by ordinal: a node, and what it calls its use.
    """

    cidr: Prefix
    host: str
    free: list[int]
    owners: dict[int, tuple[str, str]] = attrs.field(factory=dict)

    def address(self, ordinal: int) -> IpAddress:
        """Return the address with a number, from 0."""
        return IpAddress.from_int(int(self.cidr.address) + ordinal, self.cidr.address.bits)

    def take(self, ordinal: int, host: str, handle: str) -> IpAddress:
        """Give an address that is free."""
        self.free.remove(ordinal)
        self.owners[ordinal] = host, handle
        return self.address(ordinal)


@attrs.define(eq=False)
class Blocks:
    """A pool, and who has what of it.

    Attributes:
        pool: the pool's range.
        length: of a block's prefix.
        is_strict: no node gets an address of another's block.
    """

    pool: Prefix
    length: int = 26
    is_strict: bool = False
    _blocks: dict[Prefix, Block] = attrs.field(factory=dict, init=False)
    _listeners: list[Callable[[], None]] = attrs.field(factory=list, init=False)

    @property
    def count(self) -> int:
        """How many blocks the pool has."""
        return 1 << (self.length - self.pool.length)

    def watch(self, listener: Callable[[], None]) -> None:
        """Have `listener` called when a block, or an address of another's block, changes hands."""
        self._listeners.append(listener)

    # --- asking ---

    def of(self, host: str) -> tuple[Prefix, ...]:
        """Return the blocks of a node, those claimed first first."""
        return tuple(each.cidr for each in self._blocks.values() if each.host == host)

    def borrowed(self, host: str) -> tuple[IpAddress, ...]:
        """Return the addresses that a node has of blocks that are not its own."""
        return tuple(
            block.address(ordinal)
            for block in self._blocks.values()
            if block.host != host
            for ordinal, (owner, _) in sorted(block.owners.items())
            if owner == host
        )

    def held(self, host: str, handle: str) -> IpAddress | None:
        """Return the address that a node has for a use, None if there is none."""
        for block in self._blocks.values():
            for ordinal, owner in block.owners.items():
                if owner == (host, handle):
                    return block.address(ordinal)
        return None

    # --- giving ---

    def assign(self, host: str, handle: str) -> IpAddress:
        """Give a node an address.

        Raises:
            AllocationError: there is none for it.
        """
        own = [each for each in self._blocks.values() if each.host == host]
        for block in own:
            if block.free:
                return block.take(block.free[0], host, handle)
        if len(own) < MOST_BLOCKS:
            claimed = self._claim(host)
            if claimed is not None:
                found = claimed.take(claimed.free[0], host, handle)
                self._tell()
                return found
        if not self.is_strict:
            for cidr in self._in_order(host):
                block = self._blocks[cidr]
                if block.free:
                    found = block.take(block.free[0], host, handle)
                    self._tell()
                    return found
        raise AllocationError(
            "No IPs available in pools: "
            f"[{self.pool}]: host {host} has {len(own)} blocks, and there is no other to claim"
        )

    def assign_this(self, host: str, handle: str, address: IpAddress) -> None:
        """Give a node the address that it asks for; the block becomes the node's if nobody has claimed it.

        Raises:
            AllocationError: it is taken, outside of the pool, or in another's block, and affinity is strict.
        """
        if address not in self.pool:
            raise AllocationError(f"The provided IP address {address} is not in a configured pool")
        cidr = Prefix.of(address, self.length)
        block = self._blocks.get(cidr) or self._new(cidr, host)
        ordinal = int(address) - int(cidr.address)
        if block.host != host and self.is_strict:
            raise AllocationError(f"{address} is in block {cidr}, which is affine to host {block.host}")
        if ordinal not in block.free:
            raise AllocationError(f"{address} is already assigned")
        block.take(ordinal, host, handle)
        self._tell()

    def release(self, host: str, handle: str) -> None:
        """Take back what a node has for a use; a block of nobody that is empty goes."""
        for block in tuple(self._blocks.values()):
            for ordinal in [each for each, owner in block.owners.items() if owner == (host, handle)]:
                self._free(block, ordinal)

    def forget(self, host: str) -> None:
        """Take back all that a node has, which is no more."""
        for block in tuple(self._blocks.values()):
            if block.host == host:
                block.host = ""
            for ordinal in [each for each, (owner, _) in block.owners.items() if owner == host]:
                self._free(block, ordinal)
            if not block.host and not block.owners:
                self._blocks.pop(block.cidr, None)
        self._tell()

    def _free(self, block: Block, ordinal: int) -> None:
        host, _ = block.owners.pop(ordinal)
        block.free.append(ordinal)
        if not block.host and not block.owners:
            self._blocks.pop(block.cidr, None)
        if host != block.host:
            self._tell()

    # --- claiming ---

    def _claim(self, host: str) -> Block | None:
        """Return a block that the node has just claimed, None if there is none left."""
        if len(self._blocks) == self.count:
            return None
        begin = _begin(host)
        for step in range(self.count):
            cidr = self._block((begin + step) % self.count)
            if cidr not in self._blocks:
                return self._new(cidr, host)
        return None

    def _new(self, cidr: Prefix, host: str) -> Block:
        block = self._blocks[cidr] = Block(cidr, host, list(range(1 << (32 - self.length))))
        return block

    def _block(self, number: int) -> Prefix:
        size = 1 << (32 - self.length)
        return Prefix(IpAddress.from_int(int(self.pool.address) + number * size), self.length)

    def _in_order(self, host: str) -> Iterator[Prefix]:
        """Yield the blocks that there are, in the order in which a node looks through them to borrow."""
        begin = _begin(host) % self.count
        numbered = sorted(
            ((int(cidr.address) - int(self.pool.address)) >> (32 - self.length), cidr)
            for cidr in self._blocks
        )
        yield from (cidr for number, cidr in numbered if number >= begin)
        yield from (cidr for number, cidr in numbered if number < begin)

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()
