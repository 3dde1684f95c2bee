# SPDX-License-Identifier: GPL-2.0-only
"""Filters that look at frames as they come in: `tc filter add dev X ingress bpf ... action drop`.

They stand behind the taps and before all else, so a capture shows what they drop.

Source: net/core/dev.c `sch_handle_ingress`, net/sched/cls_bpf.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from emu.kernel.drops import DropReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.wire.frame import Frame


@attrs.frozen
class Guard:
    """A filter at the ingress of devices that have a cable.

    Attributes:
        refuses: tells of a frame's octets whether they are dropped.
        words: what it is, for who asks why.
        device: at which device; empty for all of them.
    """

    is_still: ClassVar[bool] = True

    refuses: Callable[[bytes], bool]
    words: str
    device: str = ""


def ends(net: Namespace, device: Device, frame: Frame) -> bool:
    """Drop `frame` if a guard refuses it, and return whether one does."""
    if device.link.kind != "veth":
        return False
    for guard in net.guards:
        if guard.device in {"", device.name} and guard.refuses(frame.octets):
            net.drop(frame, DropReason.TC_INGRESS, guard.words, device.name)
            return True
    return False
