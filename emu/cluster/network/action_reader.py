# SPDX-License-Identifier: GPL-2.0-only
"""The actions of a network document from YAML to typed values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from emu.cluster.network import values
from emu.cluster.network.actions import (
    Action,
    Exec,
    Expectation,
    Inject,
    IptablesChange,
    Ping,
    Quiet,
    Sleep,
    Snapshot,
    Step,
    Tally,
    TcpRequest,
    TcpServer,
    Traceroute,
    UdpReply,
    UdpRequest,
    UdpServer,
)
from emu.document import MappingNode, SequenceNode
from emu.document.fields import Fields, Place, boolean, elements, integer, one_of, shown, text
from emu.errors import FrameSyntaxError, did_you_mean
from emu.sim.time import MILLISECOND, SECOND
from emu.wire.addresses import ANY_IP4
from emu.wire.expression import parse_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emu.cluster.network.checks import Checks

_MAX_REPEAT: Final = 10_000_000
_MAX_TRANSFER: Final = 64 * 1024 * 1024  # octets of one request or reply
_ETHERNET_HEADER: Final = 14

_OK_WORDS: Final[Mapping[type, tuple[str, ...]]] = {
    TcpRequest: ("ok", "timeout"),
    UdpRequest: ("reply", "timeout"),
    Ping: ("reply", "timeout"),
    Tally: ("consistent", "skewed", "inconsistent"),
}
_ICMP_OUTCOME: Final = re.compile(r"icmp (?:3|11|12)/[0-9]{1,3}")
_ERRNO: Final = {
    "EACCES",
    "EADDRINUSE",
    "EADDRNOTAVAIL",
    "EAGAIN",
    "EALREADY",
    "ECONNABORTED",
    "ECONNREFUSED",
    "ECONNRESET",
    "EDESTADDRREQ",
    "EHOSTDOWN",
    "EHOSTUNREACH",
    "EINPROGRESS",
    "EINVAL",
    "EISCONN",
    "EMSGSIZE",
    "ENETDOWN",
    "ENETRESET",
    "ENETUNREACH",
    "ENOBUFS",
    "ENODEV",
    "ENOENT",
    "ENOMEM",
    "ENONET",
    "ENOPROTOOPT",
    "ENOTCONN",
    "ENXIO",
    "EOPNOTSUPP",
    "EPERM",
    "EPIPE",
    "EPROTO",
}


def step(place: Place, checks: Checks) -> Step:
    """Read one entry of `actions`: a mapping with one key, the kind of action."""
    value = place.value
    if not isinstance(value, MappingNode) or len(value) != 1:
        place.wrong(f"a mapping with one key, one of {', '.join(KINDS)}")
        return Step("", Sleep(0))
    (kind,) = value
    if kind not in KINDS:
        place.at(kind).fault(f"unknown action{did_you_mean(kind, KINDS)}")
        return Step(kind, Sleep(0))
    fields = Fields(place.at(kind))
    action = KINDS[kind](fields)
    _check_command(action, fields.place, checks)
    return fields.done(
        Step(
            kind,
            action,
            expect=fields.get("expect", lambda entry: _expectation(entry, action, kind), None),
            background=fields.get("background", boolean, False),
            lead=fields.get("lead", values.duration, 100 * MILLISECOND),
            settle=fields.get("settle", values.duration, 120 * MILLISECOND),
            line=place.line,
        )
    )


def _inject(fields: Fields) -> Inject:
    if fields.has("frames") or not fields.has("frame"):
        frames = fields.must("frames", _frames)
        fields.ignore("frame")  # the format: not read where `frames` is
    else:
        frames = (fields.must("frame", _frame),)
        fields.ignore("frames")
    return Inject(
        ns=fields.must("ns", values.ns_name),
        iface=fields.must("if", values.iface_name),
        frames=frames,
        count=fields.get("count", values.count, 1),
        interval=fields.get("interval", values.duration, 0),
    )


def _frames(place: Place) -> tuple[bytes, ...]:
    return elements(place, _frame)


def _frame(place: Place) -> bytes:
    expression = text(place)
    if not expression:
        return b""
    try:
        octets = parse_frame(expression)
    except FrameSyntaxError as error:
        place.fault(str(error))
        return b""
    if len(octets) < _ETHERNET_HEADER:
        place.fault(f"has {len(octets)} octets, fewer than an Ethernet header")
    return octets


def _udp_server(fields: Fields) -> UdpServer:
    reply = fields.get("reply", text, "echo")
    return UdpServer(
        ns=fields.must("ns", values.ns_name),
        port=fields.must("port", values.port),
        addr=fields.get("addr", values.ipv4, ANY_IP4),
        reply=UdpReply(reply) if reply in {"echo", "none"} else _payload(reply, fields.place.at("reply")),
    )


def _tcp_server(fields: Fields) -> TcpServer:
    return TcpServer(
        ns=fields.must("ns", values.ns_name),
        port=fields.must("port", values.port),
        addr=fields.get("addr", values.ipv4, ANY_IP4),
        reply=fields.get("reply", text, "hello").encode(),
        repeat=_repeat(fields, "reply"),
        gap=fields.get("gap", values.duration, 150 * MILLISECOND),
        hold=fields.get("hold", boolean, False),
    )


def _tcp_request(fields: Fields) -> TcpRequest:
    close: Literal["fin", "rst", "none"] = fields.get("close", one_of("rst", "none"), "fin")
    return TcpRequest(
        ns=fields.must("ns", values.ns_name),
        dst=fields.must("dst", values.ipv4),
        dst_port=fields.must("dst_port", values.port),
        src=fields.get("src", values.ipv4, ANY_IP4),
        src_port=fields.get("src_port", values.port_or_any, 0),
        send=fields.get("send", text, "").encode(),
        repeat=_repeat(fields, "send"),
        rounds=fields.get("rounds", integer(0, values.MAX_COUNT), 1),
        want=fields.get("want", integer(0, _MAX_TRANSFER), 1),
        gap=fields.get("gap", values.duration, 150 * MILLISECOND),
        timeout=fields.get("timeout", values.duration, 3 * SECOND),
        close=close,
        ttl=fields.get("ttl", values.ttl, None),
        tos=fields.get("tos", values.octet, None),
        df=fields.get("df", boolean, None),
    )


def _udp_request(fields: Fields) -> UdpRequest:
    payload = _payload(fields.get("send", text, "ping"), fields.place.at("send"))
    size = fields.get("size", integer(0, values.MAX_PAYLOAD), None)
    if size is not None:
        payload = bytes(index & 0xFF for index in range(size))
    return UdpRequest(
        ns=fields.must("ns", values.ns_name),
        dst=fields.must("dst", values.ipv4),
        dst_port=fields.must("dst_port", values.port),
        src=fields.get("src", values.ipv4, ANY_IP4),
        src_port=fields.get("src_port", values.port_or_any, 0),
        payload=payload,
        count=fields.get("count", values.count, 1),
        interval=fields.get("interval", values.duration, 0),
        timeout=fields.get("timeout", values.duration, SECOND),
        ttl=fields.get("ttl", values.ttl, None),
        tos=fields.get("tos", values.octet, None),
        df=fields.get("df", boolean, None),
    )


def _ping(fields: Fields) -> Ping:
    ping = Ping(
        ns=fields.must("ns", values.ns_name),
        dst=fields.must("dst", values.ipv4),
        src=fields.get("src", values.ipv4, None),
        id=fields.get("id", integer(0, 65535), 0x1234),
        seq=fields.get("seq", integer(0, 65535), 1),
        size=fields.get("size", integer(0, values.MAX_PAYLOAD), 56),
        count=fields.get("count", values.count, 1),
        interval=fields.get("interval", values.duration, 200 * MILLISECOND),
        timeout=fields.get("timeout", values.duration, SECOND),
        ttl=fields.get("ttl", values.ttl, None),
        tos=fields.get("tos", values.octet, None),
        df=fields.get("df", boolean, None),
    )
    if ping.seq + ping.count - 1 > 65535:
        fields.place.at("count").fault(
            f"the last sequence number, {ping.seq + ping.count - 1}, is above 65535"
        )
    return ping


def _traceroute(fields: Fields) -> Traceroute:
    traceroute = Traceroute(
        ns=fields.must("ns", values.ns_name),
        dst=fields.must("dst", values.ipv4),
        max_ttl=fields.get("max_ttl", values.ttl, 4),
        base_port=fields.get("base_port", values.port, 33434),
        src_port=fields.get("src_port", values.port_or_any, 44000),
        timeout=fields.get("timeout", values.duration, 800 * MILLISECOND),
    )
    last_port = traceroute.base_port + traceroute.max_ttl - 1
    if last_port > 65535:
        fields.place.at("base_port").fault(f"the last port, {last_port}, is above 65535")
    return traceroute


def _exec(fields: Fields) -> Exec:
    return Exec(
        ns=fields.must("ns", values.ns_name),
        argv=fields.must("argv", _argv),
        may_fail=fields.get("may_fail", boolean, False),
        record=fields.get("record", boolean, False),
    )


def _argv(place: Place) -> tuple[str, ...]:
    def word(entry: Place) -> str:
        if isinstance(entry.value, str | int | float) and not isinstance(entry.value, bool):
            return str(entry.value)
        entry.wrong("text or a number (quote it)")
        return ""

    if not isinstance(place.value, SequenceNode) or not place.value:
        place.wrong("a list of words, the command first")
        return ()
    return elements(place, word)


def _iptables(fields: Fields) -> IptablesChange:
    return IptablesChange(
        ns=fields.must("ns", values.ns_name),
        args=tuple(fields.must("args", text).split()),
    )


def _sleep(fields: Fields) -> Sleep:
    return Sleep(fields.must("seconds", values.duration))


def _quiet(fields: Fields) -> Quiet:
    return Quiet(
        duration=fields.get("seconds", values.duration, 300 * MILLISECOND),
        limit=fields.get("limit", values.duration, 20 * SECOND),
    )


def _snapshot(fields: Fields) -> Snapshot:
    return Snapshot(fields.must("label", values.label))


def _tally(fields: Fields) -> Tally:
    return Tally(
        capture=fields.must("capture", values.capture_point),
        key=fields.must("key", lambda entry: elements(entry, values.field_name)),
        of=fields.must("of", values.field_name),
        between=fields.get("between", _between, None),
    )


def _between(place: Place) -> tuple[int, int]:
    limits = elements(place, integer(0, 2**63))
    if len(limits) != 2 or limits[0] > limits[1]:
        place.fault("must be two whole numbers, the least and the greatest count")
        return 0, 0
    return limits[0], limits[1]


KINDS: Final[Mapping[str, Callable[[Fields], Action]]] = {
    "inject": _inject,
    "udp_server": _udp_server,
    "tcp_server": _tcp_server,
    "tcp_request": _tcp_request,
    "udp_request": _udp_request,
    "ping": _ping,
    "traceroute": _traceroute,
    "exec": _exec,
    "iptables": _iptables,
    "sleep": _sleep,
    "quiet": _quiet,
    "snapshot": _snapshot,
    "tally": _tally,
}


def _payload(characters: str, place: Place) -> bytes:
    octets = characters.encode()
    if len(octets) > values.MAX_PAYLOAD:
        place.fault(f"is {len(octets)} octets long; a datagram holds {values.MAX_PAYLOAD}")
    return octets


def _repeat(fields: Fields, key: str) -> int:
    """Read how many times the text of `key` is sent at once."""
    times = fields.get("repeat", integer(0, _MAX_REPEAT), 1)
    piece = fields.place.at(key).value
    if isinstance(piece, str) and len(piece.encode()) * times > _MAX_TRANSFER:
        fields.place.at("repeat").fault(f"makes more than {_MAX_TRANSFER // 1024 // 1024} MiB")
    return times


def _check_command(action: Action, place: Place, checks: Checks) -> None:
    if checks.command is None:
        return
    if isinstance(action, Exec) and action.argv:
        if action.may_fail:
            return
        argv, key = action.argv, "argv"
    elif isinstance(action, IptablesChange):
        argv, key = ("iptables", "-w", *action.args), "args"
    else:
        return
    if complaint := checks.command(argv):
        place.at(key).fault(complaint)


def _expectation(place: Place, action: Action, kind: str) -> Expectation | None:
    """Read an outcome, which has to be one that this action can have."""
    if type(action) not in _OK_WORDS:
        place.fault(f"{kind} reports no outcome to expect")
        return None
    count = action.count if isinstance(action, Ping | UdpRequest) else 1
    if isinstance(place.value, SequenceNode):
        if len(place.value) != count or count == 1:
            place.fault(f"has {len(place.value)} outcomes; count is {count}")
            return None
        return elements(place, lambda entry: _outcome(entry, action))
    if isinstance(action, Ping) and count > 1:
        place.wrong(f"a list of {count} outcomes, one for each ping")
        return None
    return _outcome(place, action)


def _outcome(place: Place, action: Action) -> str:
    word = place.value
    words = _OK_WORDS[type(action)]
    if isinstance(word, str):
        if word in words or (isinstance(action, Ping) and _ICMP_OUTCOME.fullmatch(word)):
            return word
        if word in _ERRNO and not isinstance(action, Tally):
            return word
    more = "" if isinstance(action, Tally) else " or the name of an error like ECONNREFUSED"
    icmp = ", icmp TYPE/CODE" if isinstance(action, Ping) else ""
    hint = did_you_mean(word, (*words, *_ERRNO)) if isinstance(word, str) else ""
    place.fault(f"must be {', '.join(words)}{icmp}{more}, not {shown(word)}{hint}")
    return ""
