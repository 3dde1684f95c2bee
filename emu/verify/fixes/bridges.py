# SPDX-License-Identifier: GPL-2.0-only
"""Bridges that do not give a frame back by the port it came in on: hairpin mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.link.bridge import Bridge
from emu.verify.fixes.documents import network_option
from emu.verify.fixes.fix import Proposal
from emu.verify.fixes.remedy import Command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.verify.fixes.case import Case

_HAIRPIN: Final = (("hairpin", False, True), ("hairpinMode", "none", "hairpin-veth"))
"""The options of providers: their names, off and on."""


def give_back_on_the_port(case: Case) -> Iterator[Proposal]:
    """Switch hairpin mode on: by the provider's setting if that is what keeps it off, else on the port."""
    yield from _by_the_provider(case)
    port = _port(case)
    if port is not None:
        net, device = port
        words = f"{net} gives no frame back by the port it came from, {device}: switch hairpin on"
        argv = ("bridge", "link", "set", "dev", device, "hairpin", "on")
        yield Proposal(words, (Command(case.host(net), argv),))


def _by_the_provider(case: Case) -> Iterator[Proposal]:
    if case.cluster is None:
        return
    network = case.cluster.topology.cluster.network
    for option, off, on in _HAIRPIN:
        if network.options.get(option) == off:
            words = f"{network.provider} attaches pods without hairpin mode: switch it on"
            yield Proposal(words, (network_option(case.cluster, option, on),))


def _port(case: Case) -> tuple[str, str] | None:
    """Return the bridge's port that leads to who asks, with its namespace."""
    fabric = case.network.fabric
    source = fabric.namespaces.get(case.verdict.source.namespace)
    for device in () if source is None else source.devices:
        far = fabric.far_end(source, device) if source is not None else None
        if far is None:
            continue
        net, name = far
        bridges = (each.link for each in net.devices.values() if isinstance(each.link, Bridge))
        if any(port.device.name == name for bridge in bridges for port in bridge.ports):
            return net.name, name
    return None
