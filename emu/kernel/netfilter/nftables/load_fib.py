# SPDX-License-Identifier: GPL-2.0-only
"""What the routing tables say of a packet's addresses. Source: net/ipv4/netfilter/nft_fib_ipv4.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.fib import Flow, RouteType
from emu.kernel.netfilter.hooks import Hook
from emu.wire.addresses import ANY_IP4, LIMITED_BROADCAST, IpAddress

if TYPE_CHECKING:
    from emu.kernel.link.device import Device
    from emu.kernel.netfilter.nftables.evaluation import Evaluation, Load
    from emu.kernel.netfilter.nftables.expressions import Fib
    from emu.kernel.netfilter.packet import Packet

_TYPES: Final = {
    RouteType.UNICAST: 1,
    RouteType.LOCAL: 2,
    RouteType.BROADCAST: 3,
    RouteType.MULTICAST: 5,
    RouteType.BLACKHOLE: 6,
    RouteType.UNREACHABLE: 7,
    RouteType.PROHIBIT: 8,
}
_LOCAL_MULTICAST: Final = b"\xe0\0\0"


def address_type_number(kind: RouteType) -> int:
    """Return the number by which rules call a type of addresses (`fib daddr type local`)."""
    return _TYPES.get(kind, 0)


def load_fib(fib: Fib) -> Load:
    """Return the function that asks the routing tables."""
    if fib.result == "type":
        return _load_type(fib)

    def device(evaluation: Evaluation) -> str | int:
        name = _device(evaluation.packet, fib)
        return int(bool(name)) if fib.present else name

    return device


def _load_type(fib: Fib) -> Load:
    of_destination, by_iif, by_oif = ("daddr" in fib.keys, "iif" in fib.keys, "oif" in fib.keys)

    def address_type(evaluation: Evaluation) -> int:
        packet, header = evaluation.packet, evaluation.skb.header
        device = packet.iif if by_iif else packet.oif if by_oif else ""
        address = header.dst if of_destination else header.src
        return address_type_number(packet.net.fib.address_type(address, device))

    return address_type


def _device(packet: Packet, fib: Fib) -> str:
    """Return the device of the route to an address, empty where there is none."""
    header, net = packet.skb.header, packet.net
    wanted = packet.oif if "oif" in fib.keys else packet.iif if "iif" in fib.keys else ""
    if packet.hook is Hook.PREROUTING and _is_loopback(packet.in_device):
        return packet.iif
    src, dst = header.src, header.dst
    if src[0] == 0 and (dst == LIMITED_BROADCAST or dst.startswith(_LOCAL_MULTICAST)):
        return packet.iif
    if "daddr" not in fib.keys:
        src, dst = dst, src
    is_forwarded = packet.hook is Hook.FORWARD and "iif" in fib.keys and "daddr" not in fib.keys
    flow = Flow(
        dst=dst,
        src=_usable_source(src),
        iif=packet.oif if is_forwarded else "lo",
        mark=packet.skb.mark if "mark" in fib.keys else 0,
        tos=header.tos,
    )
    found = net.fib.lookup(flow)
    if found is None or found.type is RouteType.LOCAL:
        return ""
    names = [hop.device for hop in found.route.nexthops]
    if wanted:
        return wanted if wanted in names else ""
    return found.device


def _is_loopback(device: Device | None) -> bool:
    return device is not None and device.is_loopback


def _usable_source(address: bytes) -> bytes:
    """Return an address that a look-up may have as its source. Source: `get_saddr`."""
    if address[0] == 0 or address[0] >> 4 == 14 or address == LIMITED_BROADCAST:
        return ANY_IP4
    return IpAddress(address)
