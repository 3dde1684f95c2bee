# SPDX-License-Identifier: GPL-2.0-only
"""Constants: one value of a type, read and written."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from emu.tools.nft.faults import SyntaxFaultError
from emu.tools.nft.symbols import NAMES, SYMBOLS
from emu.tools.nft.tokens import number, tokenise

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.datatypes import DataType
    from emu.tools.nft.tokens import Token, Tokens

MILLISECOND: Final = 1_000_000  # ns
_UNITS: Final = {"d": 86400_000, "h": 3600_000, "m": 60_000, "s": 1000, "ms": 1}  # in milliseconds
_IFNAMSIZ: Final = 16
_COMPLAINTS: Final = {
    "inet_proto": "Could not resolve protocol name",
    "inet_service": "Could not resolve service: Servname not supported for ai_socktype",
    "ipv4_addr": "Could not resolve hostname: Name or service not known",
    "ipv6_addr": "Could not resolve hostname: Name or service not known",
    "uid": "User does not exist",
    "gid": "Group does not exist",
}


def parse_time(text: str) -> int:
    """Return the ns that text like `1d2h3m4s` says."""
    parts = re.findall(r"(\d+)(ms|[dhms])", text)
    return sum(int(count) * _UNITS[unit] for count, unit in parts) * MILLISECOND


def render_time(span: int) -> str:
    """Return a span of ns as `1d2h3m4s5ms`, parts of zero left out."""
    rest, text = span // MILLISECOND, ""
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


# --- reading ---


def take_atom(tokens: Tokens, datatype: DataType) -> int | str:
    """Take one value of `datatype`.

    Raises:
        SyntaxFaultError: it is none.
    """
    token = tokens.next
    if datatype.text or datatype.name == "iface_index":
        return _take_name(tokens, datatype)
    if token.kind in ("newline", "end") or (token.kind == "sign" and token.text != "!"):
        raise tokens.unexpected()
    tokens.take()
    if token.kind == "quoted":  # quotes change nothing
        token = next(tokenise(token.text))._replace(line=token.line, column=token.column)
    value = _value(token, datatype)
    if value is None:
        raise SyntaxFaultError(token.place, _complaint(token, datatype))
    if value > datatype.mask:
        out_of_range = "Service out of range" if datatype.name == "inet_service" else ""
        message = out_of_range or f"Value {value} exceeds valid range 0-{datatype.mask}"
        raise SyntaxFaultError(token.place, message)
    return value


def _take_name(tokens: Tokens, datatype: DataType) -> int | str:
    token = tokens.take_kind("word", "quoted", "number", "ip4", "time")
    if datatype.name == "iface_index" and token.kind == "number":
        return number(token.text)
    if len(token.text) >= _IFNAMSIZ:
        raise SyntaxFaultError(token.place, "String exceeds maximum length of 15")
    return token.text


def _value(token: Token, datatype: DataType) -> int | None:
    known = SYMBOLS.get(datatype.name, {})
    if token.text in known:
        return known[token.text]
    match datatype.name, token.kind:
        case ("ipv4_addr", "ip4") | ("ipv6_addr", "ip6" | "ip4"):
            return _address(token.text, datatype)
        case ("ipv4_addr", "number"):
            return number(token.text)
        case ("ether_addr", "mac"):
            return int("".join(part.zfill(2) for part in token.text.split(":")), 16)
        case ("time", "time"):
            return parse_time(token.text) // MILLISECOND
        case ("time", "number"):
            return number(token.text) * 1000
        case (_, "number") if datatype.name not in ("ether_addr", "ipv6_addr"):
            return number(token.text)
        case _:
            return None


@lru_cache(maxsize=4096)
def _address(text: str, datatype: DataType) -> int | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if address.version == 4 and datatype.bits == 128:
        return None
    return int(address)


def _complaint(token: Token, datatype: DataType) -> str:
    name = datatype.name
    if name in _COMPLAINTS:
        return _COMPLAINTS[name]
    if name == "integer":
        return f"Could not parse integer; did you mean a number instead of '{token.text}'?"
    if name in ("ct_state", "ct_status", "icmp_type", "icmpv6_type", "tcp_flag", "pkt_type"):
        return f"Could not parse {WORDS[name]}"
    return f"Could not parse {name}"


WORDS: Final = {
    "ct_state": "conntrack state",
    "ct_status": "conntrack status",
    "icmp_type": "ICMP type",
    "icmpv6_type": "ICMPv6 type",
    "tcp_flag": "TCP flag",
    "pkt_type": "packet type",
}


# --- writing ---


def render_atom(value: int | str, datatype: DataType, *, numeric: bool = False) -> str:
    """Return one value as nft lists it; `numeric` leaves the names of protocols out (`-n`)."""
    if isinstance(value, str):
        return f'"{value}"'
    name = datatype.name
    match name:
        case "ipv4_addr":
            return str(ipaddress.IPv4Address(value))
        case "ipv6_addr":
            return str(ipaddress.IPv6Address(value))
        case "ether_addr":
            return value.to_bytes(6, "big").hex(":")
        case "mark":
            return f"0x{value:08x}"
        case "time":
            return render_time(value * MILLISECOND)
        case "inet_service" | "uid" | "gid":
            return str(value)
        case "inet_proto" if numeric:
            return str(value)
        case _:
            return _named(value, datatype)


def _named(value: int, datatype: DataType) -> str:
    known = NAMES.get(datatype.name, {})
    if value in known:
        return known[value]
    if datatype.flags or datatype.name in ("dscp", "ecn"):
        return f"0x{value:02x}" if datatype.name == "dscp" else f"0x{value:x}"
    return f"0x{value:04x}" if datatype.name == "ether_type" else str(value)


def render_flags(value: int, datatype: DataType, joint: str) -> str:
    """Return the names of the bits that are set, joined by `joint`; a number where a bit has no name."""
    known = NAMES.get(datatype.name, {})
    names = [known[bit] for bit in sorted(known) if value & bit]
    if not names or value & ~sum(bit for bit in known if value & bit):
        return f"0x{value:x}"
    return joint.join(names)
