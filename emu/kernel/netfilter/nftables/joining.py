# SPDX-License-Identifier: GPL-2.0-only
"""Neighbouring fields compared as one. Source: nftables, src/payload.c (`payload_can_merge`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.nftables import expressions as ex
from emu.kernel.netfilter.nftables.payload import FIELDS
from emu.kernel.netfilter.nftables.statements import Match

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kernel.netfilter.nftables.payload import Field
    from emu.kernel.netfilter.nftables.statements import Statement

_MOST_BITS: Final = 32  # no more than one register


def compared_field(statement: Statement) -> Field | None:
    """Return the field that a statement compares with one value, None for any other."""
    if not isinstance(statement, Match) or not isinstance(statement.left, ex.Payload):
        return None
    if statement.operator not in ("==", "!=") or not isinstance(statement.right, int):
        return None
    return FIELDS[statement.left.protocol][statement.left.field]


def extended(end: Field, field: Field) -> Field | None:
    """Return both as one field, None where they are not read as one."""
    if end.base is not field.base or end.offset + end.bits != field.offset:
        return None
    if end.offset % 8 or end.bits % 8 or field.bits % 8 or end.bits + field.bits > _MOST_BITS:
        return None
    return end._replace(bits=end.bits + field.bits)


def joined(statements: Sequence[Statement], at: int) -> tuple[Match, int] | None:
    """Return what is read as one from `at` on, and how many statements that is; None for one alone."""
    end = compared_field(statements[at])
    if end is None:
        return None
    found = [statements[at]]
    for statement in statements[at + 1 :]:
        field = compared_field(statement)
        longer = None if field is None else extended(end, field)
        if longer is None:
            break
        end = longer
        found.append(statement)
    if len(found) == 1:
        return None
    fields = [one.left for one in found if isinstance(one, Match) and isinstance(one.left, ex.Payload)]
    values = [one.right for one in found if isinstance(one, Match) and isinstance(one.right, int)]
    return Match(ex.Joined(tuple(fields)), "==", tuple(values)), len(found)


def as_number(joined_fields: ex.Joined, values: Sequence[ex.Atom]) -> int:
    """Return the values of several fields as that of one."""
    number = 0
    for part, value in zip(joined_fields.parts, values, strict=True):
        assert isinstance(value, int)
        number = number << FIELDS[part.protocol][part.field].bits | value
    return number
