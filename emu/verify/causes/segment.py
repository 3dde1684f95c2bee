# SPDX-License-Identifier: GPL-2.0-only
"""Who is on one link: the devices that a broadcast frame gets to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel.link.bridge import Bridge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.cluster.emulation import Emulation
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace


def neighbours(network: Emulation, net: Namespace, device: str) -> list[tuple[Namespace, Device]]:
    """Return the devices on the link of `device`, itself first; cables and bridges count, tunnels do not."""
    found: dict[tuple[str, str], tuple[Namespace, Device]] = {}
    todo = [(net, device)]
    while todo:
        here, name = todo.pop()
        if (here.name, name) in found or name not in here.devices:
            continue
        found[here.name, name] = here, here.devices[name]
        todo += _next(network, here, here.devices[name])
    return list(found.values())


def _next(network: Emulation, net: Namespace, device: Device) -> Iterator[tuple[Namespace, str]]:
    far = network.fabric.far_end(net, device.name)
    if far is not None:
        yield far
    if device.port is not None:
        yield net, device.port.bridge.name
    if isinstance(device.link, Bridge):
        for port in device.link.ports:
            yield net, port.name
