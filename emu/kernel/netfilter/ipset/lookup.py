# SPDX-License-Identifier: GPL-2.0-only
"""Sets asked and changed by rules: the element that a packet makes, and what becomes of it.

Each dimension of a set's type is taken from the packet's source or destination, as
the rule says; a rule that names fewer directions than the type has dimensions
matches nothing, further directions do not count. Source: the functions `..._kadt`,
ip_set_getport.c, and `ip_set_test`, `ip_set_add`, `ip_set_del` in ip_set_core.c.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.ipset.base import Answer, Question, fits
from emu.kernel.netfilter.ipset.element import Element
from emu.kernel.netfilter.ipset.errors import IpSetError
from emu.kernel.netfilter.ipset.listset import ListSet
from emu.kernel.netfilter.ipset.spec import prefix_mask
from emu.kernel.netfilter.ipset.types import Method, Part
from emu.kernel.skb import PacketType
from emu.wire.addresses import BROADCAST_MAC
from emu.wire.ipv4 import OFFSET_MASK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emu.kernel.netfilter.ipset.bitmap import BitmapSet
    from emu.kernel.netfilter.ipset.element import Extensions
    from emu.kernel.netfilter.ipset.hash import HashSet
    from emu.kernel.netfilter.ipset.sets import IpSet, IpSets
    from emu.kernel.netfilter.ipset.spec import SetSpec
    from emu.kernel.netfilter.packet import Packet

_ICMP: Final = 1
_TCP: Final = 6
_UDP: Final = 17
_HEADERS: Final = {_ICMP: 8, _TCP: 20, _UDP: 8, 132: 12, 136: 8}
"""Octets that have to be there of TCP, UDP, SCTP, UDP-Lite and ICMP for a port to be read."""


class Direction(enum.Enum):
    """Which end of a packet a dimension is taken from."""

    SRC = "src"
    DST = "dst"


_SRC: Final = Direction.SRC


def contains(
    sets: IpSets,
    name: str,
    packet: Packet,
    directions: Sequence[Direction],
    question: Question,
    *,
    return_nomatch: bool,
) -> bool:
    """Return whether `packet` is in the set `name`; not, if there is no such set.

    Args:
        sets: the namespace's sets.
        name: of one of them.
        packet: what asks.
        directions: one for each dimension of the set's type.
        question: what else is asked of the element, which it then has.
        return_nomatch: elements with `nomatch` are in it, and no others.
    """
    known = sets.get(name)
    if known is None or not _is_for(known.spec, packet, directions):
        return False
    if isinstance(known, ListSet):
        return _test_list(sets, known, packet, directions, question, return_nomatch=return_nomatch)
    element = _element(known.spec, packet, directions)
    if element is None:
        return False
    answer = known.find(element, question)
    if return_nomatch and known.spec.type.nets:
        return answer is Answer.NOMATCH
    return answer is Answer.IN


def _test_list(
    sets: IpSets,
    known: ListSet,
    packet: Packet,
    directions: Sequence[Direction],
    question: Question,
    *,
    return_nomatch: bool,
) -> bool:
    """Ask the sets of a list one by one; counters are compared with the list's alone."""
    below = Question(question.now, question.size, counts=question.counts and question.counts_below)
    for member in known.listed(question.now):
        name = member.element.iface
        if contains(sets, name, packet, directions, below, return_nomatch=return_nomatch) and fits(
            known.spec, member, question
        ):
            if not known.spec.skbinfo:
                question.found = below.found
            return True
    return False


def add(
    sets: IpSets,
    name: str,
    packet: Packet,
    directions: Sequence[Direction],
    extensions: Extensions,
    *,
    exist: bool,
) -> bool:
    """Add what `packet` makes to the set `name`, or to the first set of a list that takes it.

    Returns:
        whether it has been added.
    """
    now = packet.net.now
    return _change(
        sets,
        name,
        packet,
        directions,
        lambda known, element: known.put(element, extensions, now, exist=exist),
    )


def delete(sets: IpSets, name: str, packet: Packet, directions: Sequence[Direction]) -> bool:
    """Delete what `packet` makes from the set `name`, or from the first set of a list that has it.

    Returns:
        whether it has been deleted.
    """
    now = packet.net.now
    return _change(sets, name, packet, directions, lambda known, element: known.remove(element, now))


