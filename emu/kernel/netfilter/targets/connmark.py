# SPDX-License-Identifier: GPL-2.0-only
"""`-j CONNMARK`: the mark of the connection. Source: net/netfilter/xt_connmark.c `connmark_tg`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet
    from emu.kernel.netfilter.verdict import Verdict

_ALL: Final = 0xFFFFFFFF


@attrs.frozen
class SetConnmark:
    """`--set-xmark`: clear the bits of `mask` in the connection's mark, then flip those of `value`."""

    value: int
    mask: int = _ALL

    def apply(self, packet: Packet) -> Verdict | None:
        """Do it, if there is a connection."""
        connection = packet.connection
        if connection is not None:
            connection.mark = connection.mark & ~self.mask ^ self.value
        return None


@attrs.frozen
class SaveMark:
    """`--save-mark`: bits of the packet's mark go into the connection's.

    Attributes:
        nfmask: these are taken from the packet.
        ctmask: these are cleared in the connection before.
    """

    nfmask: int = _ALL
    ctmask: int = _ALL

    def apply(self, packet: Packet) -> Verdict | None:
        """Do it, if there is a connection."""
        connection = packet.connection
        if connection is not None:
            connection.mark = connection.mark & ~self.ctmask ^ packet.skb.mark & self.nfmask
        return None


@attrs.frozen
class RestoreMark:
    """`--restore-mark`: bits of the connection's mark go into the packet's.

    Attributes:
        nfmask: these are cleared in the packet before.
        ctmask: these are taken from the connection.
    """

    nfmask: int = _ALL
    ctmask: int = _ALL

    def apply(self, packet: Packet) -> Verdict | None:
        """Do it, if there is a connection."""
        connection = packet.connection
        if connection is not None:
            packet.skb.mark = packet.skb.mark & ~self.nfmask ^ connection.mark & self.ctmask
        return None
