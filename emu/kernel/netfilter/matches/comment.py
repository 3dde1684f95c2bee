# SPDX-License-Identifier: GPL-2.0-only
"""`-m comment`: words for people. Source: net/netfilter/xt_comment.c."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet


@attrs.frozen
class Comment:
    """A text of at most 255 octets, which asks for nothing."""

    text: str

    def holds(self, packet: Packet) -> bool:  # noqa: ARG002 - any match's signature
        """Return that it does."""
        return True
