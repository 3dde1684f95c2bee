# SPDX-License-Identifier: GPL-2.0-only
"""Words that many extensions share: numbers, ports, quoted strings. Source: libxtables/xtables.c."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.ports import PortRange
from emu.tools.iptables.extension import wrong
from emu.tools.protocols import SERVICES

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options, Written

_NUMBER: Final = re.compile(r"\+?(?:0[xX][0-9a-fA-F]{1,16}|0[0-7]{0,22}|[1-9][0-9]{0,19})")
_PLAIN: Final = re.compile(r"[-_0-9A-Za-z]+")
_ESCAPED: Final = re.compile(r"([\"\\'])")
_MAX32: Final = 0xFFFFFFFF


def number(text: str, low: int = 0, high: int = _MAX32) -> int | None:
    """Return the number that strtoul(3) with base 0 reads; None if `text` is none in that range."""
    if _NUMBER.fullmatch(text) is None:
        return None
    digits = text.lstrip("+").lower()
    base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10
    value = int(digits, base)
    return value if low <= value <= high else None


def number_of(options: Options, name: str, default: int = 0, *, low: int = 0, high: int = _MAX32) -> int:
    """Return the number behind the option `name`, `default` if it was not given.

    Raises:
        CommandError: it is none, or out of range.
    """
    written = options.get(name)
    if written is None:
        return default
    value = number(written.value, low, high)
    if value is None:
        raise wrong(
            f'{options.extension}: bad value for option "--{name}", or out of range ({low}-{high}).\n'
        )
    return value


def masked_of(options: Options, name: str) -> tuple[int, int]:
    """Return value and mask of `--name VALUE[/MASK]`, the mask with all bits set if there is none.

    Raises:
        CommandError: one of them is no number of 32 bits.
    """
    first, slash, second = options.text(name).partition("/")
    value, mask = number(first), number(second) if slash else _MAX32
    if value is None or mask is None:
        raise wrong(f'{options.extension}: bad integer value for option "--{name}", or out of range.\n')
    return value, mask


def masked(value: int, mask: int) -> str:
    """Return the text of a value under a mask, which is left out if it has all bits set."""
    return f"0x{value:x}" if mask == _MAX32 else f"0x{value:x}/0x{mask:x}"


def port(text: str) -> int:
    """Return the port that `text` names or numbers.

    Raises:
        CommandError: it does neither.
    """
    value = number(text, 0, 0xFFFF)
    if value is None:
        value = SERVICES.get(text)
    if value is None:
        raise wrong(f"invalid port/service `{text}' specified")
    return value


def ports(written: Written | None) -> PortRange | None:
    """Return what `[!] --sport A[:B]` asks for, None if it was not given or asks for nothing.

    Raises:
        CommandError: an end is no port, or they are in the wrong order.
    """
    if written is None:
        return None
    first, colon, last = written.value.partition(":")
    if not colon:
        low = high = port(first)
    else:
        low, high = port(first) if first else 0, port(last) if last else 0xFFFF
    if low > high:
        raise wrong("invalid portrange (min > max)")
    if (low, high) == (0, 0xFFFF):
        return None
    return PortRange(low, high, inverted=written.inverted)


def render_ports(name: str, asked: PortRange | None) -> str:
    """Return `[!] --name A[:B]`, nothing for None."""
    if asked is None:
        return ""
    text = f"{asked.low}" if asked.low == asked.high else f"{asked.low}:{asked.high}"
    return f"{'! ' if asked.inverted else ''}--{name} {text}"


def describe_ports(name: str, asked: PortRange | None) -> str:
    """Return what a listing shows (`dpt:80`, `dpts:!1:5`), nothing for None."""
    if asked is None:
        return ""
    mark = "!" if asked.inverted else ""
    if asked.low == asked.high:
        return f"{name}:{mark}{asked.low}"
    return f"{name}s:{mark}{asked.low}:{asked.high}"


def joined(*parts: str) -> str:
    """Return the parts that are not empty, with spaces between."""
    return " ".join(filter(None, parts))


def quoted(text: str) -> str:
    """Return `text` as iptables-save writes a string: quoted unless it is one plain word.

    Source: libxtables/xtables.c `xtables_save_string`.
    """
    if _PLAIN.fullmatch(text):
        return text
    return '"' + _ESCAPED.sub(r"\\\1", text) + '"'
