# SPDX-License-Identifier: GPL-2.0-only
"""CRC-32C, the checksum of SCTP (RFC 9260 appendix A)."""

from __future__ import annotations

from functools import cache

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, its bits turned round


@cache
def _table() -> tuple[int, ...]:
    entries = []
    for octet in range(256):
        value = octet
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        entries.append(value)
    return tuple(entries)


def crc32c(octets: bytes) -> bytes:
    """Return the checksum of `octets` as it stands in an SCTP header: 4 octets, the least first."""
    table = _table()
    value = 0xFFFFFFFF
    for octet in octets:
        value = table[(value ^ octet) & 0xFF] ^ value >> 8
    return (value ^ 0xFFFFFFFF).to_bytes(4, "little")


def sctp_checksum(packet: bytes) -> bytes:
    """Return the checksum of an SCTP packet, whatever stands in its checksum field now."""
    return crc32c(packet[:8] + b"\0\0\0\0" + packet[12:])
