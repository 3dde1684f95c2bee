# SPDX-License-Identifier: GPL-2.0-only
"""Protocols and ICMP messages by their names. Source: ipset's lib/icmp.c, lib/icmpv6.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.tools.protocols import PROTOCOLS, TCP_SERVICES, UDP_SERVICES

if TYPE_CHECKING:
    from collections.abc import Mapping

NUMBERS: Final = {**PROTOCOLS, "icmpv6": 58}
"""Protocol numbers by any name that is read."""

ICMP: Final = {
    "echo-reply": 0x0000,
    "network-unreachable": 0x0300,
    "host-unreachable": 0x0301,
    "protocol-unreachable": 0x0302,
    "port-unreachable": 0x0303,
    "fragmentation-needed": 0x0304,
    "source-route-failed": 0x0305,
    "network-unknown": 0x0306,
    "host-unknown": 0x0307,
    "network-prohibited": 0x0309,
    "host-prohibited": 0x030A,
    "TOS-network-unreachable": 0x030B,
    "TOS-host-unreachable": 0x030C,
    "communication-prohibited": 0x030D,
    "host-precedence-violation": 0x030E,
    "precedence-cutoff": 0x030F,
    "source-quench": 0x0400,
    "network-redirect": 0x0500,
    "host-redirect": 0x0501,
    "TOS-network-redirect": 0x0502,
    "TOS-host-redirect": 0x0503,
    "echo-request": 0x0800,
    "router-advertisement": 0x0900,
    "router-solicitation": 0x0A00,
    "ttl-zero-during-transit": 0x0B00,
    "ttl-zero-during-reassembly": 0x0B01,
    "ip-header-bad": 0x0C00,
    "required-option-missing": 0x0C01,
    "timestamp-request": 0x0D00,
    "timestamp-reply": 0x0E00,
    "address-mask-request": 0x1100,
    "address-mask-reply": 0x1200,
}
"""`type << 8 | code` of ICMP messages by the name that is printed."""

ICMPV6: Final = {
    "no-route": 0x0100,
    "communication-prohibited": 0x0101,
    "address-unreachable": 0x0103,
    "port-unreachable": 0x0104,
    "packet-too-big": 0x0200,
    "ttl-zero-during-transit": 0x0300,
    "ttl-zero-during-reassembly": 0x0301,
    "bad-header": 0x0400,
    "unknown-header-type": 0x0401,
    "unknown-option": 0x0402,
    "echo-request": 0x8000,
    "echo-reply": 0x8100,
    "router-solicitation": 0x8500,
    "router-advertisement": 0x8600,
    "neighbour-solicitation": 0x8700,
    "neighbour-advertisement": 0x8800,
    "redirect": 0x8900,
}
"""The same of ICMPv6."""

SHORT: Final = {"ping": "echo-request", "pong": "echo-reply"}
"""Further names of messages."""


def services(protocol: str) -> Mapping[str, int]:
    """Return the ports that have names in `protocol`, `tcp` or any other."""
    return {"tcp": TCP_SERVICES, "udp": UDP_SERVICES}.get(protocol, {})
