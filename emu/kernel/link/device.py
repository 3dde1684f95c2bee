# SPDX-License-Identifier: GPL-2.0-only
"""A network device: what all kinds have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.link.bridge import Port
    from emu.kernel.namespace import Namespace
    from emu.wire.addresses import IpAddress, MacAddress, Prefix
    from emu.wire.frame import Frame

ETHERNET_MTU: Final = 1500
MIN_MTU: Final = 68  # RFC 791: the least that IPv4 works with


class Link(Protocol):
    """What makes a device a veth, a bridge, a VXLAN: how it sends."""

    @property
    def kind(self) -> str:
        """The word behind `type` in `ip link add`; empty for the loopback."""

    def transmit(self, net: Namespace, device: Device, frame: Frame) -> None:
        """Send `frame`; taps have seen it already. Source: `ndo_start_xmit`."""


@attrs.define
class Counters:
    """Frames and octets since the device was made, as `ip -s link` counts them."""

    rx_packets: int = 0
    rx_bytes: int = 0
    rx_dropped: int = 0
    tx_packets: int = 0
    tx_bytes: int = 0
    tx_dropped: int = 0


@attrs.frozen
class IfAddress:
    """An address of a device, as `ip addr add` enters it.

    Attributes:
        address: the address itself.
        prefix: the subnet it makes reachable.
        broadcast: the subnet's broadcast address, None if none was given.
        scope: `global`, `link` or `host`.
        secondary: another address of the same subnet was there before.
    """

    address: IpAddress
    prefix: Prefix
    broadcast: IpAddress | None
    scope: str
    secondary: bool

    def __str__(self) -> str:
        return f"{self.address}/{self.prefix.length}"


@attrs.define(eq=False)
class Device:
    """A network device of one namespace.

    Attributes:
        name: at most 15 characters.
        index: counted from 1 in each namespace; the loopback is 1.
        mac: its address; all zeros for the loopback.
        mtu: the largest IP packet, octets.
        link: what is particular to its kind.
        up: administratively up (IFF_UP).
        carrier: the cable works (IFF_LOWER_UP needs `up` too).
        addresses: in the order in which `ip addr` lists them.
        port: the device's place in a bridge, None if it is no port.
        peer_index: ifindex of a veth's other end, 0 if there is none.
        conf: the values of `net.ipv4.conf.NAME.*`.
        activated: it has been up; before, it has no queueing discipline to show.
        tx_offload: checksums of what it sends are left to the card (`tx-checksum-ip-generic`).
        spoils_tunnels: it is a card that gets them wrong inside of tunnels.
        has_link_header: its frames begin with one. On a tunnel of packets they
            have one of zeros, which nobody gets to see.
    """

    name: str
    index: int
    mac: MacAddress
    link: Link
    mtu: int = ETHERNET_MTU
    up: bool = False
    carrier: bool = True
    arp: bool = True
    addresses: list[IfAddress] = attrs.field(factory=list)
    port: Port | None = None
    peer_index: int = 0
    conf: Mapping[str, int] = attrs.field(factory=dict)
    counters: Counters = attrs.field(factory=Counters)
    activated: bool = False
    has_link_header: bool = True
    tx_offload: bool = True
    spoils_tunnels: bool = False

    @property
    def is_running(self) -> bool:
        """Whether it is up and has a carrier (IFF_LOWER_UP)."""
        return self.up and self.carrier

    @property
    def is_loopback(self) -> bool:
        """Whether this is `lo`."""
        return self.index == 1
