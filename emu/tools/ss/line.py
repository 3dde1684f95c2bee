# SPDX-License-Identifier: GPL-2.0-only
"""A socket as `ss` sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.kernel.tcp.socket import Timer
    from emu.kernel.tcp.states import State
    from emu.wire.addresses import IpAddress


@attrs.frozen
class SocketLine:
    """A socket to be shown.

    Attributes:
        netid: `tcp`, `udp` or `raw`.
        state: of a datagram socket: `ESTABLISHED` if it is connected, else `CLOSED`.
        recv_q: octets that were not read; of a listener, connections not accepted;
            of a datagram socket, the memory that they take.
        send_q: octets that were not acknowledged; of a listener, how many may wait.
        local: its own address.
        local_port: its own port, of a raw socket the protocol.
        remote: its peer's address.
        remote_port: its peer's port.
        timer: what it waits for, if it is TCP's.
    """

    netid: str
    state: State
    recv_q: int
    send_q: int
    local: IpAddress
    local_port: int
    remote: IpAddress
    remote_port: int
    timer: Timer | None = None
