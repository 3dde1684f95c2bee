# SPDX-License-Identifier: GPL-2.0-only
"""Broadcast requests of ARP, as all those see them whom they do not concern.

A bridge floods a pod's announcement of its address to all other pods of a node,
and each of them counts it and forgets it. Whether a namespace would do no more
than that is told here, without sending the frame through it. Where there is
any doubt it is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.errors import HeaderError
from emu.kernel import packet as packet_sockets
from emu.wire import arp, ethernet
from emu.wire.addresses import ANY_IP4, BROADCAST_MAC
from emu.wire.arp import REQUEST, Arp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace

_TYPE: Final = ethernet.ARP.to_bytes(2, "big")
_LENGTH: Final = ethernet.HEADER_LENGTH + arp.LENGTH


class FloodedRequest:
    """A request that goes to many namespaces at one instant."""

    __slots__ = ("_length", "_packet", "_quiet")

    def __init__(self, packet: Arp, length: int) -> None:
        self._packet = packet
        self._length = length
        self._quiet: dict[tuple[int, int], bool] = {}

    @classmethod
    def of(cls, octets: bytes) -> FloodedRequest | None:
        """Return the request in a frame; None if it holds another thing, or one that is special."""
        if octets[:6] != BROADCAST_MAC or octets[12:14] != _TYPE or len(octets) != _LENGTH:
            return None
        try:
            packet = Arp.parse(octets[ethernet.HEADER_LENGTH :])
        except HeaderError:
            return None
        target = packet.target_ip
        is_special = packet.sender_ip == ANY_IP4 or target.is_multicast or target.is_loopback
        return None if is_special or packet.operation != REQUEST else cls(packet, len(octets))

    def passes_by(self, net: Namespace, device: Device) -> bool:
        """Have `net` count the request, which came in on `device`, if it would do no more than that.

        Returns:
            Whether that is so; if not, nothing is done yet.
        """
        packet = self._packet
        if not device.up or not device.arp or device.port is not None or net.recorder is not None:
            return False
        if net.unseen or net.fib.has_custom_local_routes or not self._is_quiet(net, device.conf):
            return False
        if packet_sockets.is_heard(net):
            return False
        known = net.used_neighbours
        if known is not None and known.get(device.name, packet.sender_ip) is not None:
            return False
        target = packet.target_ip
        for each in net.devices.values():
            for own in each.addresses:
                if own.address == target:
                    return False
        counters = device.counters
        counters.rx_packets += 1
        counters.rx_bytes += self._length
        return True

    def _is_quiet(self, net: Namespace, conf: Mapping[str, int]) -> bool:
        """Return whether settings have nothing be done about others' requests; equal ones are one object."""
        key = id(conf), id(net.sysctl.conf["all"])
        found = self._quiet.get(key)
        if found is None:
            names = ("arp_accept", "drop_gratuitous_arp", "proxy_arp", "proxy_arp_pvlan")
            both = (conf, net.sysctl.conf["all"])
            found = not conf["forwarding"] and not any(each[name] for each in both for name in names)
            self._quiet[key] = found
        return found
