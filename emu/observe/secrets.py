# SPDX-License-Identifier: GPL-2.0-only
"""Which secrets open the TLS of a capture: those of the connections whose beginnings are in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from emu.observe.record import CapturedFrame

_HANDSHAKE: Final = b"\x16\x03\x01"  # a record of the oldest version, as a first hello says. RFC 8446, 5.1
_RANDOM: Final = slice(11, 43)  # of a ClientHello, from the record's beginning


def secrets(frames: Iterable[CapturedFrame], key_log: Mapping[bytes, bytes]) -> bytes:
    """Return the lines of `key_log` that belong to hellos in `frames`, each once, in their order."""
    found: dict[bytes, bytes] = {}
    for frame in frames:
        octets = frame.octets
        at = octets.find(_HANDSHAKE)
        if at >= 0:
            random = octets[at:][_RANDOM]
            if random in key_log:
                found[random] = key_log[random]
    return b"".join(found.values())
