# SPDX-License-Identifier: GPL-2.0-only
"""The network on which rules are tried: a router with two cables and a bridge of two ports.

    ends/left ---- eth0 10.0.1.1 [router] 10.0.2.1 eth1 ---- ends/right
                                  10.0.3.1
                                     br0
                                   p1   p2
    ends/low ----------------------+     +------------------ ends/high

The ends have no addresses: whatever is sent and answered there, the case says.
"""

from __future__ import annotations

from typing import Final

from emu.cluster.network.model import (
    BridgeSpec,
    EndSpec,
    LinkSpec,
    NamespaceSpec,
    NeighbourSpec,
    NetworkDocument,
    PortSpec,
    RouteSpec,
    Sysctl,
)
from emu.wire.addresses import Interface, IpAddress, MacAddress, Prefix

ROUTER: Final = "router"
ENDS: Final = "ends"
DEVICES: Final = {"left": "eth0", "right": "eth1", "low": "p1", "high": "p2"}
"""The router's device at the other side of each end."""

MACS: Final = {end: MacAddress(bytes((2, 0, 0, 0, 1, n))) for n, end in enumerate(DEVICES, start=1)}
"""The addresses of the ends."""

ROUTER_MACS: Final = {end: MacAddress(bytes((2, 0, 0, 0, 2, n))) for n, end in enumerate(DEVICES, start=1)}
BRIDGE_MAC: Final = MacAddress.parse("02:00:00:00:03:01")
NETS: Final = {"eth0": "10.0.1", "eth1": "10.0.2", "br0": "10.0.3"}
"""The first three octets of the addresses behind each device; the router has .1."""

HOSTS: Final = range(2, 16)
"""The last octets of addresses that have a neighbour entry."""

BEYOND: Final = "10.9.0"
"""The addresses behind 10.0.2.9."""

ECHO_PORT: Final = 53
"""UDP port of the router where datagrams are answered."""


def gateway_mac(end: str) -> MacAddress:
    """Return the MAC address by which the router is reached from `end`."""
    return BRIDGE_MAC if end in ("low", "high") else ROUTER_MACS[end]


def end_of(address: str) -> str:
    """Return the end where the host `address` would be."""
    net, _, last = address.rpartition(".")
    if net == NETS["br0"]:
        return "low" if int(last) % 2 == 0 else "high"
    return "left" if net == NETS["eth0"] else "right"


def document() -> NetworkDocument:
    """Return the network."""
    settings = {
        "net.ipv4.ip_forward": 1,
        "net.ipv4.icmp_ratelimit": 0,
        "net.ipv4.icmp_ratemask": 0,
        "net.ipv4.icmp_msgs_per_sec": 1_000_000,
        "net.ipv4.icmp_msgs_burst": 1_000_000,
    }
    router = NamespaceSpec(ROUTER, tuple(Sysctl(name, str(value)) for name, value in settings.items()))
    links = [
        LinkSpec(
            EndSpec(ROUTER, device, ROUTER_MACS[end], _addresses(device)),
            EndSpec(ENDS, end, MACS[end]),
        )
        for end, device in DEVICES.items()
    ]
    bridge = BridgeSpec(ROUTER, "br0", BRIDGE_MAC, _addresses("br0"), ports=(PortSpec("p1"), PortSpec("p2")))
    neighbours = [
        NeighbourSpec(ROUTER, device, IpAddress.parse(f"{net}.{last}"), MACS[end_of(f"{net}.{last}")])
        for device, net in NETS.items()
        for last in HOSTS
    ]
    beyond = RouteSpec(ROUTER, Prefix.parse(f"{BEYOND}.0/24"), via=IpAddress.parse("10.0.2.9"))
    return NetworkDocument(
        (router, NamespaceSpec(ENDS)),
        links=tuple(links),
        bridges=(bridge,),
        neighbours=tuple(neighbours),
        routes=(beyond,),
    )


def _addresses(device: str) -> tuple[Interface, ...]:
    return (Interface.parse(f"{NETS[device]}.1/24"),) if device in NETS else ()
