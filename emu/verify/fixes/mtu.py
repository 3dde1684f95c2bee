# SPDX-License-Identifier: GPL-2.0-only
"""Packets that are too big for a hop: smaller ones from the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.verify.fixes.documents import network_option
from emu.verify.fixes.fix import Proposal
from emu.verify.fixes.remedy import Command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.verify.fixes.case import Case

_LEAST: Final = 1280
_CLAMP: Final = ("-p", "tcp", "--tcp-flags", "SYN,RST", "SYN", "-j", "TCPMSS", "--clamp-mss-to-pmtu")
_WITH_MTU: Final = frozenset(("kubenet", "kindnet", "flannel"))


def send_smaller_packets(case: Case) -> Iterator[Proposal]:
    """Give pods the MTU of the smallest hop; or have TCP agree on smaller segments."""
    smallest = _smallest(case)
    cluster = case.cluster
    if cluster is not None and smallest is not None:
        provider = cluster.topology.cluster.network.provider
        if provider in _WITH_MTU:
            words = f"a hop on the way takes {smallest} octets at most: tell {provider}"
            yield Proposal(words, (network_option(cluster, "mtu", smallest),))
    if smallest is not None:
        source = case.verdict.source.namespace
        net = case.network.fabric.namespaces.get(source)
        devices = [name for name, each in net.devices.items() if not each.is_loopback] if net else []
        for device in devices[:1]:
            words = f"a hop on the way takes {smallest} octets at most: send no more from {source}"
            argv = ("ip", "link", "set", "dev", device, "mtu", str(smallest))
            yield Proposal(words, (Command(case.host(source), argv),))
    if case.protocol == "TCP":
        for place in [name for name in case.passed if name.startswith("node/")][:1] or [case.cause.net]:
            words = f"segments are too big for a hop behind {place}: have it clamp what both sides agree on"
            clamp = ("iptables", "-t", "mangle", "-A", "FORWARD", *_CLAMP)
            yield Proposal(words, (Command(case.host(place), clamp),))


def _smallest(case: Case) -> int | None:
    """Return the least MTU of the devices and cables that the packets passed, None if all have the same."""
    found: set[int] = set()
    fabric = case.network.fabric
    for hop in case.outcome.story.hops():
        net = fabric.namespaces.get(hop.told.step.net)
        device = None if net is None else net.devices.get(hop.device)
        if net is not None and device is not None and not device.is_loopback:
            found.add(device.mtu)
            cable = fabric.cable(net, device.name)
            if cable is not None and cable.mtu:
                found.add(cable.mtu)
    return max(min(found), _LEAST) if len(found) > 1 else None
