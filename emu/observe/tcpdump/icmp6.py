# SPDX-License-Identifier: GPL-2.0-only
"""ICMPv6 with neighbour discovery, as tcpdump prints it. Source: RFC 4443, RFC 4861."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.wire import tcp, udp
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.observe.tcpdump.part import Part

PROTOCOL: Final = 58
_QUOTED: Final = 8  # where the packet begins that an error is about
_IPV6_HEADER: Final = 40

_UNREACHABLE: Final = {
    0: "unreachable route",
    1: " unreachable prohibited",
    2: "beyond scope",
    3: "unreachable address",
}


def words(part: Part) -> Iterator[str]:
    """Yield what an ICMPv6 message says."""
    kind, code = part.number(0, 1), part.number(1, 1)
    yield "ICMP6, "
    match kind:
        case 1:
            yield "destination unreachable, "
            yield from _unreachable(part, code)
        case 2:
            yield "packet too big"
            yield f", mtu {part.number(4, 4)}"
        case 3:
            yield "ip reassembly time exceeded" if code else "time exceeded in-transit"
            yield f" for {_quoted_destination(part)}"
        case 128 | 129:
            yield "echo request" if kind == 128 else "echo reply"
            sequence = part.number(6, 2)
            yield f", id {part.number(4, 2)}, seq {sequence}"
        case 133:
            yield "router solicitation"
        case 134:
            yield "router advertisement"
        case 135:
            yield "neighbor solicitation"
            yield f", who has {IpAddress(part.take(8, 16))}"
        case 136:
            yield "neighbor advertisement"
            yield f", tgt is {IpAddress(part.take(8, 16))}"
        case 143:
            yield "multicast listener report v2"
            yield f", {part.number(6, 2)} group record(s)"
        case _:
            yield f"unknown icmp6 type ({kind})"
    yield f", length {part.length}"


def _unreachable(part: Part, code: int) -> Iterator[str]:
    if code == 4:
        destination = _quoted_destination(part)
        protocol = part.number(_QUOTED + 6, 1)
        port = part.number(_QUOTED + _IPV6_HEADER + 2, 2)
        names = {tcp.PROTOCOL: "tcp", udp.PROTOCOL: "udp"}
        yield f"unreachable port, {destination} {names.get(protocol, f'protocol {protocol}')} port {port}"
    else:
        yield _UNREACHABLE.get(code, f"unknown unreach code ({code})")
        yield f" {_quoted_destination(part)}"


def _quoted_destination(part: Part) -> IpAddress:
    """Return where the packet was going that an error is about."""
    return IpAddress(part.take(_QUOTED, _IPV6_HEADER)[24:])
