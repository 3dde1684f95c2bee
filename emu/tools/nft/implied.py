# SPDX-License-Identifier: GPL-2.0-only
"""Conditions that need not be said, because what stands behind them asks for them anyway.

`meta l4proto tcp tcp dport 80` is listed as `tcp dport 80`: whoever reads that
adds the first part again. Where something else than a condition stands between
the two, both are listed.

Source: nftables, src/payload.c (`payload_dependency_kill`), src/netlink_delinearize.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.nftables import expressions as ex
from emu.kernel.netfilter.nftables import statements as st
from emu.kernel.netfilter.nftables.payload import TRANSPORT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NETWORK: Final = {"ip": (2, 0x0800), "ip6": (10, 0x86DD)}
_NETWORK_OF: Final = {"icmp": "ip", "icmpv6": "ip6"}
_LEAVES: Final = (int, str, ex.Members, type(None))
_OF_ONE_FAMILY: Final = ("ip", "ip6")


def hidden(statements: Sequence[st.Statement], family: str) -> set[int]:
    """Return the places of the statements that are not listed."""
    found: set[int] = set()
    network: int | None = None
    transport: int | None = None
    for at, statement in enumerate(statements):
        for protocol in _asked(statement, family):
            above = _NETWORK_OF.get(protocol, protocol)
            if network is not None and above in _NETWORK and _value(statements[network]) in _NETWORK[above]:
                found.add(network)
                network = None
            if transport is not None and _value(statements[transport]) == TRANSPORT.get(protocol, -1):
                found.add(transport)
                transport = None
        if not isinstance(statement, st.Match):
            network = transport = None
        elif isinstance(_value(statement), int):
            network = at if _names_network(statement, family) else network
            transport = at if _names_transport(statement, family) else transport
    return found


def _value(statement: st.Statement) -> object:
    return statement.right if isinstance(statement, st.Match) and statement.operator == "==" else None


def _names_network(match: st.Match, family: str) -> bool:
    if family == "inet":
        return match.left == ex.Meta("nfproto")
    return family not in _OF_ONE_FAMILY and match.left == ex.Meta("protocol")


def _names_transport(match: st.Match, family: str) -> bool:
    if match.left == ex.Meta("l4proto"):
        return True
    return family in _OF_ONE_FAMILY and match.left in (
        ex.Payload("ip", "protocol"),
        ex.Payload("ip6", "nexthdr"),
    )


def _asked(statement: st.Statement, family: str) -> Iterator[str]:
    """Yield the protocols that a statement needs."""
    if isinstance(statement, st.Reject):
        if statement.kind == "tcp":
            yield from {"inet": ("ip", "ip6")}.get(family, ("tcp",) if family in _OF_ONE_FAMILY else ())
        elif statement.kind in _NETWORK_OF:
            yield {"icmp": "ip", "icmpv6": "ip6"}[statement.kind]
        return
    yield from _inside(statement)


def _inside(value: object) -> Iterator[str]:
    if isinstance(value, ex.Payload):
        yield value.protocol
    elif isinstance(value, ex.TcpOption):
        yield "tcp"
    elif isinstance(value, tuple):
        for part in value:
            yield from _inside(part)
    elif not isinstance(value, _LEAVES):
        for name in getattr(type(value), "__match_args__", ()):
            yield from _inside(getattr(value, name))
