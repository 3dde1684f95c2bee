# SPDX-License-Identifier: GPL-2.0-only
"""Numbers that iproute2 shows by name: `/etc/iproute2/rt_tables`, `rt_protos`, `rt_scopes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.route import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping

TABLES: Final[Mapping[str, int]] = {"unspec": 0, "default": 253, "main": 254, "local": 255}
PROTOCOLS: Final[Mapping[str, int]] = {
    "unspec": 0,
    "redirect": 1,
    "kernel": 2,
    "boot": 3,
    "static": 4,
    "gated": 8,
    "ra": 9,
    "mrt": 10,
    "zebra": 11,
    "bird": 12,
    "dnrouted": 13,
    "xorp": 14,
    "ntk": 15,
    "dhcp": 16,
    "keepalived": 18,
    "babel": 42,
    "openr": 99,
    "bgp": 186,
    "isis": 187,
    "ospf": 188,
    "rip": 189,
    "eigrp": 192,
}
SCOPES: Final[Mapping[str, Scope]] = {scope.name.lower(): scope for scope in Scope}


def name_of(number: int, names: Mapping[str, int]) -> str:
    """Return the name of `number`, or the number itself if it has none."""
    return next((name for name, value in names.items() if value == number), str(number))
