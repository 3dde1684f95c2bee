# SPDX-License-Identifier: GPL-2.0-only
"""What `ip tunnel` prints of a tunnel.

Source: iproute2 6.1, ip/iptunnel.c `print_tunnel`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel.link.ipip import FALLBACK
from emu.tools.ip.record import Record

if TYPE_CHECKING:
    from emu.kernel.link.device import Device
    from emu.kernel.link.ipip import Ipip


def tunnel_record(device: Device, link: Ipip) -> Record:
    """Return the line of an IPIP device."""
    record = Record()
    mode = "any/ip" if device.name == FALLBACK else "ip/ip"
    record.put("ifname", device.name, f"{device.name}: ")
    record.put("mode", mode, f"{mode} ")
    remote = "any" if link.remote.is_unspecified else link.remote
    local = "any" if link.local.is_unspecified else link.local
    record.put("remote", str(link.remote), f"remote {remote} ")
    record.put("local", str(link.local), f"local {local}")
    if link.device:
        record.put("link", link.device, f" dev {link.device}")
    if link.ttl:
        record.put("ttl", link.ttl, f" ttl {link.ttl}")
    else:
        record.show(" ttl inherit")
    if link.tos_inherit:
        record.put("tos", "inherit", " tos inherit")
    elif link.tos:
        record.put("tos", f"{link.tos:#x}", f" tos {link.tos:#x}")
    if not link.pmtudisc:
        record.put("nopmtudisc", None, " nopmtudisc")
    record.show("\n")
    return record
