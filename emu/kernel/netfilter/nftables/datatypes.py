# SPDX-License-Identifier: GPL-2.0-only
"""Types of what rules compare: how wide, and in whose order of octets.

Values themselves are plain: an integer, or a string for the name of a device.
Source: nftables, include/datatype.h and `nft describe`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping


@attrs.frozen
class DataType:
    """A type of values.

    Attributes:
        name: as behind `type` of a set.
        bits: how wide a value is.
        host: it is kept in the order of the machine, not of the network.
        flags: a value is a set of bits with names.
        text: a value is a string.
    """

    name: str
    bits: int
    host: bool = False
    flags: bool = False
    text: bool = False

    @property
    def octets(self) -> int:
        """How many octets hold a value."""
        return (self.bits + 7) // 8

    @property
    def mask(self) -> int:
        """The value with all bits set."""
        return (1 << self.bits) - 1

    @property
    def is_address(self) -> bool:
        """Whether prefixes of it are written with a slash."""
        return self.name in ("ipv4_addr", "ipv6_addr")


def integer(bits: int, *, host: bool = False) -> DataType:
    """Return the type of plain numbers of so many bits."""
    return DataType("integer", bits, host=host)


IPV4_ADDR: Final = DataType("ipv4_addr", 32)
IPV6_ADDR: Final = DataType("ipv6_addr", 128)
ETHER_ADDR: Final = DataType("ether_addr", 48)
INET_PROTO: Final = DataType("inet_proto", 8)
INET_SERVICE: Final = DataType("inet_service", 16)
ETHER_TYPE: Final = DataType("ether_type", 16)
NF_PROTO: Final = DataType("nf_proto", 8)
MARK: Final = DataType("mark", 32, host=True)
IFNAME: Final = DataType("ifname", 128, host=True, text=True)
IFACE_INDEX: Final = DataType("iface_index", 32, host=True)
ICMP_TYPE: Final = DataType("icmp_type", 8)
ICMP_CODE: Final = DataType("icmp_code", 8)
ICMPV6_TYPE: Final = DataType("icmpv6_type", 8)
ICMPV6_CODE: Final = DataType("icmpv6_code", 8)
ICMPX_CODE: Final = DataType("icmpx_code", 8)
TCP_FLAG: Final = DataType("tcp_flag", 8, flags=True)
DSCP: Final = DataType("dscp", 6)
ECN: Final = DataType("ecn", 2)
CT_STATE: Final = DataType("ct_state", 32, host=True, flags=True)
CT_STATUS: Final = DataType("ct_status", 32, host=True, flags=True)
CT_DIR: Final = DataType("ct_dir", 8)
PKT_TYPE: Final = DataType("pkt_type", 8)
FIB_ADDRTYPE: Final = DataType("fib_addrtype", 32, host=True)
BOOLEAN: Final = DataType("boolean", 1)
UID: Final = DataType("uid", 32, host=True)
GID: Final = DataType("gid", 32, host=True)
TIME: Final = DataType("time", 32, host=True)
VERDICT: Final = DataType("verdict", 0)
OBJECT: Final = DataType("object", 0)

NAMED: Final[Mapping[str, DataType]] = {
    known.name: known
    for known in (
        IPV4_ADDR,
        IPV6_ADDR,
        ETHER_ADDR,
        INET_PROTO,
        INET_SERVICE,
        ETHER_TYPE,
        NF_PROTO,
        MARK,
        IFNAME,
        IFACE_INDEX,
        ICMP_TYPE,
        ICMP_CODE,
        ICMPV6_TYPE,
        ICMPV6_CODE,
        ICMPX_CODE,
        TCP_FLAG,
        DSCP,
        ECN,
        CT_STATE,
        CT_STATUS,
        CT_DIR,
        PKT_TYPE,
        FIB_ADDRTYPE,
        BOOLEAN,
        UID,
        GID,
        TIME,
    )
}
"""The types that a set may name, by what they are called."""
