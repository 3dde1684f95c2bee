# SPDX-License-Identifier: GPL-2.0-only
"""A device that is always up and leads nowhere. Source: drivers/net/dummy.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.wire.frame import Frame


class Dummy:
    """The link of a dummy device, as made by `ip link add NAME type dummy`."""

    __slots__ = ()

    kind: ClassVar[str] = "dummy"

    def transmit(self, net: Namespace, device: Device, frame: Frame) -> None:
        """Swallow `frame`: counted as sent, never seen again, and no drop."""
        if net.recorder is not None:
            net.note(frame, "dummy", f"{device.name} swallows it")
