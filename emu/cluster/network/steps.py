# SPDX-License-Identifier: GPL-2.0-only
"""Each kind of action as a program, and what it reports."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, TypedDict, assert_never

from emu.apps import commands, datagram, stream
from emu.apps.options import IpOptions
from emu.apps.ping import Echo, ping
from emu.apps.traceroute import Hop, traceroute
from emu.cluster.network.actions import (
    Exec,
    Inject,
    IptablesChange,
    Ping,
    Quiet,
    Sleep,
    Snapshot,
    Tally,
    TcpRequest,
    TcpServer,
    Traceroute,
    UdpReply,
    UdpRequest,
    UdpServer,
)
from emu.errors import CommandError
from emu.fabric import program

if TYPE_CHECKING:
    from emu.cluster.network.actions import Action
    from emu.fabric.driver import Fabric
    from emu.fabric.program import Program

_RECEIVED_SHOWN: Final = 64


Result = TypedDict(
    "Result",
    {
        "action": int,
        "kind": str,
        "outcome": object,
        "from": object,
        "ttl": int,
        "received": str,
        "length": int,
        "hops": list[list[str] | None],
        "stdout": list[str],
        "values": list[object],
        "counts": dict[object, int],
        "as_expected": bool,
    },
    total=False,
)
"""One object of `results.json`, with the keys of the format."""

_NOT_MODELLED: Final = 127  # exit status of a command that is not there, whatever the document allows

_ONE_SEND: Final = 1  # ns: all that a frame causes at once comes before the next one

NOTHING: Final = Result()

FAILED: Final = "failed: "
"""With it begins the outcome of a command that failed."""


def as_program(fabric: Fabric, action: Action) -> Program[Result]:
    """Return the program that carries out `action`; those that wait for captures are not here."""
    match action:
        case Inject():
            return _inject(fabric, action)
        case UdpServer():
            return _listen(_udp_server(action))
        case TcpServer():
            reply = action.reply * action.repeat
            server = stream.serve(action.port, reply, address=action.addr, gap=action.gap, hold=action.hold)
            return _listen(server)
        case TcpRequest():
            return _tcp_request(action)
        case UdpRequest():
            return _udp_request(action)
        case Ping():
            return _ping(action)
        case Traceroute():
            return _traceroute(action)
        case Exec():
            return _execute(action)
        case IptablesChange():
            return _execute(Exec(action.ns, ("iptables", "-w", *action.args)))
        case Sleep():
            return _sleep(action)
        case Quiet() | Snapshot() | Tally():
            raise ValueError(action)
        case _:
            assert_never(action)


def _options(action: TcpRequest | UdpRequest | Ping) -> IpOptions:
    return IpOptions(action.ttl, action.tos, action.df)


def _listen(server: Program[None]) -> Program[Result]:
    yield from program.spawn(server)
    return NOTHING


def _udp_server(action: UdpServer) -> Program[None]:
    if action.reply is UdpReply.ECHO:
        return datagram.serve(action.port, address=action.addr)
    answer = None if action.reply is UdpReply.NONE else action.reply
    return datagram.serve(action.port, address=action.addr, reply=lambda _: answer)


def _inject(fabric: Fabric, action: Inject) -> Program[Result]:
    net = fabric.namespace(action.ns)
    for _ in range(action.count):
        for octets in action.frames:
            fabric.send_frame(net, action.iface, octets)
            yield from program.sleep(action.interval or _ONE_SEND)
    return NOTHING


def _sleep(action: Sleep) -> Program[Result]:
    yield from program.sleep(action.duration)
    return NOTHING


def _tcp_request(action: TcpRequest) -> Program[Result]:
    exchange = yield from stream.request(
        action.dst,
        action.dst_port,
        action.send * action.repeat,
        src=action.src,
        src_port=action.src_port,
        rounds=action.rounds,
        want=action.want,
        gap=action.gap,
        timeout=action.timeout,
        closing=action.close,
        options=_options(action),
    )
    result = Result(outcome=exchange.outcome)
    if exchange.received:
        result["received"] = exchange.received.decode("latin-1")[:_RECEIVED_SHOWN]
        if action.close != "none":
            result["length"] = len(exchange.received)
    return result


def _udp_request(action: UdpRequest) -> Program[Result]:
    outcomes = yield from datagram.request(
        action.dst,
        action.dst_port,
        action.payload,
        src=action.src,
        src_port=action.src_port,
        count=action.count,
        interval=action.interval,
        timeout=action.timeout,
        options=_options(action),
    )
    return Result(outcome=outcomes[0] if len(set(outcomes)) == 1 else outcomes)


def _ping(action: Ping) -> Program[Result]:
    echoes = yield from ping(
        action.dst,
        src=action.src,
        identifier=action.id,
        first=action.seq,
        size=action.size,
        count=action.count,
        interval=action.interval,
        timeout=action.timeout,
        options=_options(action),
    )
    if len(echoes) > 1:
        senders = [None if echo.sender is None else str(echo.sender) for echo in echoes]
        return {"outcome": [echo.outcome for echo in echoes], "from": senders}
    return _echo_result(echoes[0])


def _echo_result(echo: Echo) -> Result:
    result = Result(outcome=echo.outcome)
    if echo.sender is not None:
        result["from"] = str(echo.sender)
    if echo.ttl is not None:
        result["ttl"] = echo.ttl
    return result


def _traceroute(action: Traceroute) -> Program[Result]:
    hops = yield from traceroute(
        action.dst,
        max_ttl=action.max_ttl,
        base_port=action.base_port,
        src_port=action.src_port,
        timeout=action.timeout,
    )
    return Result(hops=[_hop(hop) for hop in hops])


def _hop(hop: Hop | None) -> list[str] | None:
    return None if hop is None else [str(hop.address), f"{hop.type}/{hop.code}"]


def _execute(action: Exec) -> Program[Result]:
    try:
        text = yield from program.call(partial(commands.execute, argv=action.argv))
    except CommandError as error:
        if action.may_fail and error.status != _NOT_MODELLED:
            return NOTHING
        return Result(outcome=f"{FAILED}{error}")
    return Result(stdout=text.strip().splitlines()) if action.record else NOTHING
