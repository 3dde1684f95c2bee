# SPDX-License-Identifier: GPL-2.0-only
"""Sets of addresses, as plugins and daemons keep them: `ipset create`, `add`, `del`, each `-exist`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.ipset.element import Element, Extensions
from emu.kernel.netfilter.ipset.hash import HashSet
from emu.kernel.netfilter.ipset.spec import SetSpec
from emu.kernel.netfilter.ipset.types import TYPES

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.wire.addresses import IpAddress

_SPEC: Final = SetSpec(TYPES["hash:ip"], 4)
_PLAIN: Final = Extensions()


def ensure(net: Namespace, name: str) -> None:
    """Make a set of IPv4 addresses unless it is there."""
    if net.netfilter.ipsets.get(name) is None:
        net.netfilter.ipsets.create(name, _SPEC)


def add(net: Namespace, name: str, address: IpAddress) -> None:
    """Have `address` in a set."""
    ensure(net, name)
    _find(net, name).put(_element(address), _PLAIN, net.now, exist=True)


def remove(net: Namespace, name: str, address: IpAddress) -> None:
    """Have `address` in a set no more; one that is not there, or a set that is not, is passed over."""
    if net.netfilter.ipsets.get(name) is not None:
        found = _find(net, name)
        if any(member.element == _element(address) for member in found.listed(net.now)):
            found.remove(_element(address), net.now)


def _find(net: Namespace, name: str) -> HashSet:
    found = net.netfilter.ipsets.find(name)
    assert isinstance(found, HashSet), "it was made so"
    return found


def _element(address: IpAddress) -> Element:
    return Element(ip=int(address))
