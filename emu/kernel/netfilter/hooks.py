# SPDX-License-Identifier: GPL-2.0-only
"""The five hooks of IPv4, where netfilter sits on a packet's way.

    in --> PREROUTING --> route --> FORWARD ------------+--> POSTROUTING --> out
                            |                           |
                          INPUT --> sockets --> OUTPUT --+

At each hook stand functions in the order of their priorities (`Priority`): the
chains of tables, connection tracking, NAT. Each may change the packet, and the
first that does not accept it ends the walk.

Source: include/uapi/linux/netfilter.h, netfilter_ipv4.h, net/netfilter/core.c.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.skb import Skb


class Hook(enum.IntEnum):
    """Where on the way; the value is the kernel's number."""

    PREROUTING = 0
    INPUT = 1
    FORWARD = 2
    OUTPUT = 3
    POSTROUTING = 4


class Priority(enum.IntEnum):
    """The order at a hook, least first (`enum nf_ip_hook_priorities`)."""

    CONNTRACK_DEFRAG = -400
    RAW = -300
    CONNTRACK = -200
    MANGLE = -150
    NAT_DST = -100
    FILTER = 0
    SECURITY = 50
    NAT_SRC = 100
    CONNTRACK_CONFIRM = (1 << 31) - 1


def passes(
    net: Namespace,
    hook: Hook,
    skb: Skb,
    in_device: Device | None = None,
    out_device: Device | None = None,
) -> bool:
    """Return whether `skb` goes on behind `hook`; if not, it has ended, or somebody keeps it.

    Args:
        net: the namespace it is in.
        hook: the place.
        skb: the packet; rules may rewrite it, its metadata and its route.
        in_device: what rules know as `-i`.
        out_device: what rules know as `-o`.
    """
    netfilter = net.used_netfilter
    if net.recorder is not None:
        words = ["no rules"] if netfilter is None or netfilter.is_empty(hook) else []
        if out_device is not None:
            words.append(f"out {out_device.name}")
        net.note(skb, hook.name, ", ".join(words))
    return netfilter is None or netfilter.passes(hook, skb, in_device, out_device)
