# SPDX-License-Identifier: GPL-2.0-only
"""Addresses and masks, as the options of extensions take them. Source: libxtables/xtoptions.c."""

from __future__ import annotations

import re
from typing import Final

from emu.tools.iptables.addresses import dotted, prefix_length
from emu.wire.addresses import IpAddress

_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_DOTTED: Final = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_ALL: Final = 0xFFFFFFFF
HOST_MASK: Final = b"\xff\xff\xff\xff"


def host(text: str) -> IpAddress | None:
    """Return the address that `text` is, None if it is none; names are not looked up."""
    if _DOTTED.fullmatch(text) is None:
        return None
    return IpAddress(bytes(int(octet) for octet in text.split(".")))


def host_and_mask(text: str) -> tuple[IpAddress, bytes] | None:
    """Return address and mask of `A[/LENGTH]` or `A/MASK`, None if it is none.

    A mask with gaps counts as one of 32 bits: so does iptables 1.8.9 read it.
    """
    name, slash, length = text.partition("/")
    address = host(name)
    if address is None:
        return None
    if not slash:
        return address, HOST_MASK
    if length.isascii() and length.isdigit() and int(length) <= 32:
        return address, (_ALL << 32 - int(length) & _ALL).to_bytes(4, "big")
    mask = host(length)
    if mask is None:
        return None
    return address, HOST_MASK if prefix_length(mask) is None else bytes(mask)


def masked_text(address: bytes, mask: bytes) -> str:
    """Return `A`, or `A/LENGTH` for less than 32 bits."""
    return dotted(address) if mask == HOST_MASK else f"{dotted(address)}/{prefix_length(mask)}"
