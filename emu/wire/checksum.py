# SPDX-License-Identifier: GPL-2.0-only
"""The Internet checksum: whole (RFC 1071) and incremental (RFC 1624).

One's complement addition of 16-bit words is addition modulo 65535, so the sum
of any number of octets is one remainder of one big number.
"""

from __future__ import annotations


def ones_sum(octets: bytes) -> int:
    """Return the one's complement sum of `octets`, 0 to 65534 (odd lengths padded with 0).

    0 and 65535 are the same number in one's complement; this returns 0 for both.
    """
    if len(octets) & 1:
        octets += b"\0"
    return int.from_bytes(octets, "big") % 65535


def checksum(octets: bytes, initial: int = 0) -> int:
    """Return the Internet checksum of `octets`, a pseudo header's sum in `initial`.

    Only all-zero octets have the checksum 0xFFFF. Source: RFC 1071.
    """
    total = (initial + ones_sum(octets)) % 65535
    if total == 0 and (initial or any(octets)):
        return 0
    return 0xFFFF - total


def verifies(octets: bytes, initial: int = 0) -> bool:
    """Return whether `octets`, their checksum included, sum to minus zero.

    Source: RFC 1071 §1 (3).
    """
    if len(octets) & 1:
        octets += b"\0"
    return (initial + int.from_bytes(octets, "big")) % 65535 == 0


def update(old_checksum: int, old: int, new: int) -> int:
    """Return the checksum after a field changed from `old` to `new`.

    Args:
        old_checksum: the stored checksum, as the field stands in the header.
        old: the field before: any number of 16-bit words read as one number.
        new: the field after, of the same width and alignment.

    Source: RFC 1624 §3 (equation 3): HC' = ~(~HC + ~m + m').
    """
    total = (0xFFFF - old_checksum) + (65535 - old % 65535) + new % 65535
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def pseudo_header(src: bytes, dst: bytes, protocol: int, length: int) -> int:
    """Return the one's complement sum of the pseudo header of UDP and TCP.

    Args:
        src: source address, 4 or 16 octets.
        dst: destination address of the same family.
        protocol: IP protocol number.
        length: octets of the transport header and its payload.

    Source: RFC 9293 §3.1 (IPv4), RFC 8200 §8.1 (IPv6).
    """
    return (int.from_bytes(src + dst, "big") + protocol + length) % 65535
