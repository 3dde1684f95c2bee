# SPDX-License-Identifier: GPL-2.0-only
"""Scapy in, Scapy out: the only module that imports it.

Scapy makes the template of each header once; the stack patches octets. It also
builds what people write as Scapy expressions and dissects what they want shown.
Scapy fills in what is left out from the machine it runs on (routes, ARP table,
name service); here every such field is given, so nothing outside leaks in.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Final, Protocol, TypeGuard

from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    from scapy.packet import Packet

    from emu.wire.addresses import IpAddress, MacAddress

_NO_MAC: Final = "00:00:00:00:00:00"
_BROADCAST: Final = "ff:ff:ff:ff:ff:ff"
_NO_IP: Final = str(ANY_IP4)


class SupportsBytes(Protocol):
    """Anything that `bytes()` turns into octets, a Scapy packet among them."""

    def __bytes__(self) -> bytes: ...


@cache
def template(kind: str) -> bytes:
    """Return the octets of a header as Scapy builds it, all addresses and numbers zero.

    Args:
        kind: `ethernet`, `arp`, `ipv4`, `icmp`, `udp`, `tcp` or `vxlan`.

    Returns:
        The fixed header alone, 8 to 28 octets, to be patched by its `emu.wire` module.
    """
    layer = _blank_layers()[kind]
    return bytes(layer)


@cache
def layers() -> dict[str, type[Packet]]:
    """Return the Scapy layers that frames are written with, by name."""
    logging.getLogger("scapy").setLevel(logging.ERROR)
    from scapy.layers.inet import ICMP, IP, TCP, UDP
    from scapy.layers.l2 import ARP, Dot1Q, Ether
    from scapy.layers.vxlan import VXLAN
    from scapy.packet import Raw

    return {c.__name__: c for c in (Ether, ARP, Dot1Q, IP, UDP, TCP, ICMP, VXLAN, Raw)}


def _blank_layers() -> dict[str, Packet]:
    scapy = layers()
    return {
        "ethernet": scapy["Ether"](src=_NO_MAC, dst=_NO_MAC, type=0),
        "arp": scapy["ARP"](op=0, hwsrc=_NO_MAC, hwdst=_NO_MAC, psrc=_NO_IP, pdst=_NO_IP),
        "ipv4": scapy["IP"](src=_NO_IP, dst=_NO_IP, id=0, ttl=0, proto=0, len=0, chksum=0),
        "icmp": scapy["ICMP"](type=0, code=0, chksum=0, id=0, seq=0),
        "udp": scapy["UDP"](sport=0, dport=0, len=0, chksum=0),
        "tcp": scapy["TCP"](sport=0, dport=0, seq=0, ack=0, flags=0, window=0, chksum=0),
        "vxlan": scapy["VXLAN"](vni=0, flags="Instance"),
    }


def dissect(octets: bytes) -> Packet:
    """Return the frame as a Scapy packet, for people who read it with Scapy."""
    return layers()["Ether"](octets)


def octets_of(packet: SupportsBytes, *, src: IpAddress | None = None, mac: MacAddress | None = None) -> bytes:
    """Return the octets of `packet`, blanks filled from the emulated host.

    Args:
        packet: a Scapy packet, or anything with `__bytes__` (taken as it is).
        src: source address of an IP layer that has none.
        mac: source address of an Ethernet layer that has none.
    """
    if not _is_scapy(packet):
        return bytes(packet)
    filled = packet.copy()
    ether, ip, arp = (filled.getlayer(layers()[name]) for name in ("Ether", "IP", "ARP"))
    if ether is not None:
        _set_missing(ether, "src", str(mac) if mac else _NO_MAC)
        _set_missing(ether, "dst", _BROADCAST)
    if arp is not None:
        _set_missing(arp, "hwsrc", str(mac) if mac else _NO_MAC)
        _set_missing(arp, "psrc", str(src) if src else _NO_IP)
    if ip is not None:
        _set_missing(ip, "src", str(src) if src else _NO_IP)
    return bytes(filled)


def _set_missing(layer: Packet, field: str, value: str) -> None:
    if field not in layer.fields:
        layer.setfieldval(field, value)


def is_frame(packet: SupportsBytes) -> bool:
    """Return whether `packet` begins at layer 2 (a Scapy packet says so; plain octets are frames)."""
    return not _is_scapy(packet) or packet.name == "Ethernet"


def _is_scapy(packet: SupportsBytes) -> TypeGuard[Packet]:
    """Tell a Scapy packet without importing Scapy for those that are none."""
    return any(base.__module__ == "scapy.packet" for base in type(packet).__mro__)
