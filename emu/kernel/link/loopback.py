# SPDX-License-Identifier: GPL-2.0-only
"""The loopback device: what is sent comes in again. Source: drivers/net/loopback.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from emu.kernel.effects import Backlog

if TYPE_CHECKING:
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.wire.frame import Frame


class Loopback:
    """The link of `lo`, there in every namespace."""

    __slots__ = ()

    kind: ClassVar[str] = ""

    def transmit(self, net: Namespace, device: Device, frame: Frame) -> None:
        """Have `frame` received on the device itself, after what is queued already."""
        net.emit(Backlog(device.name, frame))
