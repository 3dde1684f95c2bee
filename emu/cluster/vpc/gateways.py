# SPDX-License-Identifier: GPL-2.0-only
"""Rules of a VPC's gateways.

internet gateway   each public address is one private address: nat, both ways;
                   private addresses that have no public one do not leave
NAT gateway        many private addresses leave as its own, told apart by ports
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.cluster.vpc.spec import NatGatewaySpec
    from emu.wire.addresses import IpAddress

INSIDE: Final = "vpc"
"""The internet gateway's device towards the VPC's router."""

OUTSIDE: Final = "internet"
"""The other one."""

NO_PUBLIC: Final = "VPC internet gateway: no public address"
NOT_CARRIED: Final = "VPC NAT gateway: carries TCP, UDP and ICMP"


def internet(public: Mapping[IpAddress, IpAddress]) -> str:
    """Return the rules of an internet gateway, for `iptables-restore`.

    Args:
        public: the public address of each private one that has one.
    """
    into = [f"-A PREROUTING -d {new}/32 -j DNAT --to-destination {old}" for old, new in public.items()]
    out = [f"-A POSTROUTING -s {old}/32 -j SNAT --to-source {new}" for old, new in public.items()]
    may = [f"-A FORWARD -s {old}/32 -i {INSIDE} -j ACCEPT" for old in public]
    lines = (
        "*mangle",
        *(":PREROUTING ACCEPT [0:0]", ":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]"),
        *(":OUTPUT ACCEPT [0:0]", ":POSTROUTING ACCEPT [0:0]"),
        "-A PREROUTING -j TTL --ttl-inc 1",
        "COMMIT",
        "*nat",
        *(":PREROUTING ACCEPT [0:0]", ":INPUT ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]"),
        ":POSTROUTING ACCEPT [0:0]",
        *into,
        *out,
        "COMMIT",
        "*filter",
        *(":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]"),
        *may,
        f'-A FORWARD -i {INSIDE} -m comment --comment "{NO_PUBLIC}" -j DROP',
        "COMMIT",
        "",
    )
    return "\n".join(lines)


def nat(spec: NatGatewaySpec, own: IpAddress) -> str:
    """Return the rules of a NAT gateway with the private address `own`."""
    low, high = spec.ports
    lines = (
        "*nat",
        *(":PREROUTING ACCEPT [0:0]", ":INPUT ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]"),
        ":POSTROUTING ACCEPT [0:0]",
        f"-A POSTROUTING -p tcp -j SNAT --to-source {own}:{low}-{high}",
        f"-A POSTROUTING -p udp -j SNAT --to-source {own}:{low}-{high}",
        f"-A POSTROUTING -p icmp -j SNAT --to-source {own}",
        "COMMIT",
        "*filter",
        *(":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]"),
        "-A FORWARD -p tcp -j ACCEPT",
        "-A FORWARD -p udp -j ACCEPT",
        "-A FORWARD -p icmp -j ACCEPT",
        f'-A FORWARD -m comment --comment "{NOT_CARRIED}" -j DROP',
        "-A INPUT -m conntrack --ctstate NEW -j DROP",
        "COMMIT",
        "",
    )
    return "\n".join(lines)
