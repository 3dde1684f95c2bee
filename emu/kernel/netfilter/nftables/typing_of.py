# SPDX-License-Identifier: GPL-2.0-only
"""Which type the values of an expression have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from emu.kernel.netfilter.nftables import datatypes as of
from emu.kernel.netfilter.nftables import expressions as ex
from emu.kernel.netfilter.nftables.datatypes import integer
from emu.kernel.netfilter.nftables.payload import FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.netfilter.nftables.datatypes import DataType

META: Final[Mapping[str, DataType]] = {
    "mark": of.MARK,
    "l4proto": of.INET_PROTO,
    "nfproto": of.NF_PROTO,
    "protocol": of.ETHER_TYPE,
    "iif": of.IFACE_INDEX,
    "iifname": of.IFNAME,
    "oif": of.IFACE_INDEX,
    "oifname": of.IFNAME,
    "length": integer(32, host=True),
    "pkttype": of.PKT_TYPE,
    "skuid": of.UID,
    "skgid": of.GID,
    "nftrace": integer(1),
}
"""The keys of `meta` that are modelled."""

META_UNMODELLED: Final = frozenset(
    (
        "priority",
        "random",
        "iiftype",
        "oiftype",
        "rtclassid",
        "cpu",
        "iifgroup",
        "oifgroup",
        "cgroup",
        "ibrname",
        "obrname",
        "ibriport",
        "obriport",
        "ibrpvid",
        "ibrvproto",
        "iifkind",
        "oifkind",
        "ipsec",
        "secpath",
        "time",
        "day",
        "hour",
        "secmark",
        "sdif",
        "sdifname",
        "broute",
        "bri_iifname",
        "bri_oifname",
    )
)
"""Those that Linux has beside."""

META_BARE: Final = frozenset(
    """
    mark iif iifname oif oifname pkttype skuid skgid nftrace rtclassid cpu iifgroup oifgroup cgroup iiftype
    oiftype ibrname obrname ibriport obriport
    """.split()  # noqa: SIM905 - a list of twenty quoted words is harder to read
)
"""The keys that may stand without `meta`."""

META_SHOWN_BARE: Final = frozenset(("iif", "iifname", "oif", "oifname", "iifgroup", "oifgroup"))
"""The keys that are listed without `meta`."""

CT: Final[Mapping[str, DataType]] = {
    "state": of.CT_STATE,
    "status": of.CT_STATUS,
    "direction": of.CT_DIR,
    "mark": of.MARK,
    "expiration": of.TIME,
    "l3proto": of.NF_PROTO,
    "protocol": of.INET_PROTO,
    "ip saddr": of.IPV4_ADDR,
    "ip daddr": of.IPV4_ADDR,
    "ip6 saddr": of.IPV6_ADDR,
    "ip6 daddr": of.IPV6_ADDR,
    "proto-src": of.INET_SERVICE,
    "proto-dst": of.INET_SERVICE,
    "zone": integer(16, host=True),
    "id": integer(32, host=True),
    "bytes": integer(64, host=True),
    "packets": integer(64, host=True),
    "avgpkt": integer(64, host=True),
}
"""The keys of `ct` that are modelled."""

CT_UNMODELLED: Final = frozenset(("helper", "label", "event", "timeout", "expectation", "count", "secmark"))
"""Those that Linux has beside."""

FIB: Final[Mapping[str, DataType]] = {
    "type": of.FIB_ADDRTYPE,
    "oif": of.IFACE_INDEX,
    "oifname": of.IFNAME,
}
"""What `fib` returns."""

TCP_OPTIONS: Final = frozenset(
    ("maxseg", "window", "sack-perm", "sack", "timestamp", "eol", "nop", "fastopen")
)


def type_of(expression: ex.Expression) -> DataType:
    """Return the type of an expression that is one value."""
    match expression:
        case ex.Payload(protocol, field):
            return FIELDS[protocol][field].type
        case ex.RawPayload(_, _, bits):
            return integer(bits)
        case ex.Meta(key):
            return META[key]
        case ex.Ct(key):
            return CT[key]
        case ex.Fib(_, result, present):
            return of.BOOLEAN if present else FIB[result]
        case ex.Numgen() | ex.Hash():
            return integer(32, host=True)
        case ex.TcpOption(_, field):
            return integer(16) if field else of.BOOLEAN
        case ex.Bitwise(inner):
            return type_of(inner)
        case ex.Concat() | ex.Joined() | ex.Mapped():
            raise AssertionError(expression)
        case _:
            assert_never(expression)


def types_of(expression: ex.Expression) -> tuple[DataType, ...]:
    """Return the types of what an expression reads, several for a concatenation."""
    if isinstance(expression, ex.Concat | ex.Joined):
        return tuple([type_of(part) for part in expression.parts])
    return (type_of(expression),)
