# SPDX-License-Identifier: GPL-2.0-only
"""`-m owner`: whose socket sent the packet. Source: net/netfilter/xt_owner.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.skb import KERNEL_SOCKET

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet

_ROOT: Final = 0


@attrs.frozen
class IdRange:
    """User or group numbers from `first` to `last`."""

    first: int
    last: int
    inverted: bool = False

    def fits(self, number: int) -> bool:
        """Return whether `number` is among them, or is not."""
        return (self.first <= number <= self.last) is not self.inverted


@attrs.frozen
class Owner:
    """The sending socket's owner; what is None is not asked.

    Sockets have no users here: every program counts as root's, with user and
    group 0 and no supplementary ones. A packet that no socket sent (all that is
    forwarded) has no owner; nor have the kernel's own answers, which do have a socket.

    Attributes:
        user: the user number.
        group: the group number.
        has_socket: whether there is a socket at all.
        supplementary: `--suppl-groups`: these count for `group`, too.
    """

    user: IdRange | None = None
    group: IdRange | None = None
    has_socket: bool | None = None
    supplementary: bool = False

    def holds(self, packet: Packet) -> bool:
        """Return whether the owner is such a one; without one, only inversions hold."""
        asked = [one for one in (self.user, self.group) if one is not None]
        if packet.skb.socket <= 0:
            has_socket = packet.skb.socket == KERNEL_SOCKET
            return self.has_socket in {None, has_socket} and all(one.inverted for one in asked)
        return self.has_socket is not False and all(one.fits(_ROOT) for one in asked)
