# SPDX-License-Identifier: GPL-2.0-only
"""Congestion marks across a tunnel (RFC 6040): what goes on the outer header, what comes off it.

Source: include/net/inet_ecn.h, include/net/ip_tunnels.h.
"""

from __future__ import annotations

from typing import Final

from emu.wire import checksum
from emu.wire.ethernet import IPV4, IPV6

ECN_MASK: Final = 3
NOT_ECT: Final = 0
ECT_1: Final = 1
ECT_0: Final = 2
CE: Final = 3

_ETHERTYPE4: Final = IPV4.to_bytes(2, "big")
_ETHERTYPE6: Final = IPV6.to_bytes(2, "big")


def inner_tos(frame: bytes) -> int:
    """Return the octet of DSCP and ECN of the packet in `frame`, 0 if it is no IP packet."""
    ethertype = frame[12:14]
    if ethertype == _ETHERTYPE4 and len(frame) > 15:
        return frame[15]
    if ethertype == _ETHERTYPE6 and len(frame) > 15:
        return (frame[14] << 4 | frame[15] >> 4) & 0xFF
    return 0


def encapsulate(tos: int, inner: int) -> int:
    """Return the outer octet: DSCP of `tos`, ECN of `inner`, where CE becomes ECT(0).

    Source: `INET_ECN_encapsulate`.
    """
    mark = inner & ECN_MASK
    return tos & ~ECN_MASK | (ECT_0 if mark == CE else mark)


def decapsulate(frame: bytes, outer: int) -> bytes | None:
    """Return the frame that came in a packet with the octet `outer`, its mark brought up to date.

    Args:
        frame: the inner frame; if it is IP, with a whole IP header.
        outer: DSCP and ECN of the outer header.

    Returns:
        None if congestion was marked on a packet that cannot tell it: drop it.

    Source: `INET_ECN_decapsulate`, RFC 6040 §4.2.
    """
    mark = outer & ECN_MASK
    if mark in {NOT_ECT, ECT_0} or frame[12:14] not in {_ETHERTYPE4, _ETHERTYPE6}:
        return frame
    inner = inner_tos(frame)
    if inner & ECN_MASK == NOT_ECT:
        return None if mark == CE else frame
    if mark == CE:
        return _set(frame, inner | CE)
    return _set(frame, inner & ~ECN_MASK | ECT_1) if inner & ECN_MASK == ECT_0 else frame


def _set(frame: bytes, tos: int) -> bytes:
    if frame[12:14] == _ETHERTYPE6:
        first = frame[14] & 0xF0 | tos >> 4, (tos & 15) << 4 | frame[15] & 15
        return frame[:14] + bytes(first) + frame[16:]
    old = int.from_bytes(frame[14:16], "big")
    new = old & 0xFF00 | tos
    total = checksum.update(int.from_bytes(frame[24:26], "big"), old, new)
    return frame[:14] + new.to_bytes(2, "big") + frame[16:24] + total.to_bytes(2, "big") + frame[26:]
