# SPDX-License-Identifier: GPL-2.0-only
"""A number for the flow that a frame belongs to, so that all its frames go one way.

Linux hashes what its flow dissector finds and prefers, for packets that a
socket of the same machine sent, a number that the socket drew. What can be told
apart by that from outside is kept here: the packets of a TCP connection or UDP
conversation in one direction share a hash and those of the other have another,
also in fragments, of which only the addresses count; of other protocols only
the addresses count and both directions share one. Source: net/core/flow_dissector.c `__skb_get_hash_net`,
include/net/udp_tunnel.h.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final

from emu.wire.ethernet import HEADER_LENGTH, IPV4, IPV6
from emu.wire.ipv4 import MF, MIN_HEADER, OFFSET_MASK, TCP, UDP

_SCTP: Final = 132
_WITH_PORTS: Final = frozenset((TCP, UDP, _SCTP))
_ETHERTYPE4: Final = IPV4.to_bytes(2, "big")
_ETHERTYPE6: Final = IPV6.to_bytes(2, "big")
_HEADER6: Final = 40
_UNFRAGMENTED: Final = MF | OFFSET_MASK


def flow_hash(frame: bytes, secret: int) -> int:
    """Return the hash of the flow of `frame`, 32 bits.

    Args:
        frame: octets from the destination MAC address on, of any length.
        secret: what keeps the hash from being foreseen, 0 to 2**64 - 1.
    """
    return _hash(_key(frame), secret)


def source_port(frame: bytes, secret: int, low: int, high: int) -> int:
    """Return the UDP source port of a tunnel packet that carries `frame`, `low` to `high` - 1.

    Source: include/net/udp.h `udp_flow_src_port`.
    """
    number = flow_hash(frame, secret)
    number ^= number << 16 & 0xFFFFFFFF
    return (number * (high - low) >> 32) + low


def _key(frame: bytes) -> bytes:
    ethertype = frame[12:14]
    if ethertype == _ETHERTYPE4 and len(frame) >= HEADER_LENGTH + MIN_HEADER:
        protocol, addresses = frame[23], frame[26:34]
        if protocol in _WITH_PORTS:
            if int.from_bytes(frame[20:22], "big") & _UNFRAGMENTED:
                return frame[23:24] + addresses
            at = HEADER_LENGTH + (frame[14] & 15) * 4
            return frame[23:24] + addresses + frame[at : at + 4]
        return frame[23:24] + _sorted_pair(addresses)
    if ethertype == _ETHERTYPE6 and len(frame) >= HEADER_LENGTH + _HEADER6:
        protocol, addresses = frame[20], frame[22:54]
        if protocol in _WITH_PORTS:
            return frame[20:21] + addresses + frame[54:58]
        return frame[20:21] + _sorted_pair(addresses)
    return ethertype


def _sorted_pair(addresses: bytes) -> bytes:
    half = len(addresses) // 2
    first, second = addresses[:half], addresses[half:]
    return addresses if first <= second else second + first


@lru_cache(maxsize=1 << 16)
def _hash(key: bytes, secret: int) -> int:
    digest = hashlib.blake2s(key, digest_size=4, key=secret.to_bytes(8, "big")).digest()
    return int.from_bytes(digest, "big")
