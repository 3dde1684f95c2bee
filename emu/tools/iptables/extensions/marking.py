# SPDX-License-Identifier: GPL-2.0-only
"""How MARK and CONNMARK say which bits they set. Source: extensions/libxt_MARK.c, libxt_CONNMARK.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.tools.iptables.values import masked_of, number_of

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options

ALL: Final = 0xFFFFFFFF
FORMS: Final = ("set-xmark", "set-mark", "and-mark", "or-mark", "xor-mark")


def set_by(options: Options, form: str) -> tuple[int, int]:
    """Return value and mask of `form`, one of `FORMS`: the mask's bits are cleared, then the value's flipped.

    Raises:
        CommandError: what is given is no number of 32 bits.
    """
    if form in {"set-xmark", "set-mark"}:
        value, mask = masked_of(options, form)
        return value, mask if form == "set-xmark" else mask | value
    bits = number_of(options, form)
    match form:
        case "and-mark":
            return 0, ~bits & ALL
        case "or-mark":
            return bits, bits
        case _:
            return bits, 0


def described(value: int, mask: int) -> str:
    """Return what `iptables -L` says of value and mask: the shortest of the forms that says it."""
    if value == 0:
        return f"and 0x{~mask & ALL:x}"
    if value == mask:
        return f"or 0x{value:x}"
    if mask == 0:
        return f"xor 0x{value:x}"
    if mask == ALL:
        return f"set 0x{value:x}"
    return f"xset 0x{value:x}/0x{mask:x}"
