# SPDX-License-Identifier: GPL-2.0-only
"""TCP as Linux 6.18 speaks it on the wire (RFC 9293 and what was built upon it)."""

from emu.kernel.tcp.endpoint import (
    TcpTable,
    accept,
    close,
    connect,
    error,
    is_connected,
    is_readable,
    is_writable,
    listen,
    listing,
    next_deadline,
    receive,
    recv,
    send,
    set_nodelay,
    set_quickack,
    shutdown,
    timeout,
)
from emu.kernel.tcp.socket import Socket, SocketInfo, TcpSocket

__all__ = [
    "Socket",
    "SocketInfo",
    "TcpSocket",
    "TcpTable",
    "accept",
    "close",
    "connect",
    "error",
    "is_connected",
    "is_readable",
    "is_writable",
    "listen",
    "listing",
    "next_deadline",
    "receive",
    "recv",
    "send",
    "set_nodelay",
    "set_quickack",
    "shutdown",
    "timeout",
]
