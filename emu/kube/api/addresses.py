# SPDX-License-Identifier: GPL-2.0-only
"""Addresses that stand in objects as text, as values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.errors import AddressError
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.kube.api.objects import Node


def internal_address(node: Node) -> IpAddress | None:
    """Return a node's first InternalIP of IPv4, None if it has none."""
    for text in node.addresses("InternalIP"):
        try:
            found = IpAddress.parse(text)
        except AddressError:
            continue
        if found.family == 4:
            return found
    return None
