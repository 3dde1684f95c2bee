# SPDX-License-Identifier: GPL-2.0-only
"""Who listens where: a document's own servers stand in for programs.

A connection to one looks the same until somebody says something; what is said
then is the server's own, unless a document said it in the first place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from emu.cluster.network.actions import Step, TcpServer, UdpServer
from emu.kernel.sockets import SocketKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emu.kernel.namespace import Namespace
    from emu.kernel.sockets import Socket

Server: TypeAlias = TcpServer | UdpServer


def servers(net: Namespace, ns: str, known: Iterable[Step]) -> Iterator[tuple[Step, bool]]:
    """Yield an action for everybody who listens in `net`, and whether it is a stand-in.

    Args:
        net: the namespace.
        ns: what it is called in the document.
        known: actions of the document that `net` was built from; servers among them are kept.
    """
    said = {_place(step.action): step for step in known if isinstance(step.action, Server)}
    for kind, found in (("tcp_server", net.tcp.listeners()), ("udp_server", _bound(net))):
        for socket in found:
            server = _server(kind, ns, socket)
            step = said.get(_place(server))
            yield (step, False) if step is not None else (Step(kind, server), True)


def sctp_ports(net: Namespace) -> list[int]:
    """Return the ports on which somebody listens for SCTP, which documents know nothing of."""
    return sorted(socket.local_port for socket in net.sctp.listeners())


def packet_devices(net: Namespace) -> list[str]:
    """Return the devices where programs listen to ARP, as speakers do: documents have none such."""
    return sorted(socket.device for socket in net.sockets.of(SocketKind.PACKET))


def _bound(net: Namespace) -> Iterator[Socket]:
    """Yield the UDP sockets that anybody may send to."""
    for socket in net.sockets.of(SocketKind.UDP):
        if socket.local_port and not socket.is_connected:
            yield socket


def _server(kind: str, ns: str, socket: Socket) -> Server:
    if kind == "tcp_server":
        return TcpServer(ns, socket.local_port, socket.local)
    return UdpServer(ns, socket.local_port, socket.local)


def _place(server: Server) -> tuple[object, ...]:
    return type(server), server.ns, server.port, server.addr
