# SPDX-License-Identifier: GPL-2.0-only
"""Ports of containers, by number or name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kube.api.numbers import whole

if TYPE_CHECKING:
    from emu.kube.api.objects.container import Container


def port_number(port: int | str, container: Container) -> int:
    """Return the port of a probe or hook; a name is one of the container's own; 0 if there is none."""
    if isinstance(port, int):
        return port
    named = (each.container_port for each in container.ports if each.name == port)
    number = whole(port)
    return next(named, 0) if number is None else number
