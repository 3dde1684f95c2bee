# SPDX-License-Identifier: GPL-2.0-only
"""TCP as Linux 6.18 speaks it on the wire (RFC 9293 and what was built upon it).

Read `connection` first: a connection without any I/O. `tcb` is what it knows, `input`
takes segments, `output` sends, `acknowledgement`, `recovery` and `retransmission`
see to it that everything arrives. `handshake` and `timewait` are the begin and the end.
Around it, for a namespace: `table` finds, `delivery` brings segments in, `dispatch` takes
them out, `endpoint` has the calls that sockets make.
"""

# sockets need these two while the rest, which needs sockets, is still being imported
from emu.kernel.tcp.socket import SocketInfo, TcpSocket
from emu.kernel.tcp.table import TcpTable

# isort: split
from emu.kernel.tcp.delivery import error, has_sender, receive
from emu.kernel.tcp.endpoint import (
    accept,
    close,
    connect,
    is_connected,
    is_lingering,
    is_listening,
    is_readable,
    is_writable,
    listen,
    listing,
    next_deadline,
    recv,
    send,
    set_keepalive,
    set_nodelay,
    set_quickack,
    shutdown,
    timeout,
    unacknowledged,
)

__all__ = [
    "SocketInfo",
    "TcpSocket",
    "TcpTable",
    "accept",
    "close",
    "connect",
    "error",
    "has_sender",
    "is_connected",
    "is_lingering",
    "is_listening",
    "is_readable",
    "is_writable",
    "listen",
    "listing",
    "next_deadline",
    "receive",
    "recv",
    "send",
    "set_keepalive",
    "set_nodelay",
    "set_quickack",
    "shutdown",
    "timeout",
    "unacknowledged",
]
