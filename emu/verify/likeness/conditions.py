# SPDX-License-Identifier: GPL-2.0-only
"""What a rule asks, taken apart: who sends, to whom, which ports, and what has nothing to do with either."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel.netfilter.matches import addrtype, ip, iprange
from emu.kernel.netfilter.matches.comment import Comment
from emu.kernel.netfilter.matches.connmark import Connmark
from emu.kernel.netfilter.matches.conntrack import Conntrack, State
from emu.kernel.netfilter.matches.icmp import Icmp
from emu.kernel.netfilter.matches.length import Length
from emu.kernel.netfilter.matches.mark import Mark
from emu.kernel.netfilter.matches.multiport import Multiport, Side
from emu.kernel.netfilter.matches.nfacct import Accounting
from emu.kernel.netfilter.matches.owner import Owner
from emu.kernel.netfilter.matches.physdev import Physdev
from emu.kernel.netfilter.matches.pkttype import LinkType
from emu.kernel.netfilter.matches.rpfilter import ReversePath
from emu.kernel.netfilter.matches.sctp import Sctp
from emu.kernel.netfilter.matches.set import SetMatch
from emu.kernel.netfilter.matches.statistic import Random
from emu.kernel.netfilter.matches.tcp import Tcp
from emu.kernel.netfilter.matches.tcpmss import SegmentSize
from emu.kernel.netfilter.matches.tos import Dscp, Tos
from emu.kernel.netfilter.matches.ttl import Ttl
from emu.kernel.netfilter.matches.udp import Udp
from emu.kernel.netfilter.ruleset import UnknownMatch
from emu.verify.likeness.condition import SOURCE, TARGET, Condition, Named
from emu.verify.likeness.doubt import Doubt
from emu.verify.likeness.sets import NamedPorts, Pairs, PortNumbers
from emu.verify.likeness.universe import NOBODY, Extent
from emu.verify.likeness.ways import device_to

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.matches.ports import PortRange
    from emu.kernel.netfilter.ruleset import Match, Rule
    from emu.verify.likeness.packets import Ports
    from emu.verify.likeness.sets import Sets
    from emu.verify.likeness.universe import Universe

_PLAIN: Final = (
    State,
    Icmp,
    Length,
    Owner,
    LinkType,
    ReversePath,
    Random,
    SegmentSize,
    Dscp,
    Tos,
    Ttl,
    Connmark,
    ip.Fragment,
)
"""Matches that look at nothing that tells pods apart: for what `ReversePath` asks, see `hosts`."""

_HOST: Final = b"\xff" * 4
_LOCAL: Final = int(addrtype.AddressTypes.LOCAL)


class Place(NamedTuple):
    """Where rules stand.

    Attributes:
        net: the namespace.
        universe: who takes part.
        sets: who reads sets of addresses.
        ports: the devices that lead to pods, by name; of other pods than those asked about too.
        leads: who is reached by which device, once somebody has asked.
    """

    net: Namespace
    universe: Universe
    sets: Sets
    ports: frozenset[str]
    leads: dict[str, Extent]

    def leading(self) -> Mapping[str, Extent]:
        """Return who is reached by each device, by its name."""
        if not self.leads:
            self.leads.update(self.universe.grouped(partial(device_to, self.net)))
        return self.leads


def read(rule: Rule, place: Place) -> Condition:
    """Take a rule's conditions apart; what is not understood is no harm where the others cannot hold."""
    found = Condition()
    for match in rule.matches:
        try:
            _read(match, found, place)
        except Doubt as doubt:
            found.doubt = doubt
    return found


