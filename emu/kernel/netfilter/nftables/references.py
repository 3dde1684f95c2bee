# SPDX-License-Identifier: GPL-2.0-only
"""What rules and elements name: chains, sets and objects of their table."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from emu.kernel.netfilter.nftables import expressions as ex
from emu.kernel.netfilter.nftables import statements as st

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.netfilter.nftables.ruleset import Element, Rule

_VALUES = (int, str, bytes, type(None))


class Reference(NamedTuple):
    """A name: of a `chain`, a `set`, or an object by its kind."""

    kind: str
    name: str


def of_rule(rule: Rule) -> tuple[Reference, ...]:
    """Return what `rule` names, each as often as it does."""
    return tuple(reference for statement in rule.statements for reference in _inside(statement))


def of_element(element: Element, kind: str = "") -> tuple[Reference, ...]:
    """Return what an element names; `kind` is that of the objects of its map."""
    if isinstance(element.data, ex.Decision) and element.data.chain:
        return (Reference("chain", element.data.chain),)
    if kind and isinstance(element.data, str):
        return (Reference(kind, element.data),)
    return ()


def _inside(value: object) -> Iterator[Reference]:
    """Yield the names in a statement, an expression, or anything in them."""
    if isinstance(value, _VALUES):
        return
    match value:
        case ex.Decision(_, chain):
            if chain:
                yield Reference("chain", chain)
            return
        case ex.SetName(name):
            yield Reference("set", name)
            return
        case st.Update(_, name):
            yield Reference("set", name)
        case st.NamedObject(kind, str(name)):
            yield Reference(kind, name)
            return
        case _:
            pass
    if isinstance(value, tuple):
        for part in value:
            yield from _inside(part)
    else:
        for name in getattr(type(value), "__match_args__", ()):  # the fields of a value
            yield from _inside(getattr(value, name))
