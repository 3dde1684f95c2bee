# SPDX-License-Identifier: GPL-2.0-only
"""The connection table in the form in which two runs of one scenario can be compared.

What passes by itself, the time left of a connection, is replaced by the time
that it was counted from, as far as the time left tells: the least of those that
connections of its protocol begin with.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from emu.sim.time import SECOND
from emu.tools.conntrack import names
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from emu.kernel.netfilter.conntrack.entry import Connection
    from emu.kernel.netfilter.conntrack.tuples import Tuple
    from emu.sim.time import Instant

Row = dict[str, Any]
"""One entry: JSON's own types."""

_TUNNELS: Final = frozenset((4789, 8472))
"""The UDP ports of VXLAN: IANA's, and Linux's older one."""
_DRAWN: Final = frozenset(("sport", "dport", "id"))
_UNACKNOWLEDGED: Final = 300
_TCP: Final[Mapping[str, int]] = {
    "SYN_SENT": 120,
    "SYN_RECV": 60,
    "ESTABLISHED": 432_000,
    "FIN_WAIT": 120,
    "CLOSE_WAIT": 60,
    "LAST_ACK": 30,
    "TIME_WAIT": 120,
    "CLOSE": 10,
    "SYN_SENT2": 120,
}
_OTHERS: Final[Mapping[str, tuple[int, ...]]] = {"udp": (30, 120), "icmp": (30,)}
_GENERIC: Final = (600,)


def connections(
    entries: Iterable[Connection], now: Instant, *, known_ports: Collection[int] | None = None
) -> list[Row]:
    """Return the `entries` as they are now, in the order in which they compare.

    Args:
        entries: connections whose time is not over.
        now: the instant.
        known_ports: ports and ICMP identifiers that are not drawn at random, the
            others become `random`; None if none is drawn.
    """
    rows = [_row(connection, now, known_ports) for connection in entries]
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


def _row(connection: Connection, now: Instant, known_ports: Collection[int] | None) -> Row:
    row: Row = {"proto": names.protocol(connection.protocol)}
    state = names.state(connection)
    if state:
        row["state"] = state
    row["mark"] = connection.mark
    zone, reply_zone = connection.zones
    if zone and zone == reply_zone:
        row["zone"] = zone
    original, reply = (_tuple(tuple_, known_ports) for tuple_ in connection.tuples)
    if row["proto"] == "udp" and original["dport"] in _TUNNELS:
        original["sport"] = reply["dport"] = "tunnel"
    row["orig"], row["reply"] = original, reply
    row["flags"] = sorted(names.flags(connection))
    row["timeout"] = _nominal(row["proto"], state, max(connection.expires - now, 0) // SECOND)
    return row


def _tuple(tuple_: Tuple, known_ports: Collection[int] | None) -> Row:
    row: Row = {"src": str(IpAddress(tuple_.src)), "dst": str(IpAddress(tuple_.dst))}
    for name, value in names.identification(tuple_):
        is_drawn = known_ports is not None and name in _DRAWN and value not in known_ports
        if not name.endswith("key"):
            row[name] = "random" if is_drawn else value
    return row


def _nominal(protocol: str, state: str, left: int) -> int:
    """Return the least timeout that is not below the `left` seconds."""
    if protocol == "tcp":
        usual = [_TCP[state]] if state in _TCP else [*_TCP.values()]
        candidates: Iterable[int] = sorted({*usual, _UNACKNOWLEDGED})
    else:
        candidates = _OTHERS.get(protocol, _GENERIC)
    return next((each for each in candidates if left <= each), left)
