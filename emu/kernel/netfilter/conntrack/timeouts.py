# SPDX-License-Identifier: GPL-2.0-only
"""When a connection is forgotten. Source: net/netfilter/nf_conntrack_core.c `__nf_ct_refresh_acct`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.conntrack.entry import Status
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.conntrack.entry import Connection
    from emu.sim.time import Duration

_FIXED: Final = Status.FIXED_TIMEOUT


def timeout(net: Namespace, sysctl: str) -> Duration:
    """Return the time that `sysctl`, in seconds, lays down."""
    return net.sysctl.number(sysctl) * SECOND


def refresh(net: Namespace, connection: Connection, lifetime: Duration) -> None:
    """Have `connection` forgotten `lifetime` from now, if its end is not fixed."""
    if not connection.status & _FIXED:
        connection.refresh(net.now, lifetime)
