# SPDX-License-Identifier: GPL-2.0-only
"""What is plugged into what, line by line, in the shape in which mininet prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.cluster.emulation import Emulation
    from emu.kernel.namespace import Namespace


def nodes(emulation: Emulation) -> Iterator[str]:
    """Tell who has a network of his own."""
    yield "available nodes are:"
    yield " ".join(emulation.fabric.namespaces)


def net(emulation: Emulation) -> Iterator[str]:
    """Tell what each device is plugged into."""
    for space in emulation.fabric.namespaces.values():
        devices = [f"{name}:{_far(emulation, space, name)}" for name in _devices(space)]
        yield " ".join([space.name, *devices])


def links(emulation: Emulation) -> Iterator[str]:
    """Tell of each cable whether its ends have a carrier."""
    seen: set[tuple[str, str]] = set()
    for space in emulation.fabric.namespaces.values():
        for name in _devices(space):
            far = emulation.fabric.far_end(space, name)
            if far is None or (space.name, name) in seen:
                continue
            other, far_name = far
            seen.add((other.name, far_name))
            states = (_state(space, name), _state(other, far_name))
            yield f"{space.name}-{name}<->{other.name}-{far_name} ({' '.join(states)})"


def intfs(emulation: Emulation) -> Iterator[str]:
    """Tell who has which devices."""
    for space in emulation.fabric.namespaces.values():
        yield f"{space.name}: {','.join(space.devices)}"


def dump(emulation: Emulation) -> Iterator[str]:
    """Tell which device has which address."""
    for space in emulation.fabric.namespaces.values():
        addresses = [
            f"{name}:{next(iter(map(str, device.addresses)), None)}"
            for name, device in space.devices.items()
            if name != "lo"
        ]
        yield f"<{space.name}: {','.join(addresses)}>"


def _devices(space: Namespace) -> list[str]:
    return [name for name in space.devices if name != "lo"]


def _far(emulation: Emulation, space: Namespace, name: str) -> str:
    far = emulation.fabric.far_end(space, name)
    return "" if far is None else f"{far[0].name}-{far[1]}"


def _state(space: Namespace, name: str) -> str:
    device = space.devices[name]
    return "OK" if device.is_running else "DOWN"
