# SPDX-License-Identifier: GPL-2.0-only
"""Scapy in, Scapy out: the only module that imports it.

Scapy makes the template of each header once; the stack patches octets. It also
builds what people write as Scapy expressions and dissects what they want shown.
Scapy fills in what is left out from the machine it runs on (routes, ARP table,
name service); here every such field is given, so nothing outside leaks in, and
where emu is the first to import it, it does not read the machine's routes: that
takes time, and they are of no use here. A program that also sends frames of its
own by Scapy calls `conf.route.resync()` of Scapy first.
"""

from __future__ import annotations

import enum
import logging
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias, TypeGuard

from emu.errors import FrameSyntaxError
from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from scapy.fields import AnyField
    from scapy.packet import Packet

    from emu.wire.addresses import IpAddress, MacAddress

ScapyPacket: TypeAlias = "Packet"
"""A packet of Scapy, for those that must not import Scapy."""

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
    from scapy.config import conf

    conf.route_autoload = conf.route6_autoload = False  # read when `scapy.layers` is imported, never later
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


class FieldKind(enum.Enum):
    """What the value of a layer's field is."""

    NUMBER = enum.auto()  # or a word for a number
    FLAGS = enum.auto()
    MAC = enum.auto()
    IPV4 = enum.auto()
    OCTETS = enum.auto()
    IP_OPTIONS = enum.auto()
    TCP_OPTIONS = enum.auto()
    OTHER = enum.auto()


class FieldShape(NamedTuple):
    """What a field takes: numbers of so many bits, words for some of them, names of flags."""

    kind: FieldKind
    bits: int
    words: Mapping[str, int]
    flags: Sequence[str]


FieldValue: TypeAlias = "bool | int | str | bytes | list[FieldValue] | tuple[FieldValue, ...] | None"