def _read(match: Match, found: Condition, place: Place) -> None:
    match match:
        case Comment(text):
            found.comment = text
        case Accounting():
            pass
        case ip.Source() | ip.Destination() | iprange.IpRange() | addrtype.AddressType() | SetMatch():
            _read_addresses(match, found, place)
        case ip.Protocol() | Mark() | Tcp() | Udp() | Sctp() | Multiport():
            _read_header(match, found)
        case ip.InInterface() | ip.OutInterface():
            _add_device(found, match, place)
        case Physdev():
            for port in (match.came_by, match.leaves_by):
                if port is not None:
                    check_device(port.name, place)
            _add_text(found, match)
        case Conntrack() if not match.addresses and match.expire is None:
            for each in match.ports:
                found.edges |= {each.first, each.last + 1}
            _add_text(found, match)
        case _ if isinstance(match, _PLAIN):
            _add_text(found, match)
        case _:
            name = match.name if isinstance(match, UnknownMatch) else type(match).__name__
            raise Doubt(f"a rule asks for {name}")


def _read_addresses(
    match: ip.Source | ip.Destination | iprange.IpRange | addrtype.AddressType | SetMatch,
    found: Condition,
    place: Place,
) -> None:
    universe = place.universe
    match match:
        case ip.Source(address, mask, inverted):
            _add_prefix(found, SOURCE, universe, (address, mask), inverted=inverted)
        case ip.Destination(address, mask, inverted):
            _add_prefix(found, TARGET, universe, (address, mask), inverted=inverted)
        case iprange.IpRange(source, destination):
            found.is_host = True
            for end, asked in ((SOURCE, source), (TARGET, destination)):
                if asked is not None:
                    extent = universe.between(_number(asked.first), _number(asked.last))
                    _add(found, end, universe, extent, inverted=asked.inverted)
        case addrtype.AddressType():
            _add_types(found, match, place)
        case SetMatch():
            _add_set(found, match, place)


def _read_header(match: ip.Protocol | Mark | Tcp | Udp | Sctp | Multiport, found: Condition) -> None:
    found.text.append(match)
    match match:
        case ip.Protocol():
            found.protocol = match
        case Mark():
            found.marks.append(match)
        case Multiport():
            _add_multiport(found, match)
        case _:
            _add_ports(found, match)


def _add_text(found: Condition, text: Hashable) -> None:
    found.text.append(text)
    found.asks_more = True


def _number(address: bytes) -> int:
    return int.from_bytes(address, "big")


def _add(found: Condition, end: str, universe: Universe, extent: Extent, *, inverted: bool) -> None:
    found.ends[end].append(universe.others(extent) if inverted else extent)


def _add_prefix(
    found: Condition, end: str, universe: Universe, asked: tuple[bytes, bytes], *, inverted: bool
) -> None:
    address, mask = asked
    if len(address) != len(_HOST):
        raise Doubt("a rule asks for an address of IPv6")
    found.is_host |= mask == _HOST
    _add(found, end, universe, universe.prefix(_number(address), _number(mask)), inverted=inverted)


def _add_types(found: Condition, asked: addrtype.AddressType, place: Place) -> None:
    """Ask the routing tables of what type each address is."""
    if asked.limit is not None:
        _add_types_on_device(found, asked, place)
        return
    sides = (
        (SOURCE, int(asked.source), asked.source_inverted),
        (TARGET, int(asked.destination), asked.destination_inverted),
    )
    for end, wanted, inverted in sides:
        if wanted:
            extent = place.universe.who(partial(_is_of_type, place.net, wanted))
            _add(found, end, place.universe, extent, inverted=inverted)


def _add_types_on_device(found: Condition, asked: addrtype.AddressType, place: Place) -> None:
    """Ask whether an address is one of the device's own: no other than one of the node can be."""
    own = place.universe.who(partial(_is_of_type, place.net, _LOCAL))
    for end, wanted, inverted in (
        (SOURCE, int(asked.source), asked.source_inverted),
        (TARGET, int(asked.destination), asked.destination_inverted),
    ):
        if wanted not in {0, _LOCAL}:
            raise Doubt("a rule asks for types of addresses on one device")
        if wanted and not inverted:
            _add(found, end, place.universe, own, inverted=False)
    _add_text(found, asked)


