# SPDX-License-Identifier: GPL-2.0-only
"""In which order addresses are tried. Source: RFC 6724 §6; glibc posix/getaddrinfo.c (`rfc3484_sort`)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from emu.fabric import program
from emu.kernel.routing import route_output
from emu.wire.addresses import ANY_IP4, IpAddress, Prefix

if TYPE_CHECKING:
    from emu.fabric.program import Program
    from emu.kernel.namespace import Namespace

_LINK_LOCAL: Final = (Prefix.parse("169.254.0.0/16"), Prefix.parse("127.0.0.0/8"))
_LINK_SCOPE: Final = 2
_GLOBAL_SCOPE: Final = 14


def sort(addresses: tuple[IpAddress, ...]) -> Program[tuple[IpAddress, ...]]:
    """Return the addresses, those to try first in front; equally good ones keep their order.

    An address without a route, as every IPv6 address, comes last; then matching
    scope, narrower scope, and for neighbours on the subnet the longest common prefix.
    """
    ranked = []
    for address in addresses:
        source, length = yield from program.call(partial(_source, dst=address))
        ranked.append((_rank(address, source, length), address))
    return tuple(address for _, address in sorted(ranked, key=lambda pair: pair[0]))


def _source(net: Namespace, dst: IpAddress) -> tuple[IpAddress | None, int]:
    """Return the address that packets to `dst` would have, and its prefix length; None without a route."""
    if dst.family != 4:
        return None, 0
    try:
        src = route_output(net, dst).src
    except OSError:
        return None, 0
    lengths = [
        own.prefix.length for device in net.devices.values() for own in device.addresses if own.address == src
    ]
    return src, max(lengths, default=32)


def _rank(dst: IpAddress, src: IpAddress | None, length: int) -> tuple[int, ...]:
    if src is None or src == ANY_IP4:
        return (1, 0, 0, 0)
    common = 0
    if dst in Prefix.of(src, length):
        differing = int.from_bytes(dst) ^ int.from_bytes(src)
        common = 32 - differing.bit_length()
    return (0, int(_scope(dst) != _scope(src)), _scope(dst), -common)


def _scope(address: IpAddress) -> int:
    return _LINK_SCOPE if any(address in prefix for prefix in _LINK_LOCAL) else _GLOBAL_SCOPE
