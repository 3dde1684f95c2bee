# SPDX-License-Identifier: GPL-2.0-only
"""ICMP for IPv4 (RFC 792, RFC 1191, RFC 1812)."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple, Self

from emu.errors import HeaderError
from emu.wire import craft
from emu.wire.checksum import checksum

HEADER_LENGTH: Final = 8

ECHO_REPLY: Final = 0
UNREACHABLE: Final = 3
SOURCE_QUENCH: Final = 4
REDIRECT: Final = 5
ECHO: Final = 8
TIME_EXCEEDED: Final = 11
PARAMETER_PROBLEM: Final = 12
TIMESTAMP: Final = 13
TIMESTAMP_REPLY: Final = 14

ERRORS: Final = frozenset((UNREACHABLE, SOURCE_QUENCH, REDIRECT, TIME_EXCEEDED, PARAMETER_PROBLEM))

NET_UNREACHABLE: Final = 0
HOST_UNREACHABLE: Final = 1
PROTOCOL_UNREACHABLE: Final = 2
PORT_UNREACHABLE: Final = 3
FRAGMENTATION_NEEDED: Final = 4
SOURCE_ROUTE_FAILED: Final = 5
PACKET_FILTERED: Final = 13

REDIRECT_HOST: Final = 1
TTL_EXCEEDED: Final = 0
REASSEMBLY_EXCEEDED: Final = 1

_LAYOUT: Final = struct.Struct("!BBHHH")


class Icmp(NamedTuple):
    """The first eight octets of a message.

    `word1` and `word2` are the second four octets: identifier and sequence
    number of an echo; unused and next-hop MTU of *fragmentation needed*.
    """

    type: int
    code: int
    checksum: int
    word1: int
    word2: int

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Return the header at the start of `octets`.

        Raises:
            HeaderError: fewer than 8 octets.
        """
        if len(octets) < HEADER_LENGTH:
            raise HeaderError(f"{len(octets)} octets hold no ICMP header")
        return cls._make(_LAYOUT.unpack_from(octets))


def build(kind: int, code: int, payload: bytes, *, word1: int = 0, word2: int = 0) -> bytes:
    """Return a message with its checksum.

    Args:
        kind: the type, 0 to 255.
        code: 0 to 255.
        payload: what follows the first eight octets.
        word1: octets 4 and 5, as in `Icmp`.
        word2: octets 6 and 7.
    """
    header = bytearray(craft.template("icmp"))
    _LAYOUT.pack_into(header, 0, kind, code, 0, word1, word2)
    message = bytes(header) + payload
    return message[:2] + checksum(message).to_bytes(2, "big") + message[4:]
