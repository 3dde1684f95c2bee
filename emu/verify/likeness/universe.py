# SPDX-License-Identifier: GPL-2.0-only
"""The addresses that packets of the questions may have, and what sets of them look like from a node.

A rule on one node says `-s 10.244.1.0/24`, one on another `-s 10.244.2.0/24`, and
both mean the node's own pods. So a set of addresses is described as a node sees
it: its own pods, those of others, all, none, its own addresses, those of other
nodes. A set that is none of these is described by who is in it, and then those
who are in it differ from those who are not.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

_ALL_BITS: Final = 0xFFFFFFFF


class Extent(NamedTuple):
    """A set of addresses.

    Attributes:
        pods: bit N is set if the pod address of number N is in it.
        machines: the numbers of the addresses of nodes and routers that are in it.
    """

    pods: int
    machines: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.pods or self.machines)


NOBODY: Final = Extent(0)


class Machine(NamedTuple):
    """An address of a node or a router.

    Attributes:
        net: its network namespace.
        place: which of the addresses of that namespace it is.
        number: the address.
    """

    net: str
    place: int
    number: int


class Universe:
    """All addresses there are to be told apart.

    Args:
        pods: the pods that are asked about, with their addresses.
        homes: the network namespace where each pod's cable ends.
        machines: the addresses of nodes and routers, by network namespace.

    Attributes:
        places: the pods, by the numbers of their addresses: in ascending order of these.
        index: the numbers of the pods.
        own: the pods of each node.
        everybody: all pods and all nodes and routers.
        pods: all pods.
        machines: all nodes and routers.
        mentioned: bit N is set if the set of number N was told since `take`.
    """

    def __init__(
        self,
        pods: Mapping[str, int],
        homes: Mapping[str, str],
        machines: Mapping[str, Sequence[int]],
    ) -> None:
        self.places: list[str] = sorted(pods, key=lambda pod: pods[pod])
        self.index = {place: number for number, place in enumerate(self.places)}
        self._numbers = [pods[place] for place in self.places]
        self.machine_list = [
            Machine(net, place, number)
            for net, numbers in machines.items()
            for place, number in enumerate(numbers)
        ]
        self._of_net: dict[str, list[int]] = {}
        for number, machine in enumerate(self.machine_list):
            self._of_net.setdefault(machine.net, []).append(number)
        self.own: dict[str, int] = dict.fromkeys(homes.values(), 0)
        for place, home in homes.items():
            self.own[home] |= 1 << self.index[place]
        self._every = (1 << len(self.places)) - 1
        self.pods = Extent(self._every)
        self.machines = Extent(0, frozenset(range(len(self.machine_list))))
        self.everybody = Extent(self._every, self.machines.machines)
        self._prefixes: dict[tuple[int, int], Extent] = {}
        self._seen: dict[tuple[Extent, str], tuple[int | str, Hashable]] = {}
        self._told: dict[int, int] = {}  # sets of pods that are described by who is in them: their numbers
        self.mentioned = 0

    # --- sets of addresses ---

    def prefix(self, address: int, mask: int) -> Extent:
        """Return who has an address that is `address` under `mask`."""
        found = self._prefixes.get((address, mask))
        if found is None:
            found = self._prefixes[address, mask] = self._prefix(address, mask)
        return found

    def _prefix(self, address: int, mask: int) -> Extent:
        rest = ~mask & _ALL_BITS
        if rest & (rest + 1):  # not contiguous
            return self.who(lambda number: number & mask == address)
        return self.between(address, address | rest)

    def between(self, first: int, last: int) -> Extent:
        """Return who has an address from `first` to `last`."""
        low, high = bisect_left(self._numbers, first), bisect_right(self._numbers, last)
        machines = [
            place for place, machine in enumerate(self.machine_list) if first <= machine.number <= last
        ]
        return Extent(((1 << max(high - low, 0)) - 1) << low, frozenset(machines))

    def who(self, holds: Callable[[int], bool]) -> Extent:
        """Return whose address fulfils a condition."""
        pods = sum(1 << place for place, number in enumerate(self._numbers) if holds(number))
        machines = [place for place, machine in enumerate(self.machine_list) if holds(machine.number)]
        return Extent(pods, frozenset(machines))

    def grouped(self, key: Callable[[int], str]) -> dict[str, Extent]:
        """Return who has which key of his address."""
        pods: dict[str, int] = {}
        machines: dict[str, list[int]] = {}
        for place, number in enumerate(self._numbers):
            found = key(number)
            pods[found] = pods.get(found, 0) | 1 << place
        for place, machine in enumerate(self.machine_list):
            machines.setdefault(key(machine.number), []).append(place)
        return {
            found: Extent(pods.get(found, 0), frozenset(machines.get(found, ())))
            for found in (*pods, *machines)
        }

    def others(self, extent: Extent) -> Extent:
        """Return who is not in `extent`."""
        return Extent(self._every & ~extent.pods, self.machines.machines - extent.machines)

    def number(self, address: int) -> int | None:
        """Return the number of the pod that has an address, None if none has."""
        at = bisect_left(self._numbers, address)
        return at if at < len(self._numbers) and self._numbers[at] == address else None

    # --- as nodes see them ---

    def seen_from(self, extent: Extent, node: str) -> Hashable:
        """Return what a set of addresses is to a node: equal for two nodes if it is the same to both."""
        key = (extent, node)
        found = self._seen.get(key)
        if found is None:
            pods = self._pods_seen(extent.pods, node)
            found = self._seen[key] = (pods, self._machines_seen(extent, node))
        if isinstance(found[0], int):
            self.mentioned |= 1 << found[0]
        return found

    def take(self) -> int:
        """Return which sets were told since the last call."""
        mentioned, self.mentioned = self.mentioned, 0
        return mentioned

    def _pods_seen(self, pods: int, node: str) -> int | str:
        own = self.own.get(node, 0)
        if pods == self._every:
            return "all"
        if not pods:
            return "none"
        if pods == own:
            return "own"
        if pods == self._every & ~own:
            return "others'"
        return self._told.setdefault(pods, len(self._told))

    def _machines_seen(self, extent: Extent, node: str) -> Hashable:
        if not extent.machines:
            return ()
        bits = {
            net: tuple([number in extent.machines for number in numbers])
            for net, numbers in self._of_net.items()
        }
        own = bits.pop(node, ())
        peers = {bits[net] for net in self.own if net in bits}
        strangers = tuple([(net, each) for net, each in bits.items() if net not in self.own])
        if len(peers) > 1:
            return own, tuple(sorted(bits.items()))
        return own, tuple(peers), strangers

    def memberships(self) -> list[int]:
        """Return in which sets each pod is that were told by who is in them: bit N for that of number N."""
        found = [0] * len(self.places)
        for pods, number in self._told.items():
            for place in bits_of(pods):
                found[place] |= 1 << number
        return found


def bits_of(number: int) -> Iterator[int]:
    """Yield the places of the bits that are set."""
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest


def only_bit(number: int) -> int | None:
    """Return the place of the one bit that is set, None if there are none or several."""
    return number.bit_length() - 1 if number and not number & (number - 1) else None
