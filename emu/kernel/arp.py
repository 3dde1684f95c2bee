# SPDX-License-Identifier: GPL-2.0-only
"""ARP: packets are put into frames, addresses asked for and answered for, neighbours learned.

    output --> neighbour table --+--> frame, on its way
                 ^               +--> request (the packet waits)
                 |               +--> host unreachable, to the sender
               learn
                 |
    receive --> request for an address of ours, or one we are proxy for --> reply
            --> anything about a neighbour we know

Frames that are for others, and ARP on a device that has it switched off, are
passed over in silence as in Linux: they are no drops.

Source: RFC 826, RFC 5227 §2.1 (probes), net/ipv4/arp.c, Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from emu.errors import HeaderError
from emu.kernel import arp_policy, inetdev, netdev, routing
from emu.kernel.drops import DropReason
from emu.kernel.facts import Awaited, Resolved
from emu.kernel.fib import RouteType, Scope
from emu.kernel.neighbour import Discard, Send, Solicit, Unreachable
from emu.kernel.nud import Nud
from emu.kernel.proxy_queue import Redo
from emu.kernel.skb import PacketType
from emu.wire import arp, ethernet
from emu.wire.addresses import ANY_IP4, BROADCAST_MAC, ZERO_MAC, IpAddress, MacAddress
from emu.wire.arp import REPLY, REQUEST, Arp
from emu.wire.frame import Frame
from emu.wire.icmp import HOST_UNREACHABLE, UNREACHABLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.neighbour import Action, Neighbour
    from emu.kernel.skb import Skb

_MULTICAST_PREFIX: Final = b"\x01\x00\x5e"  # RFC 1112 §6.4


# --- packets of IPv4 on their way out ---


def output(net: Namespace, skb: Skb, device: Device, next_hop: IpAddress) -> None:
    """Send `skb` out of `device` to the MAC address of `next_hop`, once that is known.

    Source: net/ipv4/ip_output.c `ip_finish_output2`, include/net/neighbour.h `neigh_output`.
    """
    if not device.has_link_header:
        netdev.transmit(net, device, skb.routed_frame(ethernet.NO_HEADER))
        return
    if skb.confirms:
        net.neighbours.confirm(device.name, next_hop, net.now)
    neighbour = net.neighbours.get(device.name, next_hop)
    if neighbour is not None and neighbour.header:
        if net.recorder is not None:
            net.note(skb, "neighbour", _resolved(neighbour))
        netdev.transmit(net, device, skb.frame(neighbour.header))
        return
    if neighbour is None:
        neighbour = _create(net, device, next_hop)
    if neighbour is None:
        net.drop(skb, DropReason.NEIGH_CREATEFAIL, "the neighbour table is full", device.name)
        return
    act(net, net.neighbours.send(neighbour, skb, truesize(len(skb.packet)), net.now))
    if net.recorder is not None and neighbour.state is Nud.INCOMPLETE:
        net.note(skb, "neighbour", Awaited(next_hop, device.name))


def truesize(octets: int) -> int:
    """Return the memory that Linux charges for a packet of `octets` octets in a queue.

    256 octets for `struct sk_buff`, and the buffer: the packet, 31 octets in
    front of it and 320 behind it, in a block of 576, 1024, 2048, ... octets.
    With that 256, 166 and 92 datagrams of up to 225, 673 and 1697 octets
    wait within the default `unres_qlen_bytes`, as counted on Linux 6.18 for
    UDP between veth devices, our own and forwarded. Packets from a real
    network card take more, and so do those that a tunnel wrapped.

    Source: net/core/skbuff.c `__alloc_skb`, net/ipv4/ip_output.c `__ip_append_data`.
    """
    buffer = octets + 31 + 320
    return 256 + (576 if buffer <= 576 else 1 << (buffer - 1).bit_length())


def probe(net: Namespace, device: Device, ip: IpAddress) -> None:
    """Find out the MAC address of `ip`, though there is no packet for it yet."""
    neighbour = net.neighbours.get(device.name, ip) or _create(net, device, ip)
    if neighbour is not None:
        act(net, net.neighbours.probe(neighbour, net.now))


def _create(net: Namespace, device: Device, ip: IpAddress) -> Neighbour[Skb] | None:
    """Make the entry of an address; for some no question is needed. Source: `arp_constructor`."""
    state, mac = Nud.NOARP, device.mac
    kind = net.fib.address_type(ip)
    if device.is_loopback:
        pass
    elif kind is RouteType.MULTICAST:
        mac = MacAddress(_MULTICAST_PREFIX + bytes((ip[1] & 0x7F, ip[2], ip[3])))
    elif not device.arp:
        pass
    elif kind is RouteType.BROADCAST:
        mac = BROADCAST_MAC
    else:
        state, mac = Nud.NONE, ZERO_MAC
    return net.neighbours.create(device.name, ip, net.now, state, mac)


# --- what the neighbour table asks for ---


def timeout(net: Namespace) -> None:
    """Do what the timers of the neighbour table are due for."""
    act(net, net.neighbours.timeout(net.now))


def act(net: Namespace, actions: Iterable[Action[Skb]]) -> None:
    """Carry out what the neighbour table asks for, and see to it that its next timer is heard."""
    for action in actions:
        match action:
            case Send(neighbour, packets):
                _send(net, neighbour, packets)
            case Solicit(neighbour, unicast_to, packet):
                solicit(net, net.devices[neighbour.device], neighbour.ip, unicast_to, packet)
            case Unreachable(neighbour, packets):
                _report(net, neighbour, packets)
            case Discard(device, packets, reason):
                for lost in packets:
                    net.drop(lost, reason, iface=device)
            case Redo(device, frame):
                _redo(net, net.devices[device], frame)
            case _:
                assert_never(action)
    deadline = net.neighbours.next_deadline
    if deadline is not None:
        net.arm(deadline)


def _send(net: Namespace, neighbour: Neighbour[Skb], packets: tuple[Skb, ...]) -> None:
    """Send what waited, as long as the address is good. Source: `neigh_update_process_arp_queue`."""
    device = net.devices[neighbour.device]
    for skb in packets:
        if not neighbour.is_valid:
            net.drop(skb, DropReason.QUEUE_PURGE, iface=device.name)
            continue
        header = ethernet.header(neighbour.mac, device.mac, ethernet.IPV4)
        neighbour.remember(header)
        if net.recorder is not None:
            net.note(skb, "neighbour", _resolved(neighbour))
        netdev.transmit(net, device, skb.frame(header))


def _resolved(neighbour: Neighbour[Skb]) -> Resolved:
    return Resolved(neighbour.ip, neighbour.mac, neighbour.device, neighbour.state)


def _report(net: Namespace, neighbour: Neighbour[Skb], packets: tuple[Skb, ...]) -> None:
    """Tell the senders of `packets`, our own programs too, by ICMP that the host is unreachable.

    Source: `neigh_invalidate`, `arp_error_report`, net/ipv4/route.c `ipv4_link_failure`.
    """
    from emu.kernel import icmp, ip_options  # noqa: PLC0415 - they send packets, and so need this module

    for skb in packets:
        if neighbour.state is not Nud.FAILED:
            net.drop(skb, DropReason.QUEUE_PURGE, iface=neighbour.device)
            continue
        if ip_options.read_again(net, skb):
            icmp.send_error(net, skb, UNREACHABLE, HOST_UNREACHABLE)
        net.drop(skb, DropReason.NEIGH_FAILED, f"nobody answers for {neighbour.ip}", neighbour.device)


# --- ARP out ---


def solicit(
    net: Namespace, device: Device, target: IpAddress, unicast_to: MacAddress | None, skb: Skb | None
) -> None:
    """Ask for the MAC address of `target`.

    Args:
        net: the namespace.
        device: where to ask.
        target: whose address it is to be.
        unicast_to: the station to ask, None to ask all.
        skb: a packet that waits for the answer; its source may be what we ask with.

    Source: `arp_solicit`.
    """
    sender = arp_policy.sender(net, device, target, None if skb is None else skb.src)
    if sender is None:
        sender = inetdev.select_source(net.devices.values(), device, target, Scope.LINK) or ANY_IP4
    request = Arp(REQUEST, device.mac, sender, ZERO_MAC, target)
    _transmit(net, device, unicast_to or BROADCAST_MAC, request)


def announce(net: Namespace, device: Device) -> None:
    """Tell all stations our addresses on `device`, if `arp_notify` wants it.

    To be called when the device comes up and when its MAC address changes; a
    new address alone, and a carrier that comes back, are not announced.

    Source: net/ipv4/devinet.c `inetdev_send_gratuitous_arp`.
    """
    if device.is_loopback or not net.sysctl.conf_max(device.name, "arp_notify"):
        return
    for own in device.addresses:
        _transmit(net, device, BROADCAST_MAC, Arp(REQUEST, device.mac, own.address, ZERO_MAC, own.address))


def carrier_lost(net: Namespace, device: Device) -> None:
    """Forget who was on the cable of `device`, unless `arp_evict_nocarrier` is 0.

    Source: `arp_netdev_event`.
    """
    if net.sysctl.conf_and(device.name, "arp_evict_nocarrier"):
        act(net, net.neighbours.forget_device(device.name, keep_permanent=True))


def _transmit(net: Namespace, device: Device, dst: MacAddress, packet: Arp) -> None:
    """Send `packet` to the station `dst`, unless ARP is off on `device`. Source: `arp_send_dst`."""
    if device.arp:
        octets = ethernet.header(dst, device.mac, ethernet.ARP) + arp.build(*packet)
        netdev.transmit(net, device, Frame(octets, net.new_packet_id()))


# --- ARP in ---


def receive(net: Namespace, device: Device, frame: Frame, packet_type: PacketType) -> None:
    """Take the ARP packet in `frame`, which came in on `device`. Source: `arp_rcv`."""
    if packet_type is PacketType.OTHERHOST or not device.arp:
        net.note(frame, "arp", "passed over: ARP is off" if not device.arp else "passed over: for another")
        return
    if net.unseen and net.ends_unseen(frame, "arp", device.name):
        return
    octets = frame.octets[ethernet.HEADER_LENGTH :]
    if len(octets) < arp.LENGTH:
        net.drop(frame, DropReason.PKT_TOO_SMALL, f"{len(octets)} octets of ARP", device.name)
        return
    try:
        packet = Arp.parse(octets)
    except HeaderError as error:
        net.drop(frame, DropReason.NOT_SPECIFIED, str(error), device.name)
        return
    problem = arp_policy.problem(net, device, packet)
    if problem:
        net.drop(frame, DropReason.NOT_SPECIFIED, problem, device.name)
        return
    _process(net, device, frame, packet, packet_type)


def _redo(net: Namespace, device: Device, frame: Frame) -> None:
    """Answer a request that waited for a while. Source: `neigh_proxy_process`, `parp_redo`."""
    packet = Arp.parse(frame.octets[ethernet.HEADER_LENGTH :])
    _process(net, device, frame, packet, netdev.packet_type(device, frame.octets), waited=True)


def _process(
    net: Namespace,
    device: Device,
    frame: Frame,
    packet: Arp,
    packet_type: PacketType,
    *,
    waited: bool = False,
) -> None:
    """Answer `packet` and learn from it. Source: `arp_process`."""
    if packet.sender_ip == ANY_IP4:
        _answer_probe(net, device, frame, packet)
        return
    if packet.operation == REQUEST and not _is_plainly_for_another(net, device, packet):
        decision = routing.route_input(net, arp_policy.question(packet), device)
        if isinstance(decision, routing.Refusal):
            net.note(frame, "arp", f"not answered: {decision.detail}")
        elif decision.kind is RouteType.LOCAL:
            _answer(net, device, frame, packet, silence=arp_policy.silence(net, device, packet))
            return
        elif arp_policy.is_proxy(net, device, packet, decision):
            _answer_for_another(net, device, frame, packet, at_once=waited or packet_type is PacketType.HOST)
            return
        else:
            net.note(frame, "arp", f"not answered: {packet.target_ip} is not ours")
    _learn(net, device, frame, packet, packet_type)


def _is_plainly_for_another(net: Namespace, device: Device, packet: Arp) -> bool:
    """Return whether a request can be none of ours, and nobody wants to know why.

    A broadcast comes to every pod on a bridge: no route is looked up, and
    remembered, where the answer is known beforehand.
    """
    if net.recorder is not None or device.conf["forwarding"] or net.fib.has_custom_local_routes:
        return False
    target = packet.target_ip
    return not target.is_loopback and not any(
        own.address == target for each in net.devices.values() for own in each.addresses
    )


def _answer_probe(net: Namespace, device: Device, frame: Frame, packet: Arp) -> None:
    """Defend an address of ours against somebody who asks whether it is free (RFC 5227)."""
    if packet.operation != REQUEST or net.fib.address_type(packet.target_ip) is not RouteType.LOCAL:
        net.note(frame, "arp", "passed over: nothing is asked of us")
        return
    silence = arp_policy.ignores(net, device, packet)
    if silence:
        net.note(frame, "arp", f"not answered: {silence}")
    else:
        net.note(frame, "arp", f"answered: {packet.target_ip} is ours")
        _reply(net, device, packet)


def _answer(net: Namespace, device: Device, frame: Frame, packet: Arp, *, silence: str) -> None:
    """Answer for an address of ours; who asks for it will soon be a neighbour."""
    if silence:
        net.note(frame, "arp", f"not answered: {silence}")
    elif _hear(net, device, packet):
        net.note(frame, "arp", f"answered: {packet.target_ip} is ours")
        _reply(net, device, packet)
    else:
        net.note(frame, "arp", "not answered: the neighbour table is full")


def _answer_for_another(net: Namespace, device: Device, frame: Frame, packet: Arp, *, at_once: bool) -> None:
    """Answer in the place of a host behind us, a little later if all were asked."""
    _hear(net, device, packet)
    parameters = net.sysctl.neigh[device.name]
    delay = parameters["proxy_delay"]
    if at_once or not delay:
        net.note(frame, "arp", f"answered in the place of {packet.target_ip}")
        _reply(net, device, packet)
        return
    queue = net.neighbours.proxy_queue
    if not queue.enqueue(device.name, frame, net.now, delay=delay, limit=parameters["proxy_qlen"]):
        net.drop(frame, DropReason.NOT_SPECIFIED, "proxy_qlen requests wait already", device.name)
        return
    net.note(frame, "arp", f"to be answered in the place of {packet.target_ip} a little later")
    act(net, ())


def _hear(net: Namespace, device: Device, packet: Arp) -> bool:
    """Learn the sender's address; return False if the table has no room. Source: `neigh_event_ns`."""
    sender_ip, sender_mac = packet.sender_ip, packet.sender_mac
    act(net, net.neighbours.learn(device.name, sender_ip, sender_mac, net.now, create=True))
    return net.neighbours.get(device.name, sender_ip) is not None