def _change(
    sets: IpSets,
    name: str,
    packet: Packet,
    directions: Sequence[Direction],
    change: Callable[[HashSet | BitmapSet, Element], object],
) -> bool:
    """Change the set `name` by what `packet` makes, or the first set of a list that takes that."""
    known = sets.get(name)
    if known is None or not _is_for(known.spec, packet, directions):
        return False
    if isinstance(known, ListSet):
        below = [member.element.iface for member in known.listed(packet.net.now)]
        return any(_change(sets, one, packet, directions, change) for one in below)
    element = _stored(known, packet, directions)
    if element is None:
        return False
    try:
        change(known, element)
    except IpSetError:
        return False
    return True


def _is_for(spec: SetSpec, packet: Packet, directions: Sequence[Direction]) -> bool:
    is_family = spec.family in {0, 4 if len(packet.skb.header.src) == 4 else 6}
    return is_family and len(directions) >= len(spec.type.parts)


# --- the element of a packet ---


def _stored(known: IpSet, packet: Packet, directions: Sequence[Direction]) -> Element | None:
    """Return the element as it is added or deleted: networks as long as the set's longest."""
    if isinstance(known, ListSet):
        return None
    element = _element(known.spec, packet, directions)
    if element is None or not known.spec.type.nets:
        return element
    lengths = list(known.longest)
    bits, parts = known.spec.bits, known.spec.type.parts
    if parts[0] is Part.NET:
        length = lengths.pop(0)
        element = element._replace(ip=element.ip & prefix_mask(length, bits), cidr=length)
    if parts[-1] is Part.NET and len(parts) > 1:
        length = lengths.pop(0)
        element = element._replace(ip2=element.ip2 & prefix_mask(length, bits), cidr2=length)
    return element


def _element(spec: SetSpec, packet: Packet, directions: Sequence[Direction]) -> Element | None:
    """Return what `packet` is in a set of `spec`: single addresses; None if it is nothing there."""
    parts = spec.type.parts
    addresses = []
    protocol, port, iface, mac = 0, 0, "", b""
    for part, direction in zip(parts, directions, strict=False):
        if part is Part.IP or part is Part.NET:
            addresses.append((_address(packet, direction), spec.bits if part is Part.NET else 0))
        elif part is Part.PORT:
            found = _port(packet, direction)
            if found is None:
                return None
            protocol, port = found
        elif part is Part.IFACE:
            iface = packet.iif if direction is _SRC else packet.oif
            if not iface:
                return None
        else:
            mac = _mac(packet, direction)
            if not any(mac):
                return None
    if parts == (Part.PORT,):
        return Element(port=port) if protocol in {_TCP, _UDP} else None
    ip, cidr = addresses[0] if addresses else (0, 0)
    ip2, cidr2 = addresses[1] if len(addresses) > 1 else (0, 0)
    if parts[0] is Part.IP and spec.type.takes_masks:
        ip &= spec.mask
        if ip == 0 and spec.type.method is Method.HASH:
            return None
    return Element(ip, cidr, protocol, port, ip2, cidr2, False, iface, mac)


def _address(packet: Packet, direction: Direction) -> int:
    header = packet.skb.header
    return int.from_bytes(header.src if direction is _SRC else header.dst, "big")


def _port(packet: Packet, direction: Direction) -> tuple[int, int] | None:
    """Return the protocol and the port, 0 where there are none; None where it cannot be read."""
    header, octets = packet.skb.header, packet.skb.packet
    protocol = header.protocol
    needed = _HEADERS.get(protocol)
    if protocol == 0:
        return None
    if needed is None:
        return protocol, 0
    at = (header.version_ihl & 15) * 4
    if header.fragment & OFFSET_MASK or len(octets) < at + needed:
        return None
    if protocol != _ICMP and direction is not _SRC:
        at += 2
    return protocol, octets[at] << 8 | octets[at + 1]


def _mac(packet: Packet, direction: Direction) -> bytes:
    """Return an address of the frame the packet came in, empty for a packet of this host.

    Of a frame that was for nobody here the destination is not known.
    """
    skb = packet.skb
    if not skb.src_mac or direction is _SRC:
        return skb.src_mac
    if skb.packet_type is PacketType.BROADCAST:
        return BROADCAST_MAC
    if skb.packet_type is PacketType.HOST and skb.device is not None:
        return skb.device.mac
    return b""
