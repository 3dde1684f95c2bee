# SPDX-License-Identifier: GPL-2.0-only
"""`ss`: sockets listed.

Datagram sockets count the memory of what waits, as in Linux, not its octets.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from emu.kernel import arp, tcp
from emu.kernel.sockets import SocketKind
from emu.kernel.tcp.states import State
from emu.tools.ss import arguments, text
from emu.tools.ss.line import SocketLine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.apps.commands.action import Action
    from emu.kernel.namespace import Namespace
    from emu.tools.ss.arguments import Request

_ICMP: Final = 1
_HEADERS: Final = 28  # octets: IPv4 and UDP


def prepare(argv: Sequence[str]) -> Action:
    """Read the arguments of `ss` and return what they ask for.

    Raises:
        CommandError: they make no sense, or something is not modelled.
    """
    return partial(show, request=arguments.parse(argv))


def show(net: Namespace, request: Request) -> str:
    """Do `ss`."""
    return text.render([line for line in _lines(net) if request.wants(line)], request)


def _lines(net: Namespace) -> Iterator[SocketLine]:
    for kind, netid in ((SocketKind.ICMP, "raw"), (SocketKind.UDP, "udp")):
        for socket in net.sockets.of(kind):
            if kind is SocketKind.UDP and not socket.local_port:
                continue  # in no table yet, so nobody can list it
            yield SocketLine(
                netid,
                State.ESTABLISHED if socket.is_connected else State.CLOSED,
                sum(arp.truesize(len(datagram.data) + _HEADERS) for datagram in socket.queue),
                0,
                socket.local,
                socket.local_port or _ICMP,
                socket.remote,
                socket.remote_port,
            )
    for info in tcp.listing(net):
        yield SocketLine("tcp", *info[:-1])
