# SPDX-License-Identifier: GPL-2.0-only
"""Names of values: what `nft describe` lists, protocols and services.

Source: nftables, src/datatype.c, proto.c, ct.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.tools.protocols import PROTOCOLS, SERVICES

if TYPE_CHECKING:
    from collections.abc import Mapping

SYMBOLS: Final[Mapping[str, Mapping[str, int]]] = {
    "inet_proto": {**PROTOCOLS, "hopopt": 0, "icmpv6": 58, "comp": 108},
    "inet_service": SERVICES,
    "icmp_type": {
        "echo-reply": 0,
        "destination-unreachable": 3,
        "source-quench": 4,
        "redirect": 5,
        "echo-request": 8,
        "router-advertisement": 9,
        "router-solicitation": 10,
        "time-exceeded": 11,
        "parameter-problem": 12,
        "timestamp-request": 13,
        "timestamp-reply": 14,
        "info-request": 15,
        "info-reply": 16,
        "address-mask-request": 17,
        "address-mask-reply": 18,
    },
    "icmp_code": {
        "net-unreachable": 0,
        "host-unreachable": 1,
        "prot-unreachable": 2,
        "port-unreachable": 3,
        "net-prohibited": 9,
        "host-prohibited": 10,
        "admin-prohibited": 13,
        "frag-needed": 4,
    },
    "icmpv6_type": {
        "destination-unreachable": 1,
        "packet-too-big": 2,
        "time-exceeded": 3,
        "parameter-problem": 4,
        "echo-request": 128,
        "echo-reply": 129,
        "mld-listener-query": 130,
        "mld-listener-report": 131,
        "mld-listener-done": 132,
        "mld-listener-reduction": 132,
        "nd-router-solicit": 133,
        "nd-router-advert": 134,
        "nd-neighbor-solicit": 135,
        "nd-neighbor-advert": 136,
        "nd-redirect": 137,
        "router-renumbering": 138,
        "ind-neighbor-solicit": 141,
        "ind-neighbor-advert": 142,
        "mld2-listener-report": 143,
    },
    "icmpv6_code": {
        "no-route": 0,
        "admin-prohibited": 1,
        "addr-unreachable": 3,
        "port-unreachable": 4,
        "policy-fail": 5,
        "reject-route": 6,
    },
    "icmpx_code": {"port-unreachable": 1, "admin-prohibited": 3, "no-route": 0, "host-unreachable": 2},
    "tcp_flag": {
        "fin": 0x01,
        "syn": 0x02,
        "rst": 0x04,
        "psh": 0x08,
        "ack": 0x10,
        "urg": 0x20,
        "ecn": 0x40,
        "cwr": 0x80,
    },
    "dscp": {
        "cs0": 0x00,
        "cs1": 0x08,
        "cs2": 0x10,
        "cs3": 0x18,
        "cs4": 0x20,
        "cs5": 0x28,
        "cs6": 0x30,
        "cs7": 0x38,
        "df": 0x00,
        "be": 0x00,
        "lephb": 0x01,
        "af11": 0x0A,
        "af12": 0x0C,
        "af13": 0x0E,
        "af21": 0x12,
        "af22": 0x14,
        "af23": 0x16,
        "af31": 0x1A,
        "af32": 0x1C,
        "af33": 0x1E,
        "af41": 0x22,
        "af42": 0x24,
        "af43": 0x26,
        "va": 0x2C,
        "ef": 0x2E,
    },
    "ecn": {"not-ect": 0, "ect1": 1, "ect0": 2, "ce": 3},
    "ct_state": {"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 64},
    "ct_status": {
        "expected": 1,
        "seen-reply": 2,
        "assured": 4,
        "confirmed": 8,
        "snat": 16,
        "dnat": 32,
        "dying": 512,
    },
    "ct_dir": {"original": 0, "reply": 1},
    "pkt_type": {"host": 0, "unicast": 0, "broadcast": 1, "multicast": 2, "other": 3},
    "fib_addrtype": {
        "unspec": 0,
        "unicast": 1,
        "local": 2,
        "broadcast": 3,
        "anycast": 4,
        "multicast": 5,
        "blackhole": 6,
        "unreachable": 7,
        "prohibit": 8,
    },
    "ether_type": {
        "ip": 0x0800,
        "arp": 0x0806,
        "ip6": 0x86DD,
        "vlan": 0x8100,
        "8021q": 0x8100,
        "8021ad": 0x88A8,
    },
    "nf_proto": {"ipv4": 2, "ipv6": 10},
    "boolean": {"exists": 1, "missing": 0},
    "uid": {"root": 0},
    "gid": {"root": 0},
}
"""Values by name, by the name of their type. Of names for one value the first is written."""

NAMES: Final[Mapping[str, Mapping[int, str]]] = {
    datatype: {value: name for name, value in reversed(list(known.items()))}
    for datatype, known in SYMBOLS.items()
}
"""Names by value; services are written as numbers and have none to be used."""
