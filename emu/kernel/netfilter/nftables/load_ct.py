# SPDX-License-Identifier: GPL-2.0-only
"""What is known of a packet's connection. Source: net/netfilter/nft_ct.c `nft_ct_get_eval`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.conntrack.entry import CtInfo, Direction
from emu.kernel.netfilter.nftables.evaluation import NotModelledError

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kernel.netfilter.conntrack.entry import Connection
    from emu.kernel.netfilter.nftables.evaluation import Evaluation, Load
    from emu.kernel.netfilter.nftables.expressions import Ct

_STATES: Final = {
    CtInfo.ESTABLISHED: 2,
    CtInfo.RELATED: 4,
    CtInfo.NEW: 8,
    CtInfo.ESTABLISHED_REPLY: 2,
    CtInfo.RELATED_REPLY: 4,
}
_INVALID: Final = 1
_UNTRACKED: Final = 64
_IPV4: Final = 2
_MILLISECOND: Final = 1_000_000
_STATUS: Final = 0x7FFF
_DIRECTIONS: Final = {"original": Direction.ORIGINAL, "reply": Direction.REPLY}


def load_ct(ct: Ct) -> Load:
    """Return the function that reads `ct`.

    Raises:
        NotModelledError: it is not known here.
    """
    if ct.key == "state":
        return _state
    if ct.key == "direction":
        return _direction
    reader = (_DIRECTED if ct.direction else _PLAIN).get(ct.key)
    if reader is None:
        raise NotModelledError(f"ct {ct.key}")
    return reader(_DIRECTIONS.get(ct.direction, Direction.ORIGINAL))


def _state(evaluation: Evaluation) -> int:
    skb = evaluation.skb
    if skb.connection is not None:
        return _STATES[skb.ctinfo]
    return _UNTRACKED if skb.ctinfo is CtInfo.UNTRACKED else _INVALID


def _direction(evaluation: Evaluation) -> int | None:
    skb = evaluation.skb
    return None if skb.connection is None else int(skb.ctinfo.direction)


def _of(read: Callable[[Connection, Direction], int]) -> Callable[[Direction], Load]:
    """Return what makes a reader of the packet's connection; without one there is nothing to be read."""

    def bound(direction: Direction) -> Load:
        def reader(evaluation: Evaluation) -> int | None:
            connection = evaluation.skb.connection
            return None if connection is None else read(connection, direction)

        return reader

    return bound


def _number(address: bytes) -> int:
    return int.from_bytes(address, "big")


def _expiration(_direction: Direction) -> Load:
    def reader(evaluation: Evaluation) -> int | None:
        connection = evaluation.skb.connection
        if connection is None:
            return None
        left = connection.expires - evaluation.now if connection.is_confirmed else 0
        return max(0, left) // _MILLISECOND

    return reader


def _accounted(read: Callable[[Connection], int]) -> Load:
    """Return a reader of counters: they stay at zero unless `nf_conntrack_acct` is on."""

    def reader(evaluation: Evaluation) -> int | None:
        connection = evaluation.skb.connection
        if connection is None:
            return None
        counts = evaluation.packet.net.sysctl.number("net.netfilter.nf_conntrack_acct")
        return read(connection) if counts else 0

    return reader


def _average(octets: int, packets: int) -> int:
    return octets // packets if packets else 0


_PLAIN: Final[dict[str, Callable[[Direction], Load]]] = {
    "status": _of(lambda connection, _: int(connection.status) & _STATUS),
    "mark": _of(lambda connection, _: connection.mark),
    "expiration": _expiration,
    "l3proto": _of(lambda _connection, _: _IPV4),
    "protocol": _of(lambda connection, _: connection.protocol),
    "zone": _of(lambda connection, _: connection.zones[Direction.ORIGINAL]),
    "bytes": lambda _: _accounted(lambda connection: sum(connection.octets)),
    "packets": lambda _: _accounted(lambda connection: sum(connection.packets)),
    "avgpkt": lambda _: _accounted(
        lambda connection: _average(sum(connection.octets), sum(connection.packets))
    ),
}
_DIRECTED: Final[dict[str, Callable[[Direction], Load]]] = {
    "l3proto": _PLAIN["l3proto"],
    "ip saddr": _of(lambda connection, direction: _number(connection.tuples[direction].src)),
    "ip daddr": _of(lambda connection, direction: _number(connection.tuples[direction].dst)),
    "proto-src": _of(lambda connection, direction: connection.tuples[direction].sport),
    "proto-dst": _of(lambda connection, direction: connection.tuples[direction].dport),
    "zone": _of(lambda connection, direction: connection.zones[direction]),
    "bytes": lambda direction: _accounted(lambda connection: connection.octets[direction]),
    "packets": lambda direction: _accounted(lambda connection: connection.packets[direction]),
    "avgpkt": lambda direction: _accounted(
        lambda connection: _average(connection.octets[direction], connection.packets[direction])
    ),
}
