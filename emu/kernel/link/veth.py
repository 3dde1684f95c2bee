# SPDX-License-Identifier: GPL-2.0-only
"""One end of a virtual cable between two namespaces. Source: drivers/net/veth.c.

Which device is at the other end is the fabric's business; whether that one
takes the frame (it is up, the frame is no longer than its MTU allows) is
checked where it comes in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from emu.kernel.drops import DropReason
from emu.kernel.effects import Transmit
from emu.wire.ethernet import HEADER_LENGTH
from emu.wire.frame import Frame

if TYPE_CHECKING:
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace


class Veth:
    """The link of a veth device, as made by `ip link add NAME type veth peer name PEER`."""

    __slots__ = ()

    kind: ClassVar[str] = "veth"

    def transmit(self, net: Namespace, device: Device, frame: Frame) -> None:
        """Put `frame` on the cable."""
        if len(frame.octets) < HEADER_LENGTH:
            device.counters.tx_dropped += 1
            net.drop(frame, DropReason.NOT_SPECIFIED, "no whole Ethernet header", device.name)
            return
        if frame.metadata is not None:
            frame = Frame(frame.octets, frame.packet_id, frame.trail)
        net.emit(Transmit(device.name, frame))
