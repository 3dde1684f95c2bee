# SPDX-License-Identifier: GPL-2.0-only
"""The sets of a namespace. Source: net/netfilter/ipset/ip_set_core.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from emu.kernel.netfilter.ipset.bitmap import BitmapSet
from emu.kernel.netfilter.ipset.errors import IpSetError, Refusal
from emu.kernel.netfilter.ipset.hash import HashSet
from emu.kernel.netfilter.ipset.listset import ListSet
from emu.kernel.netfilter.ipset.netiface import NetIfaceSet
from emu.kernel.netfilter.ipset.spec import checked
from emu.kernel.netfilter.ipset.types import Method, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emu.kernel.netfilter.ipset.spec import SetSpec

IpSet: TypeAlias = HashSet | BitmapSet | ListSet


def _nobody(_name: str) -> int:
    return 0


class IpSets:
    """The sets, each in a numbered place, which is the order in which they are listed.

    Attributes:
        users: how many rules name a set; asked before one is destroyed or renamed.
    """

    def __init__(self) -> None:
        self.users: Callable[[str], int] = _nobody
        self._places: list[IpSet | None] = []
        self._by_name: dict[str, IpSet] = {}

    def __iter__(self) -> Iterator[IpSet]:
        """Yield the sets as they are listed: in the order of their places, lists last."""
        sets = [known for known in self._places if known is not None]
        yield from (known for known in sets if not isinstance(known, ListSet))
        yield from (known for known in sets if isinstance(known, ListSet))

    def __len__(self) -> int:
        return len(self._by_name)

    def get(self, name: str) -> IpSet | None:
        """Return the set called `name`, None if there is none."""
        return self._by_name.get(name)

    def find(self, name: str) -> IpSet:
        """Return the set called `name`.

        Raises:
            IpSetError: there is none.
        """
        found = self._by_name.get(name)
        if found is None:
            raise IpSetError(Refusal.NO_SUCH_SET)
        return found

    def references(self, name: str) -> int:
        """Return how many rules and lists use the set `name`."""
        lists = (known for known in self._by_name.values() if isinstance(known, ListSet))
        return self.users(name) + sum(name in known for known in lists)

    def create(self, name: str, spec: SetSpec, *, exist: bool = False) -> None:
        """Make a set.

        Raises:
            IpSetError: the options are refused, or there is a set of that name
                (with `exist`, one of other options).
        """
        spec = checked(name, spec)
        known = self._by_name.get(name)
        if known is not None:
            if exist and known.spec.is_like(spec):
                return
            raise IpSetError(Refusal.EXIST)
        made = self._make(name, spec)
        self._by_name[name] = made
        if None in self._places:
            self._places[self._places.index(None)] = made
        else:
            self._places.append(made)

    def _make(self, name: str, spec: SetSpec) -> IpSet:
        match spec.type.method:
            case Method.HASH:
                return (NetIfaceSet if Part.IFACE in spec.type.parts else HashSet)(name, spec)
            case Method.BITMAP:
                return BitmapSet(name, spec)
            case Method.LIST:
                return ListSet(name, spec, self)

    def destroy(self, name: str) -> None:
        """Remove the set `name`.

        Raises:
            IpSetError: there is none, or it is used.
        """
        found = self.find(name)
        if self.references(name):
            raise IpSetError(Refusal.BUSY)
        self._places[self._places.index(found)] = None
        del self._by_name[name]

    def destroy_all(self) -> None:
        """Remove all sets.

        Raises:
            IpSetError: one of them is used, be it by a list; none has been removed.
        """
        if any(self.references(name) for name in self._by_name):
            raise IpSetError(Refusal.BUSY)
        self._places.clear()
        self._by_name.clear()

    def rename(self, name: str, to: str) -> None:
        """Call the set `name` by another name.

        Raises:
            IpSetError: there is none, it is used, or there is a set of the new name.
        """
        found = self.find(name)
        if self.references(name):
            raise IpSetError(Refusal.REFERENCED)
        if to in self._by_name:
            raise IpSetError(Refusal.EXIST_SETNAME2)
        del self._by_name[name]
        self._by_name[to] = found
        found.name = to

    def swap(self, name: str, other: str) -> None:
        """Have two sets change their names; whoever uses one of them now uses the other.

        Raises:
            IpSetError: one does not exist, or their elements differ in kind.
        """
        one = self.find(name)
        two = self._by_name.get(other)
        if two is None:
            raise IpSetError(Refusal.EXIST_SETNAME2)
        if one.spec.type.features != two.spec.type.features or _family(one) != _family(two):
            raise IpSetError(Refusal.TYPE_MISMATCH)
        here, there = self._places.index(one), self._places.index(two)
        self._places[here], self._places[there] = two, one
        one.name, two.name = other, name
        self._by_name[name], self._by_name[other] = two, one


def _family(known: IpSet) -> int:
    """Return the family; addresses of a bitmap are IPv4."""
    return 4 if known.spec.type.name == "bitmap:ip" else known.spec.family