def _reply(net: Namespace, device: Device, packet: Arp) -> None:
    asker = packet.sender_mac
    _transmit(net, device, asker, Arp(REPLY, device.mac, packet.target_ip, asker, packet.sender_ip))


def _learn(net: Namespace, device: Device, frame: Frame, packet: Arp, packet_type: PacketType) -> None:
    """Take over the sender's address: if it is a neighbour, or `arp_accept` makes it one."""
    table = net.used_neighbours
    known = None if table is None else table.get(device.name, packet.sender_ip)
    may_come = known is not None or net.sysctl.conf_max(device.name, "arp_accept") != 0
    gratuitous = may_come and arp_policy.is_gratuitous(net, packet)
    if known is None and not arp_policy.accepts(net, device, packet, gratuitous=gratuitous):
        net.note(frame, "arp", f"not learned: {packet.sender_ip} is no neighbour")
        return
    net.note(frame, "arp", f"heard that {packet.sender_ip} is at {packet.sender_mac}")
    actions = net.neighbours.learn(
        device.name,
        packet.sender_ip,
        packet.sender_mac,
        net.now,
        answered=packet.operation == REPLY and packet_type is PacketType.HOST,
        override=gratuitous or known is None or not net.neighbours.is_locked(known, net.now),
        create=True,
    )
    act(net, actions)
