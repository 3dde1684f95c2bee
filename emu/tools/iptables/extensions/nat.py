# SPDX-License-Identifier: GPL-2.0-only
"""`-j DNAT`, `SNAT`, `MASQUERADE`, `REDIRECT`, `NETMAP`.

Source: extensions/libxt_NAT.c, libxt_MASQUERADE.c, libipt_NETMAP.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.nat_range import NatRange
from emu.kernel.netfilter.targets.nat import Dnat, Masquerade, Netmap, Redirect, Snat
from emu.tools.iptables.addresses import dotted, prefix_length
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.extensions.hosts import host, host_and_mask
from emu.tools.iptables.values import joined, number
from emu.tools.protocols import SERVICES
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options

_WITH_PORTS: Final = (1, 6, 17, 33, 132)
_TABLES: Final = frozenset({"nat"})
_ENTRY: Final = frozenset({Hook.PREROUTING, Hook.OUTPUT})
_EXIT: Final = frozenset({Hook.POSTROUTING, Hook.INPUT})
_MAX: Final = 0xFFFF


class _Ports(NamedTuple):
    """A range of ports, and which port is mapped to its first."""

    low: int | None = None
    high: int | None = None
    base: int | None = None


def _port(text: str, complaint: str) -> int:
    value = number(text, 0, _MAX)
    if value is None:
        value = SERVICES.get(text)
    if value is None:
        raise wrong(complaint)
    return value


def _ports(options: Options, text: str, *, may_shift: bool = False) -> _Ports:
    """Return the ports of `A`, `A-B`, or where they may be shifted `A-B/BASE`. Source: `parse_ports`."""
    if not options.is_for(*_WITH_PORTS):
        raise wrong("Need TCP, UDP, SCTP or DCCP with port specification")
    text, slash, base_text = text.partition("/")
    first, dash, last = text.partition("-")
    low = _port(first, f"Port `{text}' not valid")
    high = _port(last, f"Port range `{last}' funky") if dash else low
    if low > high:
        raise wrong(f"Port range `{last}' funky")
    if not slash:
        return _Ports(low, high)
    if not may_shift or not dash:
        raise wrong(f"Garbage after port value: `/{base_text}'")
    return _Ports(low, high, _port(base_text, f"Port range base `{base_text}' not valid"))


def _address(text: str) -> IpAddress:
    address = host(text)
    if address is None:
        raise wrong(f'Bad IP address "{text}"')
    return address


def _range(options: Options, text: str, *, may_shift: bool) -> NatRange:
    """Return the range of `[A[-B]][:PORTS]` with the switches beside it. Source: `parse_to`."""
    addresses, colon, ports_text = text.partition(":")
    ports = _ports(options, ports_text, may_shift=may_shift) if colon else _Ports()
    low: IpAddress | None = None
    high: IpAddress | None = None
    if addresses or not colon:
        first, dash, last = addresses.partition("-")
        low = _address(first)
        high = _address(last) if dash else low
    return _switched(options, NatRange(low, high, *ports))


def _switched(options: Options, plain: NatRange) -> NatRange:
    return NatRange(
        plain.min_address,
        plain.max_address,
        plain.min_port,
        plain.max_port,
        plain.base_port,
        random="random" in options,
        random_fully="random-fully" in options,
        persistent="persistent" in options,
    )


def _ports_text(wanted: NatRange) -> str:
    if wanted.min_port is None:
        return ""
    text = (
        f"{wanted.min_port}" if wanted.min_port == wanted.max_port else f"{wanted.min_port}-{wanted.max_port}"
    )
    return text if wanted.base_port is None else f"{text}/{wanted.base_port}"


def _text(wanted: NatRange) -> str:
    text = ""
    if wanted.min_address is not None and wanted.max_address is not None:
        text = dotted(wanted.min_address)
        if wanted.max_address != wanted.min_address:
            text = f"{text}-{dotted(wanted.max_address)}"
    return f"{text}:{_ports_text(wanted)}" if wanted.has_ports else text


def _switches(wanted: NatRange, dashes: str = "--") -> str:
    given = (
        (wanted.random, "random"),
        (wanted.random_fully, "random-fully"),
        (wanted.persistent, "persistent"),
    )
    return " ".join(f"{dashes}{name}" for on, name in given if on)


def _build_dnat(options: Options) -> Dnat:
    return Dnat(_range(options, options.text("to-destination"), may_shift=True))


def _build_snat(options: Options) -> Snat:
    return Snat(_range(options, options.text("to-source"), may_shift=False))


def _only_ports(options: Options) -> NatRange:
    written = options.get("to-ports")
    return _switched(options, NatRange(None, None, *(_ports(options, written.value) if written else ())))


def _build_masquerade(options: Options) -> Masquerade:
    return Masquerade(_only_ports(options))


def _build_redirect(options: Options) -> Redirect:
    return Redirect(_only_ports(options))


def _build_netmap(options: Options) -> Netmap:
    found = host_and_mask(options.text("to"))
    if found is None:
        raise wrong(f'NETMAP: Bad value for "--to" option: "{options.text("to")}"')
    address, mask = found
    network = int(address) & int.from_bytes(mask, "big")
    return Netmap(IpAddress.from_int(network), IpAddress(mask))


def _render_dnat(target: Dnat) -> str:
    return joined(f"--to-destination {_text(target.range)}", _switches(target.range))


def _describe_dnat(target: Dnat) -> str:
    return joined(f"to:{_text(target.range)}", _switches(target.range, ""))


def _render_snat(target: Snat) -> str:
    return joined(f"--to-source {_text(target.range)}", _switches(target.range))


def _describe_snat(target: Snat) -> str:
    return joined(f"to:{_text(target.range)}", _switches(target.range, ""))


def _render_ports(target: Masquerade | Redirect) -> str:
    ports = _ports_text(target.ports)
    return joined(f"--to-ports {ports}" if ports else "", _switches(target.ports))


def _describe_masquerade(target: Masquerade) -> str:
    ports = _ports_text(target.ports)
    return joined(f"masq ports: {ports}" if ports else "", _switches(target.ports, ""))


def _describe_redirect(target: Redirect) -> str:
    ports = _ports_text(target.ports)
    return joined(f"redir ports {ports}" if ports else "", _switches(target.ports, ""))


def _network(target: Netmap) -> str:
    return f"{target.network}/{prefix_length(target.mask)}"


def _render_netmap(target: Netmap) -> str:
    return f"--to {_network(target)}"


def _describe_netmap(target: Netmap) -> str:
    return f"to:{_network(target)}"


_RANDOM: Final = Option("random", arguments=0)
_RANDOM_FULLY: Final = Option("random-fully", arguments=0)
_PERSISTENT: Final = Option("persistent", arguments=0)

EXTENSIONS: Final = (
    Extension(
        name="DNAT",
        type=Dnat,
        build=_build_dnat,
        render=_render_dnat,
        describe=_describe_dnat,
        tables=_TABLES,
        hooks=_ENTRY,
        options=(Option("to-destination", required=True), _RANDOM, _PERSISTENT),
    ),
    Extension(
        name="SNAT",
        type=Snat,
        build=_build_snat,
        render=_render_snat,
        describe=_describe_snat,
        tables=_TABLES,
        hooks=_EXIT,
        options=(Option("to-source", required=True), _RANDOM, _RANDOM_FULLY, _PERSISTENT),
    ),
    Extension(
        name="MASQUERADE",
        type=Masquerade,
        build=_build_masquerade,
        render=_render_ports,
        describe=_describe_masquerade,
        tables=_TABLES,
        hooks=frozenset({Hook.POSTROUTING}),
        options=(Option("to-ports"), _RANDOM, _RANDOM_FULLY),
    ),
    Extension(
        name="REDIRECT",
        type=Redirect,
        build=_build_redirect,
        render=_render_ports,
        describe=_describe_redirect,
        tables=_TABLES,
        hooks=_ENTRY,
        options=(Option("to-ports"), _RANDOM),
    ),
    Extension(
        name="NETMAP",
        type=Netmap,
        build=_build_netmap,
        render=_render_netmap,
        describe=_describe_netmap,
        tables=_TABLES,
        hooks=_ENTRY | _EXIT,
        options=(Option("to", required=True),),
    ),
)
