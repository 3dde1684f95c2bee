# SPDX-License-Identifier: GPL-2.0-only
"""The five hooks of IPv4, where netfilter sits on a packet's way.

    in --> PREROUTING --> route --> FORWARD ------------+--> POSTROUTING --> out
                            |                           |
                          INPUT --> sockets --> OUTPUT --+

No table is registered at a hook yet, so every packet passes.

Source: include/uapi/linux/netfilter.h, net/ipv4/ip_input.c, ip_forward.c, ip_output.c.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.skb import Skb


class Hook(enum.Enum):
    """Where on the way; the value is the kernel's number."""

    PREROUTING = 0
    INPUT = 1
    FORWARD = 2
    OUTPUT = 3
    POSTROUTING = 4


def passes(net: Namespace, hook: Hook, skb: Skb, *, oif: str = "") -> bool:
    """Return whether `skb` goes on behind `hook`.

    Args:
        net: the namespace it is in.
        hook: the place.
        skb: the packet; rules may rewrite it and its metadata.
        oif: the device it is about to leave by, empty where that is not known.
    """
    if net.recorder is not None:
        net.note(skb, hook.name, f"no rules{f', out {oif}' if oif else ''}")
    return True
