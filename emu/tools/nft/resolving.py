# SPDX-License-Identifier: GPL-2.0-only
"""Commands looked at again, once it is known what the sets are that they name.

Source: nftables, src/evaluate.c (`expr_evaluate_relational`, `expr_evaluate_map`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.nftables import expressions as ex
from emu.kernel.netfilter.nftables import requests as ask
from emu.kernel.netfilter.nftables import statements as st
from emu.kernel.netfilter.nftables.typing_of import types_of
from emu.tools.nft.asked import Pending
from emu.tools.nft.faults import MissingError, SyntaxFaultError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emu.kernel.netfilter.nftables.ruleset import Set
    from emu.tools.nft.asked import Listing, Reset
    from emu.tools.nft.commands import Command

    FindSet = Callable[[str, str, str], Set | None]

_LEAVES: Final = (int, str, ex.Members, ex.Decision, st.Counter, type(None))


def request_of(command: Command, find_set: FindSet) -> ask.Request | Listing | Reset:
    """Return what a command asks for, its elements read and its sets looked at.

    Args:
        command: the command.
        find_set: returns a set by family, table and name, None if there is none.

    Raises:
        SyntaxFaultError: a set is missing, or is not for what it is asked with.
    """
    asked, place = command
    if isinstance(asked, Pending):
        where = (asked.family, asked.table, asked.set)
        known = find_set(*where)
        if known is None:
            raise MissingError(place, asked.set)
        if asked.verb in ("delete", "destroy"):
            return ask.DeleteElements(*where, asked.read(known), asked.verb == "destroy")
        return ask.AddElements(*where, asked.read(known), asked.verb == "create")
    if isinstance(asked, ask.AddRule | ask.ReplaceRule):
        for key, name, is_map in _uses(asked.rule.statements):
            known = find_set(asked.family, asked.table, name)
            if known is None:
                continue  # the kernel will say so
            if is_map and not known.is_map:
                raise SyntaxFaultError(place, "Expression is not a map")
            if [one.bits for one in types_of(key)] != [one.bits for one in known.key]:
                wanted = " . ".join(one.name for one in types_of(key))
                found = " . ".join(one.name for one in known.key)
                message = f"datatype mismatch, expected {wanted}, expression has type {found}"
                raise SyntaxFaultError(place, message)
    return asked


def _uses(value: object) -> Iterator[tuple[ex.Expression, str, bool]]:
    """Yield the sets that are asked in a statement: with what, their names, and whether they must be maps."""
    match value:
        case st.Match(left, _, ex.SetName(name)):
            yield left, name, False
        case st.Vmap(key, ex.SetName(name)) | ex.Mapped(key, ex.SetName(name)):
            yield key, name, True
        case st.Update(_, name, key):
            yield key, name, False
        case _:
            pass
    if isinstance(value, tuple):
        for part in value:
            yield from _uses(part)
    elif not isinstance(value, _LEAVES):
        for name in getattr(type(value), "__match_args__", ()):
            yield from _uses(getattr(value, name))