_KINDS: Final[Mapping[str, FieldKind]] = {
    "Ether.dst": FieldKind.MAC,
    "Ether.src": FieldKind.MAC,
    "ARP.hwsrc": FieldKind.MAC,
    "ARP.psrc": FieldKind.IPV4,
    "ARP.hwdst": FieldKind.MAC,
    "ARP.pdst": FieldKind.IPV4,
    "IP.src": FieldKind.IPV4,
    "IP.dst": FieldKind.IPV4,
    "ICMP.gw": FieldKind.IPV4,
    "ICMP.addr_mask": FieldKind.IPV4,
    "IP.options": FieldKind.IP_OPTIONS,
    "TCP.options": FieldKind.TCP_OPTIONS,
    "Raw.load": FieldKind.OCTETS,
}
_ETHERTYPES: Final = {"IPv4": 0x0800, "ARP": 0x0806, "IPv6": 0x86DD}
# Scapy reads these words from files of the machine it runs on.
_WORDS: Final[Mapping[str, Mapping[str, int]]] = {
    "Ether.type": _ETHERTYPES,
    "Dot1Q.type": _ETHERTYPES,
    "ARP.ptype": _ETHERTYPES,
    "IP.proto": {"icmp": 1, "ipip": 4, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ah": 51, "sctp": 132},
    "UDP.sport": {},
    "UDP.dport": {},
    "TCP.sport": {},
    "TCP.dport": {},
}


@cache
def shapes(layer: str) -> Mapping[str, FieldShape]:
    """Return what the fields of one of `layers()` take, by name."""
    return {field.name: _shape(f"{layer}.{field.name}", field) for field in layers()[layer].fields_desc}


def _shape(name: str, field: AnyField) -> FieldShape:
    from scapy.fields import (
        BitField,
        ConditionalField,
        Emph,
        Field,
        FlagsField,
        MultiEnumField,
        MultipleTypeField,
    )

    while isinstance(field, ConditionalField | Emph):
        field = field.fld
    words: Mapping[str, int] = {}
    if name in _WORDS:
        words = _WORDS[name]
    elif isinstance(field, MultiEnumField):
        words = {word: number for table in field.s2i_multi.values() for word, number in table.items()}
    else:
        words = getattr(field, "s2i", None) or {}
    if isinstance(field, FlagsField):
        return FieldShape(FieldKind.FLAGS, int(field.size), words, tuple(field.names))
    if name in _KINDS:
        kind = _KINDS[name]
    elif isinstance(field, MultipleTypeField) or not isinstance(field, Field) or field.fmt.endswith("s"):
        kind = FieldKind.OTHER
    else:
        kind = FieldKind.NUMBER
    bits = int(field.size) if isinstance(field, BitField) else int(field.sz) * 8
    return FieldShape(kind, bits, words, ())


@cache
def tcp_options() -> frozenset[str]:
    """Return the names of TCP options."""
    layers()
    from scapy.layers.inet import TCPOptions

    return frozenset(TCPOptions[1]) | {"NOP", "EOL"}


def layer(name: str, fields: Mapping[str, FieldValue]) -> Packet:
    """Return one of `layers()` with some of its fields.

    Raises:
        FrameSyntaxError: a value is none that the field can have.
    """
    make: Callable[..., Packet] = layers()[name]
    with _scapy_complaints():
        return make(**fields)


def stack(parts: Sequence[Packet]) -> Packet:
    """Return the packet of these layers, the outermost first; one at least."""
    packet, *inner = parts
    for part in inner:
        packet = packet / part
    return packet


@contextmanager
def _scapy_complaints() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        lines = [line for line in str(error).splitlines() if not line.startswith("To inject bytes")]
        raise FrameSyntaxError(" ".join(lines) or type(error).__name__) from error


def dissect(octets: bytes) -> Packet:
    """Return the frame as a Scapy packet, for people who read it with Scapy."""
    return layers()["Ether"](octets)


def octets_of(packet: SupportsBytes, *, src: IpAddress | None = None, mac: MacAddress | None = None) -> bytes:
    """Return the octets of `packet`, blanks filled from the emulated host.

    Args:
        packet: a Scapy packet, or anything with `__bytes__` (taken as it is).
        src: source address of the outermost IP or ARP layer, if that has none.
        mac: source address of the outermost Ethernet or ARP layer, if that has none.

    Raises:
        FrameSyntaxError: Scapy cannot build it.
    """
    if not _is_scapy(packet):
        return bytes(packet)
    filled = packet.copy()
    outermost: set[str] = set()
    layer = filled
    while layer:
        kind = type(layer).__name__
        is_inner = kind in outermost
        outermost.add(kind)
        own_mac = _NO_MAC if is_inner or mac is None else str(mac)
        own_ip = _NO_IP if is_inner or src is None else str(src)
        for field, blank in _blanks(kind, own_mac, own_ip).items():
            if layer.fields.get(field) is None:
                layer.setfieldval(field, blank)
        layer = layer.payload
    with _scapy_complaints():
        return bytes(filled)


def _blanks(kind: str, own_mac: str, own_ip: str) -> dict[str, str | int]:
    """Return what Scapy would take from the machine it runs on, by field of a layer."""
    match kind:
        case "Ether":
            return {"src": own_mac, "dst": _BROADCAST}
        case "ARP":
            return {"hwsrc": own_mac, "psrc": own_ip}
        case "IP":
            return {"src": own_ip}
        case "IPv6":
            return {"src": "::"}
        case "ICMP":
            return {"ts_ori": 0, "ts_rx": 0, "ts_tx": 0}
        case _:
            return {}


def is_frame(packet: SupportsBytes) -> bool:
    """Return whether `packet` begins at layer 2 (a Scapy packet says so; plain octets are frames)."""
    return not _is_scapy(packet) or packet.name == "Ethernet"


def _is_scapy(packet: SupportsBytes) -> TypeGuard[Packet]:
    """Tell a Scapy packet without importing Scapy for those that are none."""
    return any(base.__module__ == "scapy.packet" for base in type(packet).__mro__)


def destination_of(packet: SupportsBytes) -> str:
    """Return the destination address of a Scapy packet that begins with IP.

    Raises:
        FrameSyntaxError: it begins with something else.
    """
    found = packet.getlayer(layers()["IP"]) if _is_scapy(packet) else None
    if found is None:
        raise FrameSyntaxError("only packets that begin with Ether or IP can be sent")
    return str(found.dst)


def answer_to(question: SupportsBytes, octets: bytes) -> Packet | None:
    """Return the frame `octets`, from the layer that `question` begins with, if it answers that.

    A source address that `question` leaves out is whatever address the answer
    goes to, not what Scapy would take from the machine it runs on.

    Source: Scapy's `Packet.answers`.
    """
    asked = question.copy() if _is_scapy(question) else dissect(bytes(question))
    found = dissect(octets).getlayer(type(asked))
    if found is None:
        return None
    sent, back = (packet.getlayer(layers()["IP"]) for packet in (asked, found))
    if sent is not None and back is not None and sent.fields.get("src") is None:
        sent.src = back.dst
    return found if found.answers(asked) else None
