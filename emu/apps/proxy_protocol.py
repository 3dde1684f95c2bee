# SPDX-License-Identifier: GPL-2.0-only
"""The PROXY protocol: a proxy tells whom it speaks for, before all else that it sends.

Version 1 is a line of text, version 2 has fixed fields. Of what a header can
carry the addresses are modelled; TLVs are passed over, none are written.

Source: haproxy.org, The PROXY protocol, versions 1 and 2, sections 2.1 and 2.2.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import AddressError
from emu.fabric import program
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.fabric.program import Program
    from emu.kernel.sockets import Socket
    from emu.sim.time import Duration

VERSIONS: Final = (1, 2)
_TEXT: Final = b"PROXY "
_LONGEST: Final = 107  # octets of a header of version 1
_PORT: Final = re.compile(r"[0-9]{1,5}")
_LARGEST_PORT: Final = 65535
_LENGTHS: Final = {"TCP4": 4, "TCP6": 16}  # octets of addresses
_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_FIXED: Final = 16  # octets in front of the addresses of version 2
_LOCAL, _PROXY = 0x20, 0x21
_TCP4: Final = 0x11
_ADDRESSES: Final = 12  # octets of two addresses and ports of IPv4


@attrs.frozen
class Ends:
    """Between whom the connection is that a proxy took."""

    src: IpAddress
    src_port: int
    dst: IpAddress
    dst_port: int


def header(version: int, ends: Ends) -> bytes:
    """Return the header that a proxy sends for a connection of TCP over IPv4."""
    if version == 1:
        return f"PROXY TCP4 {ends.src} {ends.dst} {ends.src_port} {ends.dst_port}\r\n".encode()
    ports = ends.src_port.to_bytes(2, "big") + ends.dst_port.to_bytes(2, "big")
    fixed = _SIGNATURE + bytes((_PROXY, _TCP4)) + _ADDRESSES.to_bytes(2, "big")
    return fixed + bytes(ends.src) + bytes(ends.dst) + ports


class NoHeaderError(Exception):
    """What came is no header of the PROXY protocol."""


def parse(data: bytes) -> tuple[Ends | None, bytes] | None:
    """Read a header from the beginning of what has come.

    Returns:
        None while more has to come; else between whom the connection is (None
        where the proxy speaks for itself, or of what is not modelled), and what
        follows the header.

    Raises:
        NoHeaderError: it is none.
    """
    if data.startswith(_TEXT):
        return _parse_text(data)
    if data.startswith(_SIGNATURE):
        return _parse_fixed(data)
    if _TEXT.startswith(data) or _SIGNATURE.startswith(data):
        return None
    raise NoHeaderError


def _parse_text(data: bytes) -> tuple[Ends | None, bytes] | None:
    line, end, rest = data.partition(b"\r\n")
    if not end:
        if len(data) >= _LONGEST:
            raise NoHeaderError
        return None
    words = line.decode("ascii", "replace").split(" ")
    if words[1:2] == ["UNKNOWN"]:
        return None, rest
    try:
        _, protocol, src, dst, src_port, dst_port = words
        ends = Ends(IpAddress.parse(src), _port(src_port), IpAddress.parse(dst), _port(dst_port))
    except (ValueError, AddressError):
        raise NoHeaderError from None
    if not len(ends.src) == len(ends.dst) == _LENGTHS.get(protocol):
        raise NoHeaderError
    return ends, rest


def _port(text: str) -> int:
    if _PORT.fullmatch(text) is None or int(text) > _LARGEST_PORT:
        raise NoHeaderError
    return int(text)


def _parse_fixed(data: bytes) -> tuple[Ends | None, bytes] | None:
    if len(data) < _FIXED:
        return None
    command, family = data[12], data[13]
    end = _FIXED + int.from_bytes(data[14:16], "big")
    if len(data) < end:
        return None
    if command not in {_LOCAL, _PROXY}:
        raise NoHeaderError
    if command == _LOCAL or family != _TCP4:
        return None, data[end:]
    if end < _FIXED + _ADDRESSES:
        raise NoHeaderError
    body = data[_FIXED:]
    ports = int.from_bytes(body[8:10], "big"), int.from_bytes(body[10:12], "big")
    return Ends(IpAddress(body[:4]), ports[0], IpAddress(body[4:8]), ports[1]), data[end:]


def receive(socket: Socket, patience: Duration) -> Program[tuple[Ends | None, bytes]]:
    """Read the header that a connection begins with, as a server does that wants one.

    Returns:
        Between whom the connection is, and what has come behind the header.

    Raises:
        NoHeaderError: something else came, or the connection ended before.
        OSError: the connection failed, or nothing came for `patience` ns.
    """
    data = b""
    while True:
        piece = yield from program.receive(socket, timeout=patience)
        if not piece:
            raise NoHeaderError
        data += piece
        found = parse(data)
        if found is not None:
            return found
