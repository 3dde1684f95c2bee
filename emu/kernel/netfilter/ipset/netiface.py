# SPDX-License-Identifier: GPL-2.0-only
"""Sets of the type `hash:net,iface`: networks, each with one device or several.

One thing is as odd as in Linux: a network that holds the address ends the search,
even if it has other devices. 10.0.0.0/8,eth1 is not found for 10.1.1.1 on eth1
when there is 10.1.0.0/16,eth0. Elements with `physdev:` are told apart from
others, but no rule of iptables asks for them.

Source: net/netfilter/ipset/ip_set_hash_netiface.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.ipset.base import Answer, fits
from emu.kernel.netfilter.ipset.hash import HashSet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.netfilter.ipset.base import Question
    from emu.kernel.netfilter.ipset.element import Element, Member
    from emu.kernel.netfilter.ipset.spec import SetSpec

_BUCKET_ELEMENTS: Final = 2

_Network = tuple[int, int, bool]


class NetIfaceSet(HashSet):
    """A set of networks with devices; the name may be the beginning of several devices' names."""

    def __init__(self, name: str, spec: SetSpec) -> None:
        super().__init__(name, spec)
        self._networks: dict[_Network, list[Member]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def flush(self) -> None:
        """Delete all elements."""
        super().flush()
        self._networks.clear()
        self._size = 0

    def find(self, element: Element, question: Question) -> Answer:
        """Return whether `element` is in the set; an address is in the longest network that holds it."""
        if not self._is_address(element):
            return self._search(element, question)[0]
        for length, mask, _, _ in self._pairs():
            cut = element._replace(ip=element.ip & mask, cidr=length)
            answer, ends = self._search(cut, question)
            if answer is not Answer.OUT or ends:
                return answer
        return Answer.OUT

    def _search(self, element: Element, question: Question) -> tuple[Answer, bool]:
        """Return what the network of `element` says, and whether no shorter one is asked after it.

        Source: `multi` in `mtype_test_cidrs`.
        """
        ends = False
        for member in self._networks.get(_network(element), ()):
            ends = True
            if not _is_device(member, element.iface):
                continue
            if fits(self.spec, member, question):
                return Answer.NOMATCH if member.nomatch else Answer.IN, True
            ends = False
        return Answer.OUT, ends

    # --- the table ---

    def _all(self) -> Iterator[Member]:
        return (member for members in self._networks.values() for member in members)

    def _buckets(self) -> int:
        return sum(-(-len(members) // _BUCKET_ELEMENTS) for members in self._networks.values())

    def _known(self, element: Element) -> Member | None:
        members = self._networks.get(_network(element), ())
        return next((member for member in members if _is_device(member, element.iface)), None)

    def _insert(self, member: Member) -> None:
        self._networks.setdefault(_network(member.element), []).append(member)
        self._size += 1
        self._count(member.element, 1)

    def _discard(self, member: Member) -> None:
        network = _network(member.element)
        members = self._networks[network]
        members.remove(member)
        if not members:
            del self._networks[network]
        self._size -= 1
        self._count(member.element, -1)


def _network(element: Element) -> _Network:
    return element.ip, element.cidr, element.physdev


def _is_device(member: Member, name: str) -> bool:
    known = member.element.iface
    return name.startswith(known) if member.wildcard else name == known
