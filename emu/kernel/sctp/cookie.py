# SPDX-License-Identifier: GPL-2.0-only
"""The state cookie: what a listener would have to remember of an INIT, kept by the peer (RFC 9260 §5.1.3).

It is signed, so that one who did not get it from us, or changed it, is found
out; and dated, so that nobody can use it for ever. What is in it is between us
and ourselves, and Linux has other octets there.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Final, NamedTuple

import attrs

from emu.kernel.sctp.config import COOKIE_LIFE
from emu.sim.time import Instant

_LAYOUT: Final = struct.Struct("!QIIIIIHII")
_SIGNATURE: Final = 32


class Cookie(NamedTuple):
    """An association to be.

    Attributes:
        created: when the INIT was answered.
        local_tag: the tag that we chose.
        peer_tag: the tag that the peer chose.
        local_tsn: number of our first DATA.
        peer_tsn: number of the peer's first DATA.
        window: octets that the peer has room for.
        streams: on how many streams we may send.
        tie_local: our tag in the association that was there already, 0 if there was none.
        tie_peer: the peer's tag in it.
    """

    created: Instant
    local_tag: int
    peer_tag: int
    local_tsn: int
    peer_tsn: int
    window: int
    streams: int
    tie_local: int = 0
    tie_peer: int = 0

    def is_stale(self, now: Instant) -> bool:
        """Return whether it is too old to begin anything."""
        return now - self.created > COOKIE_LIFE

    def staleness(self, now: Instant) -> int:
        """Return by how many microseconds it is too old."""
        return (now - self.created - COOKIE_LIFE) // 1000


@attrs.frozen
class CookieJar:
    """Signs the cookies for one peer, and knows them again.

    Attributes:
        secret: the host's.
        place: addresses and ports: a cookie is good for these alone.
    """

    secret: bytes
    place: bytes

    def seal(self, cookie: Cookie) -> bytes:
        """Return `cookie` as octets to be given away."""
        octets = _LAYOUT.pack(*cookie)
        return self._sign(octets) + octets

    def open(self, sealed: bytes) -> Cookie | None:
        """Return the cookie that was given away as `sealed`, None if it was none of ours."""
        signature, octets = sealed[:_SIGNATURE], sealed[_SIGNATURE:]
        if len(octets) != _LAYOUT.size or not hmac.compare_digest(signature, self._sign(octets)):
            return None
        created, *others = _LAYOUT.unpack(octets)
        return Cookie(Instant(created), *others)

    def _sign(self, octets: bytes) -> bytes:
        return hmac.digest(self.secret, self.place + octets, hashlib.sha256)
