# SPDX-License-Identifier: GPL-2.0-only
"""Elements as they are written: `10.0.0.0/8,tcp:80`. Source: lib/parse.c, lib/print.c of ipset 7.17."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from emu.errors import AddressError, CommandError
from emu.kernel.netfilter.ipset.element import Addresses, Entry, Ports
from emu.kernel.netfilter.ipset.errors import IpSetError, Refusal
from emu.kernel.netfilter.ipset.expansion import ICMP, ICMPV6, WITH_PORTS
from emu.kernel.netfilter.ipset.types import Method, Part
from emu.tools.ipset import names
from emu.tools.ipset.words import FAILED, misused, name, number, refused, wrong
from emu.tools.protocols import PROTOCOL_NAMES
from emu.wire.addresses import IpAddress, MacAddress

if TYPE_CHECKING:
    from emu.kernel.netfilter.ipset.element import Element
    from emu.kernel.netfilter.ipset.spec import SetSpec
    from emu.kernel.netfilter.ipset.types import SetType

TCP: Final = 6
UDP: Final = 17
PHYSDEV: Final = "physdev:"
_MAX_IFACE: Final = 15
_MAX_PORT: Final = 0xFFFF
_PIECES: Final = {
    1: ("Elem separator", "none"),
    2: ("Two elem separators", "one"),
    3: ("Three elem separators", "two"),
}
"""By the dimensions of a type: what is too many, and what is not."""


def parse(spec: SetSpec, text: str) -> Entry:
    """Return what `text` stands for in a set of `spec`.

    Raises:
        CommandError: it is no element of that type.
    """
    if spec.type.method is Method.LIST:
        return _list_entry(text)
    addresses: list[Addresses] = []
    ports, iface, mac = None, "", b""
    for place, (part, piece) in enumerate(zip(spec.type.parts, _split(spec.type, text), strict=True)):
        match part:
            case Part.IP | Part.NET:
                addresses.append(_addresses(spec, place, piece))
            case Part.PORT:
                ports = _bitmap_ports(piece) if spec.type.method is Method.BITMAP else _ports(spec, piece)
            case Part.IFACE:
                iface = piece
            case _:
                mac = _mac(piece)
    return Entry(
        first=addresses[0] if addresses else None,
        ports=ports,
        second=addresses[1] if len(addresses) > 1 else None,
        iface=_iface(iface),
        physdev=iface.startswith(PHYSDEV),
        mac=mac,
    )


def _list_entry(text: str) -> Entry:
    """Return the member of a list; `NAME,before,OTHER` is an old way to write its place."""
    member, comma, rest = text.partition(",")
    place, _, other = rest.partition(",")
    if not comma or place not in {"before", "after"} or not other:
        return Entry(member=name(text))
    if place == "before":
        return Entry(member=name(member), before=name(other))
    return Entry(member=name(member), after=name(other))


def _split(kind: SetType, text: str) -> list[str]:
    """Return the pieces of `text`, one for each dimension."""
    wanted = len(kind.parts)
    pieces = text.split(",")
    if len(pieces) > wanted:
        found, supported = _PIECES[wanted]
        raise wrong(f"{found} in {text}, but settype {kind.name} supports {supported}.")
    if wanted > 1 and (len(pieces) == 1 or not pieces[0] or not pieces[-1]):
        raise wrong(f"Second element is missing from {text}.")
    if wanted > len(pieces) or (wanted > 1 and not all(pieces)):
        raise wrong(f"Third element is missing from {text}.")
    return pieces


# --- addresses ---


def _addresses(spec: SetSpec, place: int, text: str) -> Addresses:
    part = spec.type.parts[place]
    is_pair = place > 0 and part is Part.IP
    if is_pair or (spec.family == 6 and part is Part.IP):
        if _separator(text, "/") or (_separator(text, "-") and spec.family != 6):
            raise wrong(f"plain IP address must be supplied: {text}")
        return Addresses(_address(spec, text))
    if _separator(text, "/"):
        first, _, length = text.partition("/")
        cidr = number(length, 0, spec.bits)
        return Addresses(_address(spec, first), cidr=cidr)
    if _separator(text, "-"):
        if spec.family == 6:
            raise wrong(f"IP address or IP/cidr must be specified: {text}")
        first, _, last = text.partition("-")
        return Addresses(_address(spec, first), last=_address(spec, last))
    return Addresses(_address(spec, text))


def _separator(text: str, separator: str) -> bool:
    return separator in text[1:-1] and not text.startswith(separator)


def _address(spec: SetSpec, text: str) -> int:
    plain = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    family = socket.AF_INET6 if spec.family == 6 else socket.AF_INET
    try:
        return int.from_bytes(socket.inet_pton(family, plain), "big")
    except (OSError, ValueError):
        called = "IPv6" if spec.family == 6 else "IPv4"
        raise wrong(f"cannot parse {text}: resolving to {called} address failed") from None


def range_of_addresses(text: str) -> tuple[int, int]:
    """Return the ends of the range of a bitmap, `10.0.0.0/24` or `10.0.0.1-10.0.0.9`.

    Raises:
        CommandError: it is none.
    """
    for separator in "/-":
        if _separator(text, separator):
            first, _, rest = text.partition(separator)
            if separator == "-":
                return _ip4(first), _ip4(rest)
            length = number(rest, 0, 32)
            if length == 32:
                raise refused(IpSetError(Refusal.INVALID_CIDR), "create")
            low = _ip4(first) >> (32 - length) << (32 - length)
            return low, low + (1 << (32 - length)) - 1
    raise wrong(f"IP/cidr or IP-IP range must be specified: {text}")


def mask(text: str) -> int:
    """Return the mask of IPv4 that `text` is.

    Raises:
        CommandError: it is none.
    """
    return _ip4(text)


def _ip4(text: str) -> int:
    try:
        address = IpAddress.parse(text)
    except AddressError:
        address = None
    if address is None or address.family != 4:
        raise wrong(f"cannot parse {text}: resolving to IPv4 address failed")
    return int(address)


def _iface(text: str) -> str:
    found = text.removeprefix(PHYSDEV)
    if len(found.encode()) > _MAX_IFACE:
        raise wrong(f"interface name '{found}' is longer than {_MAX_IFACE} characters")
    return found


def _mac(text: str) -> bytes:
    try:
        return MacAddress.parse(text)
    except AddressError:
        raise wrong(f"cannot parse '{text}' as ethernet address") from None


# --- ports ---


def _ports(spec: SetSpec, text: str) -> Ports:
    first, colon, rest = text.partition(":")
    if not colon or not first or not rest:
        return _port_range(TCP, "tcp", text)
    protocol = _protocol(first)
    if protocol == ICMP:
        if spec.family == 6:
            raise wrong("Protocol ICMP can be used with family inet only")
        return Ports(protocol, _message(rest, names.ICMP, "ICMP"))
    if protocol == ICMPV6:
        if spec.family != 6:
            raise wrong("Protocol ICMPv6 can be used with family inet6 only")
        return Ports(protocol, _message(rest, names.ICMPV6, "ICMPv6"))
    if protocol in WITH_PORTS:
        return _port_range(protocol, first.lower(), rest)
    if rest != "0":
        raise wrong(f"Protocol {first} can be used with pseudo port value 0 only.")
    return Ports(protocol, 0)


def _bitmap_ports(text: str) -> Ports:
    first, colon, rest = text.partition(":")
    if not colon or not first or not rest:
        return _port_range(TCP, "tcp", text)
    protocol = _protocol(first)
    if protocol not in {TCP, UDP}:
        raise wrong("Only protocols TCP and UDP are valid")
    return _port_range(protocol, first.lower(), rest)


def range_of_ports(text: str) -> tuple[int, int]:
    """Return the ends of the range of a bitmap of ports, `0-1023`.

    Raises:
        CommandError: it is none.
    """
    ports = _bitmap_ports(text)
    if ports.last is None:
        raise misused("Mandatory option `to' is missing")
    return ports.first, ports.last


def _protocol(text: str) -> int:
    known = names.NUMBERS.get(text.lower())
    if known is not None:
        return known
    if text.isascii() and text.isdigit() and int(text[:4]) <= 255:
        return int(text)
    raise wrong(f"cannot parse '{text}' as a protocol")


def _port_range(protocol: int, called: str, text: str) -> Ports:
    if _separator(text, "-") and text not in names.services(called):
        first, _, last = text.partition("-")
        return Ports(protocol, _port(called, first), _port(called, last))
    return Ports(protocol, _port(called, text))


def _port(called: str, text: str) -> int:
    services = names.services(called)
    if text in services:
        return services[text]
    try:
        return number(text, 0, _MAX_PORT)
    except CommandError as error:
        more = f"Syntax error: '{called}' is invalid as number\ncannot parse '{text}' as a {called} port"
        raise CommandError(f"{error}\n{more}", error.status) from None


def _message(text: str, known: dict[str, int], called: str) -> int:
    """Return `type << 8 | code` of the ICMP message `text`, `8/0` or the beginning of a name."""
    if _separator(text, "/"):
        kind, _, code = text.partition("/")
        return number(kind, 0, 255) << 8 | number(code, 0, 255)
    asked = text.lower()
    named = {full.lower(): value for full, value in known.items()}
    named |= {short: known[full] for short, full in names.SHORT.items()}
    found = next((value for full, value in named.items() if full.startswith(asked)), None)
    if found is None:
        raise CommandError(f"Cannot parse {text} as an {called} type/code.", FAILED)
    return found


# --- what is printed ---


def address_text(address: int, bits: int) -> str:
    """Return an address, a number of so many bits, as it is printed."""
    return str(IpAddress.from_int(address, bits))


def render(spec: SetSpec, element: Element) -> str:
    """Return `element` of a set of `spec` as ipset prints it."""
    if spec.type.method is Method.LIST:
        return element.iface
    if spec.type.parts == (Part.PORT,):
        return str(element.port)
    return ",".join(_piece(spec, element, place) for place in range(len(spec.type.parts)))


def _piece(spec: SetSpec, element: Element, place: int) -> str:
    match spec.type.parts[place]:
        case Part.IP | Part.NET as part:
            ip, cidr = (element.ip, element.cidr) if place == 0 else (element.ip2, element.cidr2)
            text = address_text(ip, spec.bits)
            return text if part is Part.IP or cidr == spec.bits else f"{text}/{cidr}"
        case Part.PORT:
            return _port_text(element.protocol, str(element.port))
        case Part.IFACE:
            return f"{PHYSDEV if element.physdev else ''}{element.iface}"
        case _:
            return element.mac.hex(":").upper()


def _port_text(protocol: int, port: str) -> str:
    messages = {ICMP: names.ICMP, ICMPV6: names.ICMPV6}.get(protocol)
    if messages is not None:
        value = int(port)
        found = next((full for full, known in messages.items() if known == value), None)
        port = found or f"{value >> 8}/{value & 0xFF}"
    return f"{PROTOCOL_NAMES.get(protocol, protocol)}:{port}"


def render_entry(spec: SetSpec, entry: Entry) -> str:
    """Return `entry` as `ipset test` repeats it."""
    if spec.type.method is Method.LIST:
        beside = entry.before or entry.after
        return f"{entry.member} after {beside}" if beside else entry.member  # whatever was asked
    pieces = []
    for place, part in enumerate(spec.type.parts):
        match part:
            case Part.IP | Part.NET:
                asked = entry.first if place == 0 else entry.second
                pieces.append("" if asked is None else _asked_text(spec, asked))
            case Part.PORT:
                ports = entry.ports or Ports(TCP, 0)
                is_bitmap = spec.type.method is Method.BITMAP
                pieces.append(str(ports.first) if is_bitmap else _port_text(ports.protocol, str(ports.first)))
            case Part.IFACE:
                pieces.append(entry.iface)
            case _:
                pieces.append(entry.mac.hex(":").upper())
    return ",".join(pieces)


def _asked_text(spec: SetSpec, asked: Addresses) -> str:
    text = address_text(asked.first, spec.bits)
    if asked.last is not None and spec.type.parts == (Part.IP,):
        return f"{text}-{address_text(asked.last, spec.bits)}"
    has_length = asked.cidr is not None and asked.cidr != spec.bits
    return f"{text}/{asked.cidr}" if has_length else text
