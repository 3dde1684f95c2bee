# SPDX-License-Identifier: GPL-2.0-only
"""Pod CIDRs: a piece of the cluster CIDR for each node, in the order in which nodes register.

Source: pkg/controller/nodeipam/ipam/range_allocator.go, cidrset/cidr_set.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import AddressError
from emu.kube.ipam.errors import AllocationError, RefusedError
from emu.wire.addresses import IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.kube.api.objects import Node

LENGTHS: Final = {4: 24, 6: 64}
"""How long the prefix of a node is, by family."""


@attrs.define
class CidrSet:
    """The pieces of one cluster CIDR.

    Attributes:
        prefix: the cluster CIDR.
        length: of a piece's prefix.
    """

    prefix: Prefix
    length: int
    _taken: set[int] = attrs.field(factory=set, init=False)
    _next: int = attrs.field(default=0, init=False)

    @property
    def count(self) -> int:
        """How many pieces there are."""
        return 1 << max(0, self.length - self.prefix.length) if self.length >= self.prefix.length else 0

    def reserve(self, cidr: Prefix) -> None:
        """Take all pieces that `cidr` touches.

        Raises:
            AllocationError: it lies outside.
        """
        bits = self.prefix.address.bits
        outside = cidr.address.bits != bits or not (
            cidr.address in self.prefix or self.prefix.address in cidr
        )
        if outside:
            raise AllocationError(f"cidr {cidr} is out the range of cluster cidr {self.prefix}")
        shift = bits - self.length
        low = int(cidr.address) - int(self.prefix.address)
        high = low + (1 << (bits - cidr.length)) - 1
        self._taken.update(range(max(0, low >> shift), min(self.count - 1, high >> shift) + 1))

    def allocate(self) -> Prefix:
        """Take the next free piece, going round, and return it.

        Raises:
            AllocationError: none is left.
        """
        count = self.count
        for step in range(count):
            index = (self._next + step) % count
            if index not in self._taken:
                self._taken.add(index)
                self._next = (index + 1) % count
                bits = self.prefix.address.bits
                number = int(self.prefix.address) + (index << (bits - self.length))
                return Prefix(IpAddress.from_int(number, bits), self.length)
        raise AllocationError(
            "CIDR allocation failed; there are no remaining CIDRs left to allocate in the accepted range"
        )

    def release(self, cidr: Prefix) -> None:
        """Give a piece back."""
        shift = self.prefix.address.bits - self.length
        self._taken.discard((int(cidr.address) - int(self.prefix.address)) >> shift)


class PodCidrs:
    """Gives nodes their pod CIDRs.

    Args:
        cluster_cidrs: one of each family of the cluster, the first of them first.
        lengths: of nodes' prefixes, by family (4, 6); the kind's defaults where it has none.
    """

    def __init__(self, cluster_cidrs: Sequence[Prefix], lengths: dict[int, int] | None = None) -> None:
        lengths = {**LENGTHS, **(lengths or {})}
        self.sets = tuple(CidrSet(each, lengths[each.address.family]) for each in cluster_cidrs)

    def register(self, nodes: Iterable[Node]) -> list[Node]:
        """Return `nodes`, which register in this order, with pod CIDRs; those that have one keep it.

        Raises:
            RefusedError: a node's own is no prefix or outside the cluster's, or none is left.
        """
        found = list(nodes)
        for node in found:
            self._keep(node)
        return [self._give(node) for node in found]

    def forget(self, node: Node) -> None:
        """Give the pod CIDRs of a node that is gone back."""
        for text in _cidrs(node):
            cidr = Prefix.parse(text, strict=False)
            for each in self.sets:
                if cidr.address in each.prefix:
                    each.release(cidr)

    def _keep(self, node: Node) -> None:
        for index, text in enumerate(_cidrs(node)):
            try:
                cidr = Prefix.parse(text)
                self._set_of(cidr).reserve(cidr)
            except (AddressError, AllocationError) as error:
                path = f"spec.podCIDRs[{index}]"
                message = f'Invalid value: "{text}": {error}'
                raise RefusedError("Node", "", node.metadata.name, path, message) from None

    def _set_of(self, cidr: Prefix) -> CidrSet:
        family = cidr.address.family
        found = [each for each in self.sets if each.prefix.address.family == family]
        if not found:
            raise AllocationError(f"the cluster has no pod CIDR of IPv{family}")
        return found[0]

    def _give(self, node: Node) -> Node:
        kept = _cidrs(node)
        if kept:
            return attrs.evolve(node, spec=attrs.evolve(node.spec, pod_cidr=kept[0], pod_cidrs=kept))
        try:
            given = tuple(str(each.allocate()) for each in self.sets)
        except AllocationError as error:
            raise RefusedError("Node", "", node.metadata.name, "", f"{error}") from None
        if not given:
            return node
        return attrs.evolve(node, spec=attrs.evolve(node.spec, pod_cidr=given[0], pod_cidrs=given))


def _cidrs(node: Node) -> tuple[str, ...]:
    return node.spec.pod_cidrs or ((node.spec.pod_cidr,) if node.spec.pod_cidr else ())
