# SPDX-License-Identifier: GPL-2.0-only
"""VXLAN headers, and OTV's, which are the same in other words. Source: RFC 7348 §5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.wire import vxlan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.observe.tcpdump.part import Part

PORT: Final = 4789
OTV_PORT: Final = 8472  # where Linux, and so flannel, sends VXLAN unless told otherwise


def words(part: Part) -> Iterator[str]:
    """Yield what a VXLAN header says, and the end of the line; the inner frame is the caller's."""
    yield "VXLAN"
    if part.length < vxlan.HEADER_LENGTH:
        yield " (invalid)"
        return
    yield f", {_flags(part, 'invalid')}, "
    yield f"vni {part.number(4, 3)}\n"
    part.take(0, vxlan.HEADER_LENGTH)


def words_as_otv(part: Part) -> Iterator[str]:
    """Yield what the header says to tcpdump at OTV's port, and the end of the line."""
    yield "OTV, "
    if part.length < vxlan.HEADER_LENGTH:
        yield f"[length {part.length} < {vxlan.HEADER_LENGTH}] (invalid)"
        return
    yield f"{_flags(part, '.')}, "
    yield f"overlay {part.number(1, 3)}, "
    yield f"instance {part.number(4, 3)}\n"
    part.take(0, vxlan.HEADER_LENGTH)


def _flags(part: Part, none: str) -> str:
    flags = part.number(0, 1)
    return f"flags [{'I' if flags & vxlan.FLAG_VNI else none}] (0x{flags:02x})"
