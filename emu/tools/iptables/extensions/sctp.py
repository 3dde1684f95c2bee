# SPDX-License-Identifier: GPL-2.0-only
"""`-m sctp`. Source: extensions/libxt_sctp.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.sctp import Chunk, Chunks, Extent, Sctp
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.values import describe_ports, joined, ports, render_ports

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options

_SCTP: Final = 132
_TYPES: Final = {
    "DATA": 0,
    "INIT": 1,
    "INIT_ACK": 2,
    "SACK": 3,
    "HEARTBEAT": 4,
    "HEARTBEAT_ACK": 5,
    "ABORT": 6,
    "SHUTDOWN": 7,
    "SHUTDOWN_ACK": 8,
    "ERROR": 9,
    "COOKIE_ECHO": 10,
    "COOKIE_ACK": 11,
    "ECN_ECNE": 12,
    "ECN_CWR": 13,
    "SHUTDOWN_COMPLETE": 14,
    "ASCONF": 193,
    "ASCONF_ACK": 128,
    "FORWARD_TSN": 192,
}
_NAMES: Final = {kind: name for name, kind in _TYPES.items()}
_FLAGS: Final = {"DATA": "----IUBE", "ABORT": "-------T", "SHUTDOWN_COMPLETE": "-------T"}
"""The letters of a chunk's flags, the highest bit first."""

_EVERY_TYPE: Final = tuple(Chunk(kind) for kind in range(256))
_EXTENTS: Final = {"any": Extent.ANY, "all": Extent.ALL, "only": Extent.ONLY}
_WORDS: Final = {extent: name for name, extent in _EXTENTS.items()}


def _chunk(text: str) -> Chunk:
    name, _, letters = text.partition(":")
    kind = _TYPES.get(name.upper())
    if kind is None:
        raise wrong(f"Unknown sctp chunk `{name}'")
    flags = mask = 0
    known = _FLAGS.get(name.upper(), "")
    for letter in letters:
        place = known.find(letter.upper())
        if place < 0 or letter == "-":
            raise wrong(f"Invalid flags for chunk type {kind}")
        bit = 0x80 >> place
        mask |= bit
        flags |= bit if letter.isupper() else 0
    return Chunk(kind, flags, mask)


def _chunks(options: Options) -> Chunks | None:
    written = options.get("chunk-types")
    if written is None:
        return None
    extent_text, list_text = written.values
    extent = _EXTENTS.get(extent_text.lower())
    if extent is None:
        raise wrong('Match type has to be one of "ALL", "ANY" or "ONLY"')
    if list_text.upper() == "ALL":
        chunks = _EVERY_TYPE
    elif list_text.upper() == "NONE":
        chunks = ()
    else:
        by_type = {chunk.type: chunk for chunk in map(_chunk, list_text.split(","))}
        chunks = tuple(by_type[kind] for kind in sorted(by_type))
    return Chunks(extent, chunks, inverted=written.inverted)


def _build(options: Options) -> Sctp:
    return Sctp(ports(options.get("source-port")), ports(options.get("destination-port")), _chunks(options))


def _flag_letters(chunk: Chunk) -> str:
    known = _FLAGS.get(_NAMES.get(chunk.type, ""), "")
    bits = ((letter, 0x80 >> place) for place, letter in enumerate(known))
    letters = "".join(
        letter if chunk.flags & bit else letter.lower() for letter, bit in bits if chunk.mask & bit
    )
    return f":{letters}" if letters else ""


def _list(chunks: Chunks, *, numeric: bool) -> str:
    if not chunks.chunks:
        return "NONE"
    if chunks.chunks == _EVERY_TYPE:
        return "ALL"
    return ",".join(
        (f"0x{chunk.type:04X}" if numeric else _NAMES[chunk.type]) + _flag_letters(chunk)
        for chunk in chunks.chunks
    )


def _render(match: Sctp) -> str:
    chunks = match.chunks
    words = ""
    if chunks is not None:
        mark = "! " if chunks.inverted else ""
        words = f"{mark}--chunk-types {_WORDS[chunks.extent]} {_list(chunks, numeric=False)}"
    return joined(render_ports("sport", match.source), render_ports("dport", match.destination), words)


def _describe(match: Sctp) -> str:
    chunks = match.chunks
    words = ""
    if chunks is not None:
        mark = "! " if chunks.inverted else ""
        words = f"{mark}{_WORDS[chunks.extent]} {_list(chunks, numeric=True)}"
    return joined(
        "sctp", describe_ports("spt", match.source), describe_ports("dpt", match.destination), words
    )


EXTENSIONS: Final = (
    Extension(
        name="sctp",
        type=Sctp,
        build=_build,
        render=_render,
        describe=_describe,
        protocols=frozenset({_SCTP}),
        options=(
            Option("source-port", ("sport",), invertible=True),
            Option("destination-port", ("dport",), invertible=True),
            Option("chunk-types", arguments=2, invertible=True, too_few="--chunk-types requires two args"),
        ),
    ),
)
