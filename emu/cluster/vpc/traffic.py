# SPDX-License-Identifier: GPL-2.0-only
"""What packets a rule of a security group or a network ACL is for, as documents say it.

{protocol: tcp, ports: [80, 30000-32767], from: 0.0.0.0/0}
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

from emu.cluster.vpc.spec import EVERYWHERE, AclRule, GroupRule, Traffic
from emu.document import SequenceNode
from emu.document.fields import Fields, Place, elements, integer, one_of
from emu.errors import AddressError, did_you_mean
from emu.wire import ipv4
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.cluster.vpc.spec import Who

T = TypeVar("T")

PROTOCOLS: Final = {
    "all": -1,
    "icmp": ipv4.ICMP,
    "ipip": 4,
    "tcp": ipv4.TCP,
    "udp": ipv4.UDP,
    "sctp": ipv4.SCTP,
}
"""By the names that documents may use, the numbers of IP; -1 for all of them."""

_WITH_PORTS: Final = (ipv4.TCP, ipv4.UDP, ipv4.SCTP)
_PORTS: Final = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
_MOST: Final = 65535
_MOST_NUMBER: Final = 32766  # the last is the one that denies all
_STEP: Final = 100  # numbers of rules that have none


def group_rule(direction: str, groups: tuple[str, ...]) -> Callable[[Place], GroupRule]:
    """Return a reader of the rules of a security group.

    Args:
        direction: `from` or `to`: the key that says who.
        groups: the names of the security groups that there are.
    """

    def who(place: Place) -> Who:
        return _who(place, groups)

    def read(place: Place) -> GroupRule:
        fields = Fields(place)
        traffic = _traffic(fields)
        found = fields.get(direction, lambda at: _one_or_more(at, who), (EVERYWHERE,))
        return fields.done(GroupRule(traffic, found))

    return read


def acl_rules(fields: Fields, key: str, direction: str) -> tuple[AclRule, ...]:
    """Read the rules of a network ACL, and return them in the order of their numbers."""
    found = fields.each(key, _acl_rule(direction))
    numbered = [
        AclRule(rule.number or _STEP * (index + 1), rule.allows, rule.traffic, rule.who, index)
        for index, rule in enumerate(found)
    ]
    seen: set[int] = set()
    for index, rule in enumerate(numbered):
        if rule.number in seen:
            fields.place.at(key).at(index).fault(f"a second rule {rule.number}")
        seen.add(rule.number)
    return tuple(sorted(numbered, key=lambda rule: rule.number))


def _acl_rule(direction: str) -> Callable[[Place], AclRule]:
    def read(place: Place) -> AclRule:
        fields = Fields(place)
        number = fields.get("rule", integer(1, _MOST_NUMBER), 0)
        action = fields.get("action", one_of("allow", "deny"), "allow")
        traffic = _traffic(fields)
        return fields.done(
            AclRule(number, action == "allow", traffic, fields.get(direction, _range, EVERYWHERE))
        )

    return read


def _traffic(fields: Fields) -> Traffic:
    protocol = fields.get("protocol", _protocol, -1)
    ports = fields.get("ports", lambda place: _one_or_more(place, port_range), ())
    if ports and protocol not in _WITH_PORTS:
        fields.place.at("ports").fault("has no meaning without protocol: tcp, udp or sctp")
    return Traffic(protocol, ports)


def _protocol(place: Place) -> int:
    """Read a protocol by its name or number."""
    if type(place.value) is int and 0 <= place.value <= 255:
        return place.value
    return PROTOCOLS.get(one_of(*PROTOCOLS)(place), -1)


def port_range(place: Place) -> tuple[int, int]:
    """Read a port or a range of them: `80`, `30000-32767`."""
    if type(place.value) is int and 0 <= place.value <= _MOST:
        return place.value, place.value
    found = _PORTS.fullmatch(place.value) if isinstance(place.value, str) else None
    low, high = (int(found[1]), int(found[2] or found[1])) if found is not None else (1, 0)
    if low > high or high > _MOST:
        place.wrong("a port, or a range like 30000-32767")
        return 0, 0
    return low, high


def _one_or_more(place: Place, read: Callable[[Place], T]) -> tuple[T, ...]:
    return elements(place, read) if isinstance(place.value, SequenceNode) else (read(place),)


def _who(place: Place, groups: tuple[str, ...]) -> Who:
    """Read addresses, or the name of a security group."""
    text = place.value if isinstance(place.value, str) else ""
    if text in groups:
        return text
    try:
        return Prefix.parse(text)
    except AddressError:
        hint = did_you_mean(text, groups)
        place.wrong(f"a range of addresses or a security group ({', '.join(groups)})", hint)
        return EVERYWHERE


def _range(place: Place) -> Prefix:
    """Read a range of addresses."""
    try:
        return Prefix.parse(place.value if isinstance(place.value, str) else "")
    except AddressError:
        place.wrong("a range of addresses, like 10.0.0.0/16")
        return EVERYWHERE