def _is_of_type(net: Namespace, wanted: int, number: int) -> bool:
    kind = net.fib.address_type(number.to_bytes(4, "big"))
    return bool(wanted & addrtype.AddressTypes[kind.name])


def _add_set(found: Condition, asked: SetMatch, place: Place) -> None:
    match place.sets.read(asked, place.net):
        case NamedPorts() as named:
            end, port = (each.value for each in asked.directions[:2])
            found.named.append(Named(end, port, named, asked.inverted))
            found.edges |= named.edges
            if not asked.inverted:
                found.ends[end].append(named.owners)
        case PortNumbers(numbers):
            _add_port_numbers(found, asked.directions[0].value, numbers, inverted=asked.inverted)
        case Pairs(pairs):
            if asked.inverted:
                raise Doubt(f"a rule asks who is not in the set {asked.name}")
            found.pairs = pairs if found.pairs is None else found.pairs & pairs
        case extent:
            found.is_host = True
            _add(found, asked.directions[0].value, place.universe, extent, inverted=asked.inverted)


def _add_port_numbers(found: Condition, end: str, numbers: Iterable[int], *, inverted: bool) -> None:
    ranges = tuple((number, number) for number in numbers)
    found.edges |= {edge for first, last in ranges for edge in (first, last + 1)}
    _add_text(found, (end, inverted, ranges))
    if inverted:
        return
    if end == SOURCE:
        found.sports = ranges
    else:
        found.dports = ranges


def _add_ports(found: Condition, match: Tcp | Udp | Sctp) -> None:
    for asked, is_source in ((match.source, True), (match.destination, False)):
        if asked is not None:
            found.edges |= {asked.low, asked.high + 1}
            if is_source:
                found.sports = _ranges(asked)
            else:
                found.dports = _ranges(asked)
    found.asks_more |= match != type(match)()


def _ranges(asked: PortRange) -> Ports:
    if not asked.inverted:
        return ((asked.low, asked.high),)
    return tuple(each for each in ((0, asked.low - 1), (asked.high + 1, 65535)) if each[0] <= each[1])


def _add_multiport(found: Condition, match: Multiport) -> None:
    found.asks_more = True
    for first, last in match.ranges:
        found.edges |= {first, last + 1}
    if match.inverted or match.side is Side.EITHER:
        return
    ranges = _merged(match.ranges)
    if match.side is Side.SOURCE:
        found.sports = ranges
    else:
        found.dports = ranges


def _merged(ranges: Iterable[tuple[int, int]]) -> Ports:
    return tuple(sorted(ranges))


def _add_device(found: Condition, match: ip.InInterface | ip.OutInterface, place: Place) -> None:
    """Ask by which device packets come or leave.

    They leave by the device of the route to their target. Those of a pod with a cable of
    its own, in no bridge, come by it, and those of nobody else do.
    """
    devices = place.net.devices
    meant = [name for name in devices if ip.matches_name(name, match.name)]
    is_source = isinstance(match, ip.InInterface)
    if is_source and not all(name in place.ports and devices[name].port is None for name in meant):
        check_device(match.name, place)
        _add_text(found, match)
        return
    leading = place.leading()
    pods, machines = 0, frozenset[int]()
    for name in meant:
        extent = leading.get(name, NOBODY)
        pods, machines = pods | extent.pods, machines | extent.machines
    found.is_host |= len(meant) == 1 and not match.name.endswith("+")
    extent = Extent(pods) if is_source else Extent(pods, machines)
    _add(found, SOURCE if is_source else TARGET, place.universe, extent, inverted=match.inverted)


def check_device(pattern: str, place: Place) -> None:
    """Check that a name means the devices of all pods, or of none."""
    meant = [ip.matches_name(name, pattern) for name in place.ports]
    if any(meant) and not all(meant):
        raise Doubt(f"a rule asks for the device {pattern} of a pod")
