# SPDX-License-Identifier: GPL-2.0-only
"""SCTP, one-to-one sockets, as Linux speaks it on the wire (RFC 9260).

Read `association` first: an association without any I/O, with `states`, `setup`,
`cookie`, `input`, `incoming` and `outgoing` around it. For a namespace: `table`
finds, `delivery` brings packets in, `strangers` answers those that belong to no
association, `dispatch` takes packets out, `endpoint` has the calls that sockets make.

Linux loads the module `sctp` when a program first opens such a socket, and until
then tells everybody that the protocol is unreachable. Here it is loaded on every
machine from the begin: a closed port is answered with ABORT.
"""

# sockets need these two while the rest, which needs sockets, is still being imported
from emu.kernel.sctp.socket import SctpSocket
from emu.kernel.sctp.table import SctpTable

# isort: split
from emu.kernel.sctp.delivery import error, has_sender, receive
from emu.kernel.sctp.endpoint import (
    AssociationInfo,
    accept,
    close,
    connect,
    is_connected,
    is_listening,
    listen,
    listing,
    next_deadline,
    recv,
    send,
    shutdown,
    timeout,
)

__all__ = [
    "AssociationInfo",
    "SctpSocket",
    "SctpTable",
    "accept",
    "close",
    "connect",
    "error",
    "has_sender",
    "is_connected",
    "is_listening",
    "listen",
    "listing",
    "next_deadline",
    "receive",
    "recv",
    "send",
    "shutdown",
    "timeout",
]
