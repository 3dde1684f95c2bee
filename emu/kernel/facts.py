# SPDX-License-Identifier: GPL-2.0-only
"""What was decided about a packet, as values.

People are told a fact in words, by `str`; who draws conclusions reads its fields.
So the words can change, and no conclusion does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from emu.kernel.route import RouteType
from emu.wire.addresses import BROADCAST_MAC

if TYPE_CHECKING:
    from emu.kernel.netfilter.ipvs.virtual import DestinationKey, ServiceKey
    from emu.kernel.nud import Nud
    from emu.wire.addresses import IpAddress, MacAddress, Prefix

TABLE_FULL: Final = "nf_conntrack: table full, dropping packet"
"""How Linux words it that there is no room for another connection (nf_conntrack_core.c)."""

INSERT_FAILED: Final = "insert_failed: another connection has these addresses and ports"
"""Why a connection could not be confirmed; the counter of Linux is called so."""


class End(NamedTuple):
    """One end of a packet; `port` is None where its protocol has none."""

    address: IpAddress
    port: int | None

    def __str__(self) -> str:
        return str(self.address) if self.port is None else f"{self.address}:{self.port}"


class Translated(NamedTuple):
    """An end of a packet was replaced, its source or its destination; `before` None is not known."""

    is_source: bool
    after: End
    before: End | None = None

    def __str__(self) -> str:
        side = "source" if self.is_source else "destination"
        return (
            f"{side} becomes {self.after}"
            if self.before is None
            else f"{side} {self.before} becomes {self.after}"
        )


class Routed(NamedTuple):
    """The route that a packet takes, told about as `ip route` shows it.

    Attributes:
        kind: of the route.
        dst: what it leads to; None where no entry of a table was asked.
        gateway: the next hop, None on the link.
        device: it leaves by; of a route that is not unicast, that of the route.
    """

    kind: RouteType
    dst: Prefix | None
    gateway: IpAddress | None
    device: str

    @property
    def is_unicast(self) -> bool:
        """Whether it leads to another host."""
        return self.kind is RouteType.UNICAST

    def __str__(self) -> str:
        words = [] if self.is_unicast else [self.kind.value]
        if self.dst is not None:
            dst = self.dst.address if self.dst.is_host else self.dst
            words.append(str(dst) if self.dst.length else "default")
        if self.gateway is not None:
            words.append(f"via {self.gateway}")
        return " ".join((*words, "dev", self.device))


class Resolved(NamedTuple):
    """A neighbour's MAC address is known."""

    address: IpAddress
    mac: MacAddress | None
    device: str
    state: Nud

    def __str__(self) -> str:
        return f"{self.address} is at {self.mac} dev {self.device}, {self.state.name.lower()}"


class Awaited(NamedTuple):
    """A neighbour's MAC address is asked for, and the packet waits."""

    address: IpAddress
    device: str

    def __str__(self) -> str:
        return f"waits for the MAC address of {self.address} dev {self.device}"


class Scheduled(NamedTuple):
    """IPVS picked a destination of a virtual service."""

    service: ServiceKey
    scheduler: str
    destination: DestinationKey

    def __str__(self) -> str:
        return f"{self.service} {self.scheduler} -> {self.destination}"


class NoDestination(NamedTuple):
    """IPVS dropped the packet: its virtual service has nobody to pick."""

    service: ServiceKey

    def __str__(self) -> str:
        return f"IPVS: no destination for {self.service}"


class Outlived(NamedTuple):
    """IPVS dropped the packet: its connection goes to a destination that the virtual service has no more."""

    destination: DestinationKey
    service: ServiceKey

    def __str__(self) -> str:
        return f"IPVS: {self.destination} is no destination of {self.service} any more"


class Unbalanced(NamedTuple):
    """IPVS dropped the packet for another reason, which is known in words alone."""

    words: str

    def __str__(self) -> str:
        return self.words


class DecidedAt(NamedTuple):
    """A rule decided, or the policy of its chain.

    Attributes:
        net: the namespace.
        table: of nftables with its family in front.
        chain: of the table.
        rule: which rule of the chain, from 1; 0 for the policy.
    """

    net: str
    table: str
    chain: str
    rule: int

    def __str__(self) -> str:
        return f"{self.net} {self.table}/{self.chain} {f'rule {self.rule}' if self.rule else 'policy'}"


class Spent(NamedTuple):
    """The TTL was 1, and the packet had to be forwarded."""

    def __str__(self) -> str:
        return "the TTL is spent"


class Switched(NamedTuple):
    """A bridge passed a frame on.

    Attributes:
        bridge: its name.
        dst: where the frame is for.
        ways: the names of the ports that it leaves by.
        up: this host gets it.
        is_known: the bridge knows where `dst` is.
        port: the port behind which `dst` is, None for this host itself or where it is not known.
    """

    bridge: str
    dst: MacAddress
    ways: tuple[str, ...]
    up: bool
    is_known: bool = False
    port: str | None = None

    @property
    def is_flooded(self) -> bool:
        """Whether it went to everybody for want of knowledge."""
        return not self.is_known and not self.dst[0] & 1

    def __str__(self) -> str:
        where = ", ".join((*self.ways, *(("this host",) if self.up else ()))) or "nobody"
        if self.dst[0] & 1:
            kind = "broadcast" if self.dst == BROADCAST_MAC else "group address"
            return f"{self.bridge}: {kind}, to {where}"
        if self.is_flooded:
            return f"{self.bridge}: {self.dst} is unknown, flooded to {where}"
        place = "ours" if self.port is None else f"behind {self.port}"
        return f"{self.bridge}: {self.dst} is {place}, to {where}"


class Encapsulated(NamedTuple):
    """A VXLAN device put a frame for `dst` into packets for others."""

    device: str
    vni: int
    dst: MacAddress
    remotes: tuple[IpAddress, ...]

    def __str__(self) -> str:
        places = ", ".join(map(str, self.remotes))
        return f"{self.device}: VNI {self.vni}, {self.dst} is sent to {places}"


class Invalid(NamedTuple):
    """Connection tracking finds a packet impossible: `is_verdict`, or it is a tracker's reason for that."""

    reason: str
    is_verdict: bool = False

    def __str__(self) -> str:
        return f"{'INVALID' if self.is_verdict else 'invalid'}: {self.reason}"


class Overtaken(NamedTuple):
    """Packets that came later are confirmed before this one."""

    def __str__(self) -> str:
        return "overtaken: others are confirmed before it"


Fact: TypeAlias = (
    Translated
    | Routed
    | Resolved
    | Awaited
    | Switched
    | Encapsulated
    | Spent
    | DecidedAt
    | Scheduled
    | NoDestination
    | Outlived
    | Unbalanced
    | Invalid
    | Overtaken
)
REFUSED_BY_IPVS: Final = NoDestination | Outlived | Unbalanced
"""Why IPVS dropped a packet: what `isinstance` takes."""
