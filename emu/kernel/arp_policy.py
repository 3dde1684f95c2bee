# SPDX-License-Identifier: GPL-2.0-only
"""What `net.ipv4.conf.*` has to say about ARP: whom to answer, what to believe, what to ask with.

Source: net/ipv4/arp.c `arp_process`, `arp_ignore`, `arp_filter`, `arp_accept`,
`arp_fwd_proxy`; Documentation/networking/ip-sysctl.rst.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel import routing
from emu.kernel.fib import RouteType, Scope
from emu.kernel.skb import Skb
from emu.wire import ipv4
from emu.wire.addresses import ANY_IP4
from emu.wire.arp import REPLY, REQUEST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kernel.link.device import Device, IfAddress
    from emu.kernel.namespace import Namespace
    from emu.kernel.routing import RouteDecision
    from emu.wire.addresses import IpAddress
    from emu.wire.arp import Arp


def problem(net: Namespace, device: Device, packet: Arp) -> str:
    """Return why `packet` is not to be looked at at all, empty if it is."""
    if packet.operation not in {REQUEST, REPLY}:
        return f"ARP operation {packet.operation}"
    target = packet.target_ip
    if target.is_multicast:
        return "ARP about a multicast address"
    if target.is_loopback and not net.sysctl.conf_or(device.name, "route_localnet"):
        return "ARP about 127.0.0.0/8"
    if packet.sender_ip == target and net.sysctl.conf_or(device.name, "drop_gratuitous_arp"):
        return "drop_gratuitous_arp"
    return ""


def question(packet: Arp) -> Skb:
    """Return a packet from who asks to whom is asked for: whether it would reach us is to be found out."""
    return Skb(ipv4.build(0, packet.sender_ip, packet.target_ip, b""), 0)


# --- whom to answer ---


def silence(net: Namespace, device: Device, packet: Arp) -> str:
    """Return why a request for an address of ours is not answered, empty if it is."""
    ignored = ignores(net, device, packet)
    if ignored or not net.sysctl.conf_or(device.name, "arp_filter"):
        return ignored
    try:
        back = routing.route_output(net, packet.sender_ip, src=packet.target_ip)
    except OSError:
        return "arp_filter: there is no way back"
    return "" if back.device is device else f"arp_filter: the way back is by {back.device.name}"


def ignores(net: Namespace, device: Device, packet: Arp) -> str:
    """Return what `arp_ignore` has against an answer, empty for nothing."""
    mode = net.sysctl.conf_max(device.name, "arp_ignore")
    asker, target = packet.sender_ip, packet.target_ip
    match mode:
        case 1:
            confirmed = _confirms(net, [device], ANY_IP4, target, Scope.HOST)
        case 2:
            confirmed = _confirms(net, [device], asker, target, Scope.HOST)
        case 3:
            confirmed = any(
                _confirms(net, [other], ANY_IP4, target, Scope.LINK) for other in net.devices.values()
            )
        case _:
            confirmed = mode != 8
    return "" if confirmed else f"arp_ignore {mode}"


def is_proxy(net: Namespace, device: Device, packet: Arp, decision: RouteDecision) -> bool:
    """Return whether we answer in the place of the host that `decision` leads to."""
    if not device.conf["forwarding"] or decision.kind is not RouteType.UNICAST:
        return False
    if decision.device is device:
        self_probe = packet.sender_ip == packet.target_ip
        return not self_probe and net.sysctl.conf_or(device.name, "proxy_arp_pvlan")
    if (device.name, packet.target_ip) in net.neighbours.proxies:
        return True
    if not net.sysctl.conf_or(device.name, "proxy_arp"):
        return False
    medium, other = device.conf["medium_id"], decision.device.conf["medium_id"]
    return medium == 0 or (medium != -1 and other not in {medium, -1})


# --- what to believe ---


def is_gratuitous(net: Namespace, packet: Arp) -> bool:
    """Return whether somebody tells his own address unasked. Source: `arp_is_garp`."""
    if packet.sender_ip != packet.target_ip:
        return False
    if packet.operation == REPLY and packet.target_mac != packet.sender_mac:
        return False
    return net.fib.address_type(packet.sender_ip) is RouteType.UNICAST


def accepts(net: Namespace, device: Device, packet: Arp, *, gratuitous: bool) -> bool:
    """Return whether `arp_accept` makes the sender of `packet` a neighbour."""
    mode = net.sysctl.conf_max(device.name, "arp_accept")
    if mode == 2:
        if not _confirms(net, [device], packet.sender_ip, ANY_IP4, Scope.LINK):
            return False
    elif mode != 1:
        return False
    if gratuitous:
        return True
    return packet.operation == REPLY and net.fib.address_type(packet.sender_ip) is RouteType.UNICAST


# --- what to ask with ---


def sender(net: Namespace, device: Device, target: IpAddress, src: IpAddress | None) -> IpAddress | None:
    """Return the source of a waiting packet if one may ask for `target` with it, as `arp_announce` says.

    Args:
        net: the namespace.
        device: where to ask.
        target: whose address is asked for.
        src: the packet's source, None without a packet.
    """
    mode = net.sysctl.conf_max(device.name, "arp_announce")
    if src is None or mode == 2 or net.fib.address_type(src) is not RouteType.LOCAL:
        return None
    if mode != 1:
        return src
    shared = any(target in own.prefix and src in own.prefix for own in device.addresses)
    return src if shared else None


# --- our addresses ---


def _confirms(
    net: Namespace, devices: Iterable[Device], dst: IpAddress, local: IpAddress, scope: Scope
) -> bool:
    """Return whether one of `devices` has the address `local`, in a subnet with `dst`.

    Args:
        net: the namespace.
        devices: where to look.
        dst: a neighbour in the same subnet; `ANY_IP4` for anybody.
        local: the address; `ANY_IP4` for any.
        scope: the nearest scope that will do.

    Source: net/ipv4/devinet.c `confirm_addr_indev`.
    """
    for device in devices:
        nearest = Scope.LINK if net.sysctl.conf_or(device.name, "route_localnet") else Scope.HOST
        usable = [own for own in device.addresses if min(Scope[own.scope.upper()], nearest) <= scope]
        if local != ANY_IP4:
            usable = [own for own in usable if own.address == local]
        if usable and any(_spans(own, dst, local) for own in device.addresses):
            return True
    return False


def _spans(own: IfAddress, dst: IpAddress, local: IpAddress) -> bool:
    """Return whether the subnet of `own` holds both addresses, as far as they are given."""
    return all(address == ANY_IP4 or address in own.prefix for address in (dst, local))
