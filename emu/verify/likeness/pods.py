# SPDX-License-Identifier: GPL-2.0-only
"""What a pod is like in itself: its device, its settings, its routes, who answers there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.hooks import Hook
from emu.kernel.nud import Nud
from emu.verify.likeness import ways
from emu.verify.likeness.doubt import Doubt
from emu.verify.likeness.listening import answering

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from emu.kernel.namespace import Namespace
    from emu.verify.likeness.nodes import Node
    from emu.verify.likeness.plan import Home, Plan
    from emu.verify.likeness.settings import Settings
    from emu.wire.addresses import IpAddress

_SETTLED: Final = frozenset((Nud.REACHABLE, Nud.STALE, Nud.DELAY, Nud.PROBE))
_ITSELF: Final = "itself"


def text(home: Home, plan: Plan, node: Node, protocol: int, settings: Settings) -> Hashable:
    """Return what a pod is like, as a value that can be compared.

    Args:
        home: the pod.
        plan: who is where.
        node: its node.
        protocol: that is asked by.
        settings: who tells settings.

    Raises:
        Doubt: something in it is not understood.
    """
    net = home.net
    _check(home, plan)
    name = node.caller(node)

    def call(address: IpAddress) -> Hashable:
        return _ITSELF if address == home.address else name(address)

    number = plan.universe.index[net.name]
    device = home.device
    addresses = [
        (call(each.address), each.prefix.length, each.scope, each.secondary) for each in device.addresses
    ]
    return (
        settings.of_namespace(net),
        device.name,
        settings.of_device(net, device),
        tuple(addresses),
        ways.routes(net, home.node.name, number, plan.universe, call),
        answering(plan.fabric, net, protocol, call),
    )


def _check(home: Home, plan: Plan) -> None:
    """Check that a pod has nothing that could tell others apart.

    Raises:
        Doubt: it has.
    """
    net = home.net
    netfilter = net.used_netfilter
    if netfilter is not None and (netfilter.nft.tables or not all(map(netfilter.is_empty, Hook))):
        raise Doubt("it has rules of its own")
    for entry in net.used_neighbours or ():
        if entry.device == "lo":
            continue
        if entry.state not in _SETTLED or not _is_right(home, plan, entry.ip, bytes(entry.mac)):
            raise Doubt("it is wrong about its neighbours")


def _is_right(home: Home, plan: Plan, ip: IpAddress, mac: bytes) -> bool:
    """Return whether a MAC address is that of whoever has an IP address."""
    number = plan.universe.number(int(ip))
    if number is not None:
        return mac == plan.homes[plan.universe.places[number]].device.mac
    if home.port.port is None:
        return mac == home.port.mac
    return plan.macs.get(mac) == home.node.name and mac == home.port.port.bridge.mac


def acquainted(net: Namespace) -> Iterator[int]:
    """Yield the addresses, as numbers, with which a pod has connections."""
    for table in (vars(net).get("tcp"), vars(net).get("sctp")):
        for entry in () if table is None else table.entries():
            yield int.from_bytes(entry.key.remote, "big")
