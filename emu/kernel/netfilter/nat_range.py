# SPDX-License-Identifier: GPL-2.0-only
"""What an address and a port may be changed to. Source: include/uapi/linux/netfilter/nf_nat.h."""

from __future__ import annotations

import attrs


@attrs.frozen
class NatRange:
    """Addresses and ports to choose from; None leaves the packet's own.

    Attributes:
        min_address: the first address.
        max_address: the last one; with `NETMAP` the first with all bits set that are kept.
        min_port: the first port, or identifier of ICMP.
        max_port: the last one.
        base_port: of a range of ports, the one that is mapped to `min_port`,
            those behind it following; None to have any port of the range chosen.
        random: the port is drawn, and none is kept for its own sake (`--random`).
        random_fully: the same (`--random-fully`): both draw alike today.
        persistent: a client gets the same address for all destinations.
    """

    min_address: bytes | None = None
    max_address: bytes | None = None
    min_port: int | None = None
    max_port: int | None = None
    base_port: int | None = None
    random: bool = False
    random_fully: bool = False
    persistent: bool = False

    @property
    def has_ports(self) -> bool:
        """Whether ports are given (`NF_NAT_RANGE_PROTO_SPECIFIED`)."""
        return self.min_port is not None
