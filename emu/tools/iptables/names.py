# SPDX-License-Identifier: GPL-2.0-only
"""Names that iptables knows by itself: protocols, and extensions that are not modelled."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from emu.tools.iptables.extension import wrong
from emu.tools.iptables.values import number

PROTOCOLS: Final = {
    "icmp": 1,
    "igmp": 2,
    "ggp": 3,
    "ipencap": 4,
    "st": 5,
    "tcp": 6,
    "egp": 8,
    "igp": 9,
    "pup": 12,
    "udp": 17,
    "hmp": 20,
    "xns-idp": 22,
    "rdp": 27,
    "iso-tp4": 29,
    "dccp": 33,
    "xtp": 36,
    "ddp": 37,
    "idpr-cmtp": 38,
    "ipv6": 41,
    "ipv6-route": 43,
    "ipv6-frag": 44,
    "idrp": 45,
    "rsvp": 46,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "skip": 57,
    "ipv6-icmp": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "rspf": 73,
    "vmtp": 81,
    "eigrp": 88,
    "ospf": 89,
    "ax.25": 93,
    "ipip": 94,
    "etherip": 97,
    "encap": 98,
    "pim": 103,
    "ipcomp": 108,
    "vrrp": 112,
    "l2tp": 115,
    "isis": 124,
    "sctp": 132,
    "fc": 133,
    "mobility-header": 135,
    "udplite": 136,
    "mpls-in-ip": 137,
    "manet": 138,
    "hip": 139,
    "shim6": 140,
    "wesp": 141,
    "rohc": 142,
    "ethernet": 143,
}
"""Protocol numbers by name, as in Debian's `/etc/protocols`."""

PROTOCOL_NAMES: Final = {value: name for name, value in PROTOCOLS.items()}
"""Protocol names by number."""

_OTHERS: Final = {"all": 0, "ip": 0, "hopopt": 0, "icmpv6": 58, "mh": 135}

IMPLIED: Final = {6: "tcp", 17: "udp", 1: "icmp", 132: "sctp", 33: "dccp", 50: "esp", 51: "ah"}
"""The match that an option belongs to which nothing else explains, by the rule's protocol."""

UNMODELLED_MATCHES: Final = frozenset(
    {
        "ah",
        "bpf",
        "cgroup",
        "cluster",
        "connlabel",
        "cpu",
        "dccp",
        "devgroup",
        "esp",
        "geoip",
        "helper",
        "ipcomp",
        "ipvs",
        "ipv4options",
        "l2tp",
        "osf",
        "policy",
        "psd",
        "quota",
        "quota2",
        "rateest",
        "realm",
        "socket",
        "string",
        "time",
        "u32",
        "unclean",
    }
)
"""Matches that exist, and may not be modelled."""

UNMODELLED_TARGETS: Final = frozenset(
    {
        "AUDIT",
        "CLUSTERIP",
        "CONNSECMARK",
        "ECN",
        "HMARK",
        "IDLETIMER",
        "LED",
        "MIRROR",
        "NFQUEUE",
        "QUEUE",
        "RATEEST",
        "SECMARK",
        "SYNPROXY",
        "TCPOPTSTRIP",
        "TEE",
        "TPROXY",
        "ULOG",
    }
)
"""Targets that exist, and may not be modelled."""


@lru_cache(maxsize=1024)
def protocol(text: str) -> int:
    """Return the number behind `-p`, 0 for all.

    Raises:
        CommandError: there is no such protocol.
    """
    lowered = text.lower()
    value = number(text, 0, 255)
    if value is None:
        value = PROTOCOLS.get(lowered, _OTHERS.get(lowered))
    if value is None:
        raise wrong(f'unknown protocol "{text}" specified')
    return value
