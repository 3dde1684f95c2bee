# SPDX-License-Identifier: GPL-2.0-only
"""How namespaces between the nodes are called: `KIND/NAME`, and `router` for the one of the default."""

from __future__ import annotations

from typing import Final

KINDS: Final = frozenset(("switch", "router", "vpc", "lb"))
"""What stands between machines: what comes before the slash, or the whole name."""


def is_underlay(net: str) -> bool:
    """Return whether the namespace called `net` stands between machines, and is none itself."""
    return net.partition("/")[0] in KINDS
