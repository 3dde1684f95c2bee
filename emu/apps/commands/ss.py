# SPDX-License-Identifier: GPL-2.0-only
"""`ss`: sockets listed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from emu.kernel import tcp
from emu.kernel.sockets import SocketKind
from emu.kernel.tcp.states import State
from emu.tools.ss import arguments, text
from emu.tools.ss.line import SocketLine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.apps.commands.action import Action
    from emu.kernel.namespace import Namespace
    from emu.tools.ss.arguments import Request

_ICMP = 1


def prepare(argv: Sequence[str]) -> Action:
    """Read the arguments of `ss` and return what they ask for.

    Raises:
        CommandError: they make no sense, or something is not modelled.
    """
    return partial(show, request=arguments.parse(argv))


def show(net: Namespace, request: Request) -> str:
    """Do `ss`."""
    lines = () if request.nothing else _lines(net)
    wanted = [
        line
        for line in lines
        if line.netid in request.netids and line.state in request.states and request.keep(line)
    ]
    return text.render(wanted, request)


def _lines(net: Namespace) -> Iterator[SocketLine]:
    for kind, netid in ((SocketKind.ICMP, "raw"), (SocketKind.UDP, "udp")):
        for socket in net.sockets.of(kind):
            if kind is SocketKind.UDP and not socket.local_port:
                continue  # in no table yet, so nobody can list it
            yield SocketLine(
                netid,
                State.ESTABLISHED if socket.is_connected else State.CLOSED,
                socket.queued,
                0,
                socket.local,
                socket.local_port or _ICMP,
                socket.remote,
                socket.remote_port,
            )
    for info in tcp.listing(net):
        yield SocketLine("tcp", *info[:-1])
