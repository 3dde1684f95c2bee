# SPDX-License-Identifier: GPL-2.0-only
"""Complaints of ipset, and numbers as it reads them. Source: lib/parse.c, lib/errcode.c of ipset 7.17."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.errors import CommandError
from emu.kernel.netfilter.ipset.errors import Refusal

if TYPE_CHECKING:
    from emu.kernel.netfilter.ipset.errors import IpSetError

PROGRAM: Final = "ipset v7.17"
MAX_NAME: Final = 31
FAILED: Final = 1
USAGE: Final = 2
_NUMBER: Final = re.compile(r"([-+]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
_LONGEST_NUMBER: Final = 32  # characters; any more are out of every range

_WORDS: Final = {
    Refusal.NO_SUCH_SET: "The set with the given name does not exist",
    Refusal.INVALID: "Kernel error received: Invalid argument",
    Refusal.NO_MEMORY: "Kernel error received: Cannot allocate memory",
    Refusal.RANGE_TOO_LARGE: "The specified range is too large, split it up into smaller ranges",
    Refusal.TYPE_UNSUPPORTED: "Kernel error received: set type not supported",
    Refusal.BUSY: "Set cannot be destroyed: it is in use by a kernel component",
    Refusal.TYPE_MISMATCH: "The sets cannot be swapped: their type does not match",
    Refusal.INVALID_CIDR: "The value of the CIDR parameter of the IP address is invalid",
    Refusal.INVALID_NETMASK: "The value of the netmask parameter is invalid",
    Refusal.TIMEOUT: "Timeout cannot be used: set was created without timeout support",
    Refusal.REFERENCED: "Set cannot be renamed: it is in use by another system",
    Refusal.COUNTER: "Packet/byte counters cannot be used: set was created without counter support",
    Refusal.COMMENT: "Comment cannot be used: set was created without comment support",
    Refusal.SKBINFO: "Skbinfo mapping cannot be used: set was created without skbinfo support",
    Refusal.INVALID_PROTO: "Invalid protocol specified",
    Refusal.HASH_FULL: "Hash is full, cannot add more elements",
    Refusal.HASH_ELEM: "Null-valued element, cannot be stored in a hash type of set",
    Refusal.HASH_RANGE: "Invalid range, covers the whole address space",
    Refusal.HASH_RANGE_UNSUPPORTED: 'Range is not supported in the "net" component of the element',
    Refusal.BITMAP_RANGE: "Element is out of the range of the set",
    Refusal.BITMAP_RANGE_SIZE: "The range you specified exceeds the size limit of the set type",
    Refusal.NAME: "Set to be added/deleted/tested as element does not exist.",
    Refusal.LOOP: "Sets with list:set type cannot be added to the set.",
    Refusal.NAMEREF: "The set to which you referred with 'before' or 'after' does not exist.",
    Refusal.REF_EXIST: "The set to which you referred with 'before' or 'after' is not added to the set.",
}
_EXIST: Final = {
    "create": "Set cannot be created: set with the same name already exists",
    "add": "Element cannot be added to the set: it's already added",
    "del": "Element cannot be deleted from the set: it's not added",
}
_EXIST_SETNAME2: Final = {
    "rename": "Set cannot be renamed: a set with the new name already exists",
    "swap": "Sets cannot be swapped: the second set does not exist",
}


def refused(error: IpSetError, verb: str) -> CommandError:
    """Return the complaint of what the kernel refused to the command `verb`."""
    match error.refusal:
        case Refusal.EXIST:
            words = _EXIST[verb]
        case Refusal.EXIST_SETNAME2:
            words = _EXIST_SETNAME2[verb]
        case refusal:
            words = _WORDS[refusal]
    return CommandError(words, FAILED)


def wrong(message: str) -> CommandError:
    """Return the complaint of a value."""
    return CommandError(f"Syntax error: {message}", FAILED)


def misused(message: str) -> CommandError:
    """Return the complaint of a command that has too little or too much."""
    return CommandError(message, USAGE)


def complaint(error: CommandError, line: int = 0) -> CommandError:
    """Return `error` as it is printed: with the program's name, and the line (from 1) of a file."""
    place = f"Error in line {line}: " if line and error.status == FAILED else ""
    hint = "\nTry `ipset help' for more information." if error.status == USAGE else ""
    return CommandError(f"{PROGRAM}: {place}{error}{hint}", error.status, stdout=error.stdout)


def number(text: str, low: int, high: int) -> int:
    """Return the number, decimal, octal or hexadecimal, that `text` is.

    Raises:
        CommandError: it is none, or not in the range.
    """
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise wrong(f"'{text}' is invalid as number")
    sign, digits = found.groups()
    base = 16 if digits[:2] in {"0x", "0X"} else 8 if digits.startswith("0") else 10
    value = int(digits, base) if len(digits) <= _LONGEST_NUMBER else high + 1
    if not low <= value <= high or (sign == "-" and value):
        raise wrong(f"'{text}' is out of range {low}-{high}")
    return value


def name(text: str) -> str:
    """Return `text`, the name of a set.

    Raises:
        CommandError: it is too long.
    """
    if len(text.encode()) > MAX_NAME:
        raise wrong(f"setname '{text}' is longer than {MAX_NAME} characters")
    return text
