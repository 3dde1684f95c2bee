# SPDX-License-Identifier: GPL-2.0-only
"""Names that iptables knows by itself: protocols, and extensions that are not modelled."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from emu.tools import protocols
from emu.tools.iptables.extension import wrong
from emu.tools.iptables.values import number

PROTOCOL_NAMES: Final = {value: name for value, name in protocols.PROTOCOL_NAMES.items() if value}
"""Protocol names by number; 0 stands for all of them."""

_OTHERS: Final = {"all": 0, "hopopt": 0, "icmpv6": 58, "mh": 135}

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
        value = protocols.PROTOCOLS.get(lowered, _OTHERS.get(lowered))
    if value is None:
        raise wrong(f'unknown protocol "{text}" specified')
    return value
