# SPDX-License-Identifier: GPL-2.0-only
"""What the tools of a node printed, in typed values.

Names follow the keys of iproute2's JSON, each class is one entry of one of its
lists. What is IPv6 never gets here; it is counted in `NodeDump.ipv6`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.wire.addresses import Interface, IpAddress, MacAddress, Prefix


class Address(NamedTuple):
    """An address of a device.

    `peer` is the other end of a point-to-point address, with the length that
    belongs to it; `scope` is a word, or a number as text.
    """

    interface: Interface
    peer: Interface | None = None
    scope: str = "global"
    secondary: bool = False


@attrs.frozen
class Port:
    """What a port of a bridge has been told."""

    hairpin: bool = False
    learning: bool = True
    flood: bool = True
    isolated: bool = False


@attrs.frozen
class Vxlan:
    """What is special about a VXLAN device.

    `lower` is empty and `local` None where the device leaves it to the routes.
    `unlike` names settings that a document cannot have.
    """

    vni: int
    local: IpAddress | None = None
    lower: str = ""
    port: int = 4789
    learning: bool = True
    udpcsum: bool = True
    ttl: int = 0
    remote: IpAddress | None = None
    unlike: tuple[str, ...] = ()


@attrs.frozen
class Ipip:
    """What is special about an IPIP device; `unlike` as with VXLAN."""

    local: IpAddress | None = None
    remote: IpAddress | None = None
    lower: str = ""
    ttl: int = 0
    tos: int = 0
    pmtudisc: bool = False
    unlike: tuple[str, ...] = ()


@attrs.frozen
class Device:
    """A device of a node.

    Attributes:
        name: its name.
        kind: the type that `ip -d link` shows (`veth`), empty for hardware.
        layer: `ether`, `loopback`, `none`, ...
        mac: its address, None where it has none of Ethernet's.
        mtu: octets of the largest packet.
        up: it was taken up.
        carrier: and it runs.
        master: what it is a port of, empty for nothing.
        index: its number in its namespace.
        peer_index: the number of the other end, 0 if nothing is said.
        elsewhere: whether the other end is in another namespace.
        lower: the device below or the other end, in the same namespace.
        addresses: in the order of the kernel.
        ageing: of a bridge, in hundredths of a second.
        port: of a bridge's port.
        vxlan: of a VXLAN device.
        ipip: of an IPIP device.
        unlike: settings that a document cannot have, by name.
    """

    name: str
    kind: str = ""
    layer: str = "ether"
    mac: MacAddress | None = None
    mtu: int = 1500
    up: bool = True
    carrier: bool = True
    master: str = ""
    index: int = 0
    peer_index: int = 0
    elsewhere: bool = False
    lower: str = ""
    addresses: tuple[Address, ...] = ()
    ageing: int = 30_000
    port: Port | None = None
    vxlan: Vxlan | None = None
    ipip: Ipip | None = None
    unlike: tuple[str, ...] = ()


class Hop(NamedTuple):
    """One way of a route."""

    device: str
    gateway: IpAddress | None = None
    weight: int = 1
    onlink: bool = False


@attrs.frozen
class Route:
    """A route; `table` is a number or a name, `unlike` what a document cannot say of it."""

    dst: Prefix
    type: str = "unicast"
    hops: tuple[Hop, ...] = ()
    table: str = "main"
    protocol: str = "boot"
    scope: str = "global"
    prefsrc: IpAddress | None = None
    metric: int = 0
    tos: str = ""
    mtu: int = 0
    unlike: tuple[str, ...] = ()

    def __str__(self) -> str:
        dst = "default" if self.dst.length == 0 else str(self.dst)
        kind = "" if self.type == "unicast" else f"{self.type} "
        table = "" if self.table == "main" else f" of table {self.table}"
        return f"{kind}{dst}{table}"


@attrs.frozen
class RoutingRule:
    """An `ip rule`: its priority, and the words that would add it."""

    priority: int
    words: tuple[str, ...]
    table: str = ""

    def __str__(self) -> str:
        return " ".join((f"{self.priority}:", *self.words))


class Neighbour(NamedTuple):
    """An entry of the neighbour table; without `mac` nobody answered."""

    ip: IpAddress
    device: str
    mac: MacAddress | None
    state: str


class FdbEntry(NamedTuple):
    """An entry of a bridge's table (`master`) or of a device's own.

    `state` is `permanent`, `static`, or empty for what was learned. `further`
    are the words behind `dst` for what else a remote has.
    """

    mac: MacAddress
    device: str
    master: str
    state: str
    dst: IpAddress | None = None
    further: tuple[str, ...] = ()


class Setting(NamedTuple):
    """A name below `/proc/sys` as `sysctl` prints it, and what it held."""

    name: str
    value: str


@attrs.frozen
class RulesText:
    """The text of rules as a document takes it, and what it asks for that is not modelled."""

    text: str
    unmodelled: tuple[str, ...] = ()


class Listener(NamedTuple):
    """An address and port that rules send connections to."""

    protocol: str
    address: IpAddress
    port: int


@attrs.frozen
class NodeDump:
    """All that is known of one node. What was not recorded is None, or empty.

    Attributes:
        name: the folder's name.
        ipv6: what was passed over because it is IPv6: how many, by what it is.
        notes: what else is not in the values below, in words.
        guesses: what stands in them though no file says it, in words.
    """

    name: str
    devices: tuple[Device, ...] = ()
    routes: tuple[Route, ...] | None = None
    routing_rules: tuple[RoutingRule, ...] | None = None
    neighbours: tuple[Neighbour, ...] = ()
    fdb: tuple[FdbEntry, ...] = ()
    settings: tuple[Setting, ...] | None = None
    iptables: RulesText | None = None
    iptables_backend: str = ""
    nft: RulesText | None = None
    ipset: RulesText | None = None
    listeners: tuple[Listener, ...] = ()
    connections: int = 0
    ipv6: Mapping[str, int] = attrs.field(factory=dict)
    notes: tuple[str, ...] = ()
    guesses: tuple[str, ...] = ()

    def device(self, name: str) -> Device | None:
        """Return the device of that name, None if there is none."""
        return next((device for device in self.devices if device.name == name), None)
