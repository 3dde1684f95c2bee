# SPDX-License-Identifier: GPL-2.0-only
"""What a low-level network document says: namespaces, cables, tables and rules.

What is done with them is in `emu.cluster.network.actions`.

Each class is one table of the format's description, in typed values: addresses
are octets, times are nanoseconds, defaults are filled in. `None` stands where
the format leaves the choice to the kernel. `line` is where the thing stands in
its document, for faults that only show when it is built; it takes no part in
comparisons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import attrs

from emu.sim.time import MILLISECOND, SECOND, Duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.cluster.network.actions import CapturePoint, Step
    from emu.wire.addresses import Interface, IpAddress, MacAddress, Prefix

RouteType: TypeAlias = Literal["unicast", "unreachable", "prohibit", "blackhole", "throw", "local"]
RouteScope: TypeAlias = Literal["global", "link", "host"]
IptablesBackend: TypeAlias = Literal["nft", "legacy"]

MAIN_TABLE: Final = 254
LOCAL_TABLE: Final = 255
ETHERNET_MTU: Final = 1500
VXLAN_PORT: Final = 8472


def _line() -> int:
    line: int = attrs.field(default=0, eq=False, repr=False, kw_only=True)
    return line


class Sysctl(NamedTuple):
    """A name below `/proc/sys`, with dots or with slashes, and what is written to it."""

    name: str
    value: str


@attrs.frozen
class NamespaceSpec:
    """A network namespace: a node, a pod, a host or a switch.

    `sysctls` are set before any interface but `lo` exists, `if_sysctls` when
    all interfaces are up; both in their order.
    """

    name: str
    sysctls: tuple[Sysctl, ...] = ()
    if_sysctls: tuple[Sysctl, ...] = ()
    line: int = _line()


@attrs.frozen
class EndSpec:
    """One end of a veth pair. `up` is false for both ends or for none."""

    ns: str
    iface: str
    mac: MacAddress
    addresses: tuple[Interface, ...] = ()
    mtu: int = ETHERNET_MTU
    up: bool = True
    line: int = _line()


@attrs.frozen
class LinkSpec:
    """A veth pair."""

    a: EndSpec
    b: EndSpec

    @property
    def ends(self) -> tuple[EndSpec, EndSpec]:
        """Both ends, `a` first."""
        return self.a, self.b


@attrs.frozen
class PortSpec:
    """A link end that is a port of a bridge."""

    iface: str
    hairpin: bool = False
    learning: bool = True
    flood: bool = True
    isolated: bool = False


@attrs.frozen
class BridgeSpec:
    """A bridge: STP off, forward delay 0, multicast snooping off.

    Without `mtu` it is the least of its ports' MTUs.
    """

    ns: str
    iface: str
    mac: MacAddress
    addresses: tuple[Interface, ...] = ()
    mtu: int | None = None
    up: bool = True
    ageing: Duration = 300 * SECOND
    ports: tuple[PortSpec, ...] = ()
    line: int = _line()


@attrs.frozen
class FdbSpec:
    """A permanent FDB entry of a VXLAN device; all zeros as `mac` stand for everything unknown."""

    mac: MacAddress
    dst: IpAddress


@attrs.frozen
class VxlanSpec:
    """A VXLAN device.

    Without `mtu` it is that of `dev` less 50. A `ttl` of 0 is that of any
    packet the node sends.
    """

    ns: str
    iface: str
    mac: MacAddress
    vni: int
    local: IpAddress
    dev: str
    dstport: int = VXLAN_PORT
    addresses: tuple[Interface, ...] = ()
    mtu: int | None = None
    up: bool = True
    learning: bool = False
    udpcsum: bool = True
    ttl: int = 0
    fdb: tuple[FdbSpec, ...] = ()
    line: int = _line()


@attrs.frozen
class IpipSpec:
    """An IPIP device: a tunnel of IPv4 in IPv4, which has no MAC address.

    Without `remote` the other end of the tunnel is the next hop of a route. A `ttl`
    of 0 is that of the packet inside; a `tos` of 1, too.
    """

    ns: str
    iface: str
    local: IpAddress | None = None
    remote: IpAddress | None = None
    dev: str | None = None
    addresses: tuple[Interface, ...] = ()
    mtu: int | None = None
    up: bool = True
    ttl: int = 0
    tos: int = 0
    pmtudisc: bool = False
    line: int = _line()


@attrs.frozen
class NeighbourSpec:
    """A neighbour entry; `state` is as `ip neigh add ... nud STATE` takes it."""

    ns: str
    dev: str
    ip: IpAddress
    mac: MacAddress
    state: str = "permanent"
    line: int = _line()


@attrs.frozen
class RouteSpec:
    """A route, as `ip route add` would make it.

    What `ip` fills in is filled in: `scope` and `table` have their values.
    """

    ns: str
    dst: Prefix
    type: RouteType = "unicast"
    via: IpAddress | None = None
    dev: str | None = None
    src: IpAddress | None = None
    scope: RouteScope = "global"
    metric: int = 0
    mtu: int | None = None
    table: int = MAIN_TABLE
    onlink: bool = False
    line: int = _line()


@attrs.frozen
class RulesFile:
    """The text of a file for `iptables-restore`, `nft -f` or `ipset restore`.

    `path` is as faults show it: the document's folder joined with the name
    that the document gives.
    """

    path: str
    text: str
    line: int = _line()


@attrs.frozen
class Normalize:
    """What the canonical form of frames and tables makes anonymous."""

    random_ports: bool = False
    known_ports: tuple[int, ...] = ()


@attrs.frozen
class Compare:
    """How a comparison with recorded results differs from the usual one.

    `unordered` is true for all captures or names some.
    """

    frames: bool = True
    state: bool = True
    results: bool = True
    unordered: bool | tuple[CapturePoint, ...] = False
    ignore: tuple[str, ...] = ()
    ignore_state: tuple[str, ...] = ()
    timing: Duration | None = None
    detour: tuple[CapturePoint, ...] = ()


@attrs.frozen
class NetworkDocument:
    """A whole document. The rules are by namespace."""

    namespaces: tuple[NamespaceSpec, ...]
    file: str = ""
    name: str = ""
    title: str = ""
    description: str = ""
    links: tuple[LinkSpec, ...] = ()
    bridges: tuple[BridgeSpec, ...] = ()
    vxlans: tuple[VxlanSpec, ...] = ()
    ipips: tuple[IpipSpec, ...] = ()
    neighbours: tuple[NeighbourSpec, ...] = ()
    routes: tuple[RouteSpec, ...] = ()
    ipset: Mapping[str, RulesFile] = attrs.field(factory=dict)
    iptables: Mapping[str, RulesFile] = attrs.field(factory=dict)
    nft: Mapping[str, RulesFile] = attrs.field(factory=dict)
    iptables_backend: IptablesBackend = "nft"
    conntrack: tuple[str, ...] = ()
    captures: tuple[CapturePoint, ...] = ()
    actions: tuple[Step, ...] = ()
    quiet: Duration = 400 * MILLISECOND
    quiet_limit: Duration = 15 * SECOND
    normalize: Normalize = attrs.field(factory=Normalize)
    compare: Compare = attrs.field(factory=Compare)
