# SPDX-License-Identifier: GPL-2.0-only
"""Who answers in a pod: its sockets, and the programs that wait at them."""

from __future__ import annotations

from types import FunctionType, GeneratorType
from typing import TYPE_CHECKING, Final

from emu.kernel.sockets import SocketKind
from emu.wire.addresses import ANY_IP4, IpAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from emu.fabric.driver import Fabric
    from emu.kernel.namespace import Namespace
    from emu.kernel.sockets import Socket

_KINDS: Final = {6: SocketKind.TCP, 17: SocketKind.UDP, 132: SocketKind.SCTP, 1: SocketKind.ICMP}
_STREAMS: Final = frozenset((SocketKind.TCP, SocketKind.SCTP))
_SHORT: Final = 512  # octets that fit into a packet on any path


def sockets(net: Namespace, protocol: int) -> list[Socket]:
    """Return the sockets of a protocol."""
    known = vars(net).get("sockets")
    return [] if known is None else list(known.of(_KINDS[protocol]))


def answering(
    fabric: Fabric, net: Namespace, protocol: int, call: Callable[[IpAddress], Hashable]
) -> Hashable:
    """Return who answers in a pod, as a value that can be compared.

    Args:
        fabric: what the pod is a part of.
        net: its namespace.
        protocol: of IP.
        call: what addresses are called.
    """
    found = sockets(net, protocol)
    if not found:
        return ()
    waiters = fabric.waiters_of(net)
    told = [
        (
            each.local_port,
            None if each.local == ANY_IP4 else call(each.local),
            None if not each.is_connected else (call(each.remote), each.remote_port),
            _queue(each),
            tuple([_program(process.program) for process in waiters.get(each.number, ())]),
        )
        for each in found
        if not each.is_connected or each.kind not in _STREAMS  # those are other conversations
    ]
    return tuple(sorted(told, key=repr))


def _queue(socket: Socket) -> Hashable:
    """Return what a socket takes, and what waits there."""
    listener = socket.tcp.listener or socket.sctp.listener
    queue = None if listener is None else (listener.backlog, len(listener.ready))
    return queue, socket.queued, socket.error, socket.ttl, socket.tos, socket.pmtu_discovery, socket.mark


def _program(program: object) -> Hashable:
    """Return what a program does next: where in which functions it waits, and with what."""
    steps: list[Hashable] = []
    while isinstance(program, GeneratorType):
        frame = program.gi_frame
        if frame is not None:
            told = [(name, _value(value)) for name, value in frame.f_locals.items()]
            steps.append(
                (program.gi_code, frame.f_lasti, tuple([each for each in told if each[1] is not None]))
            )
        program = program.gi_yieldfrom
    return tuple(steps)


def _value(value: object) -> Hashable:
    """Return what matters of a value, None if nothing does: of a text only whether it is long."""
    if isinstance(value, IpAddress):
        return str(value)
    if isinstance(value, str | bytes):
        return None if len(value) <= _SHORT else len(value)
    if isinstance(value, bool | int):
        return value
    if isinstance(value, FunctionType):
        return value.__code__, tuple(_cells(value))
    return None


def _cells(function: FunctionType) -> Iterator[Hashable]:
    for cell in function.__closure__ or ():
        try:
            content = cell.cell_contents
        except ValueError:
            continue  # not filled yet
        yield _value(content) if not isinstance(content, FunctionType) else content.__code__
