# SPDX-License-Identifier: GPL-2.0-only
"""What TCP and SCTP ask of the network alike: how wide the way is, and that an answer goes out."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from emu.kernel import ipv4, path, routing
from emu.kernel.skb import KERNEL_SOCKET
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.kernel.connections import Key
    from emu.kernel.ip_options_echo import Echo
    from emu.kernel.namespace import Namespace
    from emu.kernel.sockets import Socket


def path_mtu(net: Namespace, sock: Socket, remote: bytes) -> int:
    """Return the largest packet for the way from `sock` to `remote`.

    Raises:
        OSError: there is no way.
    """
    decision = routing.route_output(net, remote, src=sock.local, mark=sock.mark, tos=sock.tos)
    return path.path_mtu(net, decision, remote)


def answer(
    net: Namespace,
    key: Key,
    protocol: int,
    payload: bytes,
    *,
    ttl: int | None = None,
    tos: int = 0,
    mark: int = 0,
    echoed: Echo | None = None,
) -> None:
    """Send a packet that belongs to no full socket, with IP identification 0.

    Its IP options are `echoed` from the packet that it answers.
    """
    with suppress(OSError):  # it has no way; nobody waits for it
        ipv4.send(
            net,
            protocol=protocol,
            src=IpAddress(key.local),
            dst=IpAddress(key.remote) if echoed is None else IpAddress(echoed.dst),
            payload=payload,
            options=b"" if echoed is None else echoed.fill(key.local, net.now),
            ttl=ttl,
            tos=tos,
            df=True,
            ignore_df=False,
            identification=0,
            mark=mark,
            socket=KERNEL_SOCKET,
        )
