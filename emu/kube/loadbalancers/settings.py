# SPDX-License-Identifier: GPL-2.0-only
"""What load balancers there are, and how they do it.

kind          what arrives at a node                       whose source
passthrough   the packet as it came: VIP and Service port  the client's
nat           a packet to the node's address and port      the client's, or the balancer's
proxy         a connection of the balancer's own           the balancer's; PROXY protocol tells the client's
l2            the packet as it came, at one node: it       the client's
              answers ARP for the VIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

from emu.errors import AddressError
from emu.sim.time import SECOND
from emu.wire.addresses import IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from emu.sim.time import Duration

Kind: TypeAlias = Literal["passthrough", "nat", "proxy", "l2"]
KINDS: Final[tuple[Kind, ...]] = ("passthrough", "nat", "proxy", "l2")

VIP: Final = "VIP"
PROXY: Final = "Proxy"

IP_MODES: Final[Mapping[Kind, str]] = {"passthrough": VIP, "nat": PROXY, "proxy": PROXY, "l2": VIP}
"""What the API says of each kind: VIP where nodes see the balancer's address as the destination."""

Against: TypeAlias = Literal["auto", "nodePort", "healthz", "none"]

_WHOLE: Final = 31  # prefixes from this length on have no address that is their network's


@attrs.frozen
class AddressRange:
    """Addresses from `first` to `last`."""

    first: IpAddress
    last: IpAddress

    @classmethod
    def parse(cls, text: str) -> AddressRange:
        """Read `FIRST-LAST`, a prefix (whose hosts are meant), or one address.

        Raises:
            AddressError: it is none of them.
        """
        first, dash, last = text.partition("-")
        if dash:
            found = cls(IpAddress.parse(first.strip()), IpAddress.parse(last.strip()))
            if found.first.family != found.last.family or int(found.first) > int(found.last):
                raise AddressError(f"{text!r}: the first address is behind the last one")
            return found
        if "/" not in text:
            one = IpAddress.parse(text)
            return cls(one, one)
        prefix = Prefix.parse(text)
        start = int(prefix.address)
        end = start + (1 << _bits(prefix)) - 1
        if prefix.length < _WHOLE:
            start, end = start + 1, end - 1
        bits = prefix.address.bits
        return cls(IpAddress.from_int(start, bits), IpAddress.from_int(end, bits))

    def meets(self, prefix: Prefix) -> bool:
        """Return whether some of them are addresses of a prefix."""
        start = int(prefix.address)
        return int(self.first) < start + (1 << _bits(prefix)) and start <= int(self.last)

    def __contains__(self, address: IpAddress) -> bool:
        return int(self.first) <= int(address) <= int(self.last)

    def __iter__(self) -> Iterator[IpAddress]:
        return map(IpAddress.from_int, range(int(self.first), int(self.last) + 1))

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def _bits(prefix: Prefix) -> int:
    return prefix.address.bits - prefix.length


@attrs.frozen
class HealthCheck:
    """How a balancer finds out which nodes work.

    Attributes:
        against: `auto` asks the Service's health check node port by HTTP where it has one, and else
            what balancers of the kind ask; `nodePort` connects to the node port; `healthz` asks
            kube-proxy's port 10256 by HTTP; `none` takes every node for healthy.
        interval: from one check to the next.
        timeout: how long one may take.
        unhealthy: checks that fail, one after the other, until a node leaves.
        healthy: checks that succeed, one after the other, until it comes back.
    """

    against: Against = "auto"
    interval: Duration = 10 * SECOND
    timeout: Duration = 5 * SECOND
    unhealthy: int = 3
    healthy: int = 1


@attrs.frozen
class LoadBalancerSpec:
    """A load balancer of the network around the cluster.

    Attributes:
        name: what it is called.
        kind: how it passes requests on.
        pool: the addresses that it gives away, in this order; none for those usual for its kind.
        load_balancer_class: it serves Services of this class; None: those without one.
        ip_mode: what it writes into the status of Services; empty for that of its kind.
        keeps_source: of `nat`: nodes see the client's address, and answers find their way back.
        proxy_protocol: of `proxy`: the version of the header that tells the client's address; 0 for none.
        gratuitous: of `l2`: a node that takes an address over tells all its neighbours.
        health: how nodes are checked; `l2` looks at the cluster instead.
        file: where its pool stands.
        line: the same.
    """

    name: str
    kind: Kind = "passthrough"
    pool: tuple[AddressRange, ...] = ()
    load_balancer_class: str | None = None
    ip_mode: str = ""
    keeps_source: bool = True
    proxy_protocol: int = 0
    gratuitous: bool = True
    health: HealthCheck = HealthCheck()
    file: str = attrs.field(default="", eq=False, repr=False, kw_only=True)
    line: int = attrs.field(default=0, eq=False, repr=False, kw_only=True)

    @property
    def mode(self) -> str:
        """The ipMode that it writes."""
        return self.ip_mode or IP_MODES[self.kind]
