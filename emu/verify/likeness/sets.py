# SPDX-License-Identifier: GPL-2.0-only
"""What sets of addresses (ipset) hold, told as extents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from emu.kernel.netfilter.ipset.base import Answer, Question
from emu.kernel.netfilter.ipset.element import Element
from emu.kernel.netfilter.ipset.hash import HashSet
from emu.verify.likeness.doubt import Doubt
from emu.verify.likeness.universe import NOBODY, Extent

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.matches.set import SetMatch
    from emu.verify.likeness.universe import Universe

_WHOLE: Final = 0xFFFFFFFF
_BITS: Final = 32
_ICMP: Final = 1
_PORTS: Final = "bitmap:port"
_PAIRS: Final = "hash:ip,port,ip"
_HASHES: Final = frozenset(("hash:ip", "hash:net", "hash:ip,port", _PAIRS))


@attrs.frozen
class NamedPorts:
    """A set of addresses with ports.

    Attributes:
        of: the ports of each pod, by its number; only of the protocol that is asked by.
        owners: who has any, machines included.
        edges: where something changes.
    """

    of: tuple[tuple[int, tuple[int, ...]], ...]
    owners: Extent
    edges: frozenset[int] = attrs.field(eq=False)

    def ports(self, number: int) -> tuple[int, ...]:
        """Return the ports of a pod."""
        return next((ports for each, ports in self.of if each == number), ())


@attrs.frozen
class PortNumbers:
    """A set of ports, in ascending order."""

    numbers: tuple[int, ...]


@attrs.frozen
class Pairs:
    """A set of addresses that talk to each other, as those of pods; nobody else of those who take part."""

    pods: frozenset[frozenset[int]]


Told: TypeAlias = Extent | NamedPorts | PortNumbers | Pairs


class Sets:
    """The sets read so far, by what is in them: those of many nodes hold the same.

    Args:
        universe: who takes part.
        protocol: that is asked by.
    """

    def __init__(self, universe: Universe, protocol: int) -> None:
        self._universe = universe
        self._protocol = protocol
        self._known: dict[object, Told] = {}

    def read(self, asked: SetMatch, net: Namespace) -> Told:
        """Return who or what is in the set that a rule asks.

        Raises:
            Doubt: it is of a type that is not understood, or it changes.
        """
        known = net.netfilter.ipsets.get(asked.name)
        if known is None:
            return NOBODY
        spec = known.spec
        parts = spec.type.name
        if asked.packets is not None or asked.octets is not None:
            raise Doubt(f"a rule compares counters of the set {asked.name}")
        if spec.timeout is not None:
            raise Doubt(f"elements of the set {asked.name} have a time")
        if parts == _PORTS and asked.directions:
            return PortNumbers(tuple(each.element.port for each in known.listed(net.now)))
        if parts not in _HASHES or not isinstance(known, HashSet):
            raise Doubt(f"the set {asked.name} is of type {parts}")
        if spec.family != 4 or len(asked.directions) < len(spec.type.parts):
            return NOBODY
        members = frozenset((each.element, each.nomatch) for each in known.listed(net.now))
        key = parts, spec.mask, asked.return_nomatch, members
        found = self._known.get(key)
        if found is None:
            if parts == "hash:ip,port":
                found = self._named(known, asked, net)
            elif parts == _PAIRS:
                found = self._pairs(known, asked, net)
            else:
                found = self._extent(known, asked, net)
            self._known[key] = found
        return found

    def _extent(self, known: HashSet, asked: SetMatch, net: Namespace) -> Extent:
        spec, question = known.spec, Question(net.now)
        is_net = bool(spec.type.nets)
        wanted = Answer.NOMATCH if asked.return_nomatch and is_net else Answer.IN

        def holds(number: int) -> bool:
            if is_net:
                return known.find(Element(number, _BITS), question) is wanted
            masked = number & spec.mask
            return bool(masked) and known.find(Element(masked), question) is wanted

        return self._universe.who(holds)

    def _named(self, known: HashSet, asked: SetMatch, net: Namespace) -> NamedPorts:
        if known.spec.mask != _WHOLE:
            raise Doubt(f"addresses of the set {asked.name} are cut")
        ports: dict[int, set[int]] = {}
        everyone: set[int] = set()
        edges: set[int] = set()
        for each in known.listed(net.now):
            element = each.element
            everyone.add(element.ip)
            if element.protocol == _ICMP != self._protocol:
                raise Doubt(f"the set {asked.name} holds types of ICMP")
            if element.protocol == self._protocol:
                edges |= {element.port, element.port + 1}
                number = self._universe.number(element.ip)
                if number is not None:
                    ports.setdefault(number, set()).add(element.port)
        of = tuple((number, tuple(sorted(found))) for number, found in sorted(ports.items()))
        owners = self._universe.who(everyone.__contains__)
        if owners.machines:
            raise Doubt(f"the set {asked.name} holds ports of nodes")
        return NamedPorts(of, owners, frozenset(edges))

    def _pairs(self, known: HashSet, asked: SetMatch, net: Namespace) -> Pairs:
        """Return who talks to whom; whatever the port is, they are asked about one by one."""
        if known.spec.mask != _WHOLE or asked.directions[0] is asked.directions[2]:
            raise Doubt(f"addresses of the set {asked.name} are cut, or of one end")
        found: set[frozenset[int]] = set()
        for each in known.listed(net.now):
            addresses = each.element.ip, each.element.ip2
            if any(self._universe.between(address, address).machines for address in addresses):
                raise Doubt(f"the set {asked.name} holds ports of nodes")
            pods = [number for ip in addresses if (number := self._universe.number(ip)) is not None]
            if len(pods) == len(addresses):
                found.add(frozenset(pods))
        return Pairs(frozenset(found))
