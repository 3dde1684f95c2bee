# SPDX-License-Identifier: GPL-2.0-only
"""ICMP for IPv4, as tcpdump prints it. Source: RFC 792, RFC 1191, RFC 1812."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.wire import icmp, ipv4, tcp, udp
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.observe.tcpdump.part import Part

_QUOTED: Final = 8  # where the packet begins that an error is about

_OTHERS: Final = {
    icmp.SOURCE_QUENCH: "source quench",
    9: "router advertisement",
    10: "router solicitation",
    15: "information request",
    16: "information reply",
    17: "address mask request",
}

_UNREACHABLE: Final = {
    icmp.NET_UNREACHABLE: "net {} unreachable",
    icmp.HOST_UNREACHABLE: "host {} unreachable",
    icmp.SOURCE_ROUTE_FAILED: "{} unreachable - source route failed",
    6: "net {} unreachable - unknown",
    7: "host {} unreachable - unknown",
    8: "{} unreachable - source host isolated",
    9: "net {} unreachable - admin prohibited",
    10: "host {} unreachable - admin prohibited",
    11: "net {} unreachable - tos prohibited",
    12: "host {} unreachable - tos prohibited",
    icmp.PACKET_FILTERED: "host {} unreachable - admin prohibited filter",
    14: "host {} unreachable - host precedence violation",
    15: "host {} unreachable - precedence cutoff",
}

_REDIRECTS: Final = {
    0: "redirect {} to net {}",
    icmp.REDIRECT_HOST: "redirect {} to host {}",
    2: "redirect-tos {} to net {}",
    3: "redirect-tos {} to host {}",
}

_TIME_EXCEEDED: Final = {
    icmp.TTL_EXCEEDED: "time exceeded in-transit",
    icmp.REASSEMBLY_EXCEEDED: "ip reassembly time exceeded",
}


def words(part: Part) -> Iterator[str]:
    """Yield what an ICMP message says."""
    yield f"ICMP {_message(part)}, length {part.length}"


def _message(part: Part) -> str:
    kind, code = part.number(0, 1), part.number(1, 1)
    match kind:
        case icmp.ECHO | icmp.ECHO_REPLY:
            name = "request" if kind == icmp.ECHO else "reply"
            sequence = part.number(6, 2)
            return f"echo {name}, id {part.number(4, 2)}, seq {sequence}"
        case icmp.UNREACHABLE:
            return _unreachable(part, code)
        case icmp.REDIRECT:
            destination, gateway = _quoted_destination(part), IpAddress(part.take(4, 4))
            return _REDIRECTS.get(code, f"redirect-#{code} {{}} to {{}}").format(destination, gateway)
        case icmp.TIME_EXCEEDED:
            _quoted_destination(part)
            return _TIME_EXCEEDED.get(code, f"time exceeded-#{code}")
        case icmp.PARAMETER_PROBLEM:
            return (
                f"parameter problem - code {code}"
                if code
                else f"parameter problem - octet {part.number(4, 1)}"
            )
        case icmp.TIMESTAMP:
            sequence = part.number(6, 2)
            return f"time stamp query id {part.number(4, 2)} seq {sequence}"
        case icmp.TIMESTAMP_REPLY:
            times = [_since_midnight(part.number(at, 4)) for at in (16, 12, 8)][::-1]
            stamps = "org {}, recv {}, xmit {}".format(*times)
            return f"time stamp reply id {part.number(4, 2)} seq {part.number(6, 2)}: {stamps}"
        case 18:
            return f"address mask is 0x{part.number(8, 4):08x}"
        case _:
            return _OTHERS.get(kind, f"type-#{kind}")


def _unreachable(part: Part, code: int) -> str:
    destination = _quoted_destination(part)
    protocol = part.number(_QUOTED + 9, 1)
    match code:
        case icmp.PROTOCOL_UNREACHABLE:
            return f"{destination} protocol {protocol} unreachable"
        case icmp.PORT_UNREACHABLE:
            header_length = (part.number(_QUOTED, 1) & 15) * 4
            port = part.number(_QUOTED + header_length + 2, 2)
            names = {tcp.PROTOCOL: "tcp", udp.PROTOCOL: "udp"}
            return f"{destination} {names.get(protocol, f'protocol {protocol}')} port {port} unreachable"
        case icmp.FRAGMENTATION_NEEDED:
            mtu = part.number(6, 2)
            return f"{destination} unreachable - need to frag" + (f" (mtu {mtu})" if mtu else "")
        case _:
            return _UNREACHABLE.get(code, f"{{}} unreachable - #{code}").format(destination)


def _quoted_destination(part: Part) -> IpAddress:
    """Return where the packet was going that an error is about."""
    return IpAddress(part.take(_QUOTED, ipv4.MIN_HEADER)[16:])


def _since_midnight(milliseconds: int) -> str:
    seconds = milliseconds // 1000
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milliseconds % 1000:03}"
