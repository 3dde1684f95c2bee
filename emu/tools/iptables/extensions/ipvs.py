# SPDX-License-Identifier: GPL-2.0-only
"""`-m ipvs`. Source: extensions/libxt_ipvs.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.conntrack.entry import Direction
from emu.kernel.netfilter.matches.ipvs import Balanced, VirtualAddress
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.extensions.hosts import host_and_mask, masked_text
from emu.tools.iptables.values import number, port
from emu.tools.protocols import PROTOCOLS

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options

_METHODS: Final = ("GATE", "IPIP", "MASQ")


def _build(options: Options) -> Balanced:
    if not options.given:
        raise wrong("IPVS: At least one option is required")
    ports = {name: port(options.text(name)) for name in ("vport", "vportctl") if name in options}
    return Balanced(
        "ipvs" in options,
        _protocol(options) if "vproto" in options else None,
        _address(options) if "vaddr" in options else None,
        ports.get("vport"),
        _direction(options) if "vdir" in options else None,
        _method(options) if "vmethod" in options else None,
        ports.get("vportctl"),
        frozenset(name for name in options.given if options.is_inverted(name)),
    )


def _protocol(options: Options) -> int:
    text = options.text("vproto")
    value = PROTOCOLS.get(text, number(text, 0, 255))
    if value is None:
        raise wrong(f'Bad value for "vproto" option: "{text}"')
    return value


def _address(options: Options) -> VirtualAddress:
    text = options.text("vaddr")
    found = host_and_mask(text)
    if found is None:
        raise wrong(f'ipvs: Bad value for "--vaddr" option: "{text}"')
    address, mask = found
    return VirtualAddress(bytes(one & two for one, two in zip(address, mask, strict=True)), mask)


def _direction(options: Options) -> int:
    text = options.text("vdir").upper()
    if text not in Direction.__members__:
        raise wrong(f'Param_act: option "vdir" has bad value "{text}".')
    return Direction[text]


def _method(options: Options) -> str:
    text = options.text("vmethod").upper()
    if text not in _METHODS:
        raise wrong(f'Param_act: option "vmethod" has bad value "{text}".')
    return text


def _words(match: Balanced, dashes: str) -> str:
    said = {
        "ipvs": "" if match.is_balanced else None,
        "vproto": match.protocol,
        "vaddr": masked_text(*match.address) if match.address is not None else None,
        "vport": match.port,
        "vdir": Direction(match.direction).name if match.direction is not None else None,
        "vmethod": match.method,
        "vportctl": match.control_port,
    }
    return " ".join(
        f"{'! ' if name in match.inverted else ''}{dashes}{name} {value}".rstrip()
        for name, value in said.items()
        if value is not None
    )


def _render(match: Balanced) -> str:
    return _words(match, "--")


def _describe(match: Balanced) -> str:
    return _words(match, "")


EXTENSIONS: Final = (
    Extension(
        name="ipvs",
        type=Balanced,
        build=_build,
        render=_render,
        describe=_describe,
        options=(
            Option("ipvs", arguments=0, invertible=True),
            *(Option(name, invertible=True) for name in ("vproto", "vaddr", "vport")),
            Option("vdir"),
            *(Option(name, invertible=True) for name in ("vmethod", "vportctl")),
        ),
    ),
)
