# SPDX-License-Identifier: GPL-2.0-only
"""Who looks on and may know what programs have agreed in secret."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Confidant(Protocol):
    """A recorder (`emu.kernel.recorder`) that opens captures of TLS."""

    def disclosed(self, random: bytes, key_log: bytes) -> None:
        """Take the secrets of a TLS connection: lines of a key log, and the random of its client's hello."""
