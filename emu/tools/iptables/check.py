# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel refuses in a table as a whole: jumps to nowhere or in circles, targets in the wrong place.

Source: net/netfilter/nf_tables_api.c `nft_chain_validate`, net/netfilter/nft_compat.c,
net/netfilter/x_tables.c `xt_check_match`, `xt_check_target`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel.netfilter.matches.ip import (
    Destination,
    Fragment,
    InInterface,
    OutInterface,
    Protocol,
    Source,
)
from emu.kernel.netfilter.ruleset import BUILTIN, Decide, Goto, Jump, Return, UnknownMatch, UnknownTarget
from emu.tools.iptables.extension import Place
from emu.tools.iptables.extensions import of_type

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from emu.kernel.netfilter.hooks import Hook
    from emu.kernel.netfilter.ruleset import Chain, Rule, Table

DEEPEST: Final = 15
"""Most jumps within each other that nf_tables takes."""

_PLAIN: Final = frozenset(
    {
        Destination,
        Fragment,
        InInterface,
        OutInterface,
        Protocol,
        Source,
        UnknownMatch,
        UnknownTarget,
        Decide,
        Goto,
        Jump,
        Return,
        type(None),
    }
)
"""What may stand in any rule."""

NOT_THERE: Final = ""
"""In the place of an errno's words: the chain of a jump does not exist."""


class Problem(NamedTuple):
    """A rule that is refused.

    Attributes:
        chain: where it is.
        position: its number from 0.
        error: the kernel's errno in words; `NOT_THERE` if iptables itself refuses it.
        hint: what is wrong.
    """

    chain: str
    position: int
    error: str
    hint: str


class Edge(NamedTuple):
    """A jump from the rule at `position` (from 0) to `chain`."""

    position: int
    chain: str


class Reach(NamedTuple):
    """How packets get to the chains of a table.

    Attributes:
        hooks: where packets come from, by chain; a chain nobody gets to is missing.
        problems: jumps that go in circles, or too deep.
    """

    hooks: Mapping[str, frozenset[Hook]]
    problems: tuple[Problem, ...]


def jumps(chain: Chain) -> list[Edge]:
    """Return where the rules of `chain` lead."""
    return [
        Edge(index, rule.target.chain)
        for index, rule in enumerate(chain.rules)
        if isinstance(rule.target, (Jump, Goto))
    ]


def problems(table: Table, known: Reach | None = None, changed: Container[str] = ()) -> Iterator[Problem]:
    """Yield the rules of `table` that the kernel would not take.

    Args:
        table: the table.
        known: how its chains were reached when it was last found to be right;
            None if it was not looked at before.
        changed: names of the chains that have changed since.
    """
    edges = {chain.name: jumps(chain) for chain in table.chains}
    builtin = {hook.name for hook in BUILTIN[table.name]}
    for name, outgoing in edges.items():
        for index, target in outgoing:
            if target not in edges:
                yield Problem(name, index, NOT_THERE, f"Chain '{target}' does not exist")
            elif target in builtin:
                yield Problem(
                    name, index, "Operation not supported", f"{target} is no chain that one can jump to"
                )
    reach = reach_of(table, edges)
    yield from reach.problems
    for chain in table.chains:
        hooks = reach.hooks.get(chain.name, frozenset())
        if known is None or chain.name in changed or hooks != known.hooks.get(chain.name, frozenset()):
            yield from _misplaced(table, chain, hooks)


def reach_of(table: Table, edges: Mapping[str, list[Edge]] | None = None) -> Reach:
    """Return how packets get to the chains of `table`."""
    if edges is None:
        edges = {chain.name: jumps(chain) for chain in table.chains}
    order, circles = _sorted(edges, [hook.name for hook in BUILTIN[table.name]])
    found = [
        Problem(name, edge.position, "Too many links", f"the jump to {edge.chain} leads in a circle")
        for name, edge in circles
    ]
    in_circle = set(circles)
    hooks = {hook.name: frozenset({hook}) for hook in BUILTIN[table.name]}
    depth = dict.fromkeys(hooks, 0)
    for name in order:
        deep = depth[name] + 1
        for edge in edges[name]:
            if edge.chain not in edges or (name, edge) in in_circle:
                continue
            hooks[edge.chain] = hooks.get(edge.chain, frozenset()) | hooks[name]
            depth[edge.chain] = max(depth.get(edge.chain, 0), deep)
            if deep > DEEPEST:
                found.append(
                    Problem(name, edge.position, "Too many links", f"jumps are nested deeper than {DEEPEST}")
                )
    return Reach(hooks, tuple(found))


def _sorted(edges: Mapping[str, list[Edge]], roots: list[str]) -> tuple[list[str], list[tuple[str, Edge]]]:
    """Return the reachable chains, each before those it leads to, and the edges that close circles."""
    order: list[str] = []
    circles: list[tuple[str, Edge]] = []
    under_way: set[str] = set()
    done: set[str] = set()
    for root in roots:
        stack = [(root, iter(edges[root]))] if root not in done else []
        under_way.add(root)
        while stack:
            name, rest = stack[-1]
            for edge in rest:
                if edge.chain in under_way:
                    circles.append((name, edge))
                elif edge.chain in edges and edge.chain not in done:
                    under_way.add(edge.chain)
                    stack.append((edge.chain, iter(edges[edge.chain])))
                    break
            else:
                stack.pop()
                under_way.discard(name)
                done.add(name)
                order.append(name)
    order.reverse()
    return order, circles


def _misplaced(table: Table, chain: Chain, hooks: frozenset[Hook]) -> Iterator[Problem]:
    for index, rule in enumerate(chain.rules):
        name = _misfit(table.name, rule, hooks)
        if name:
            yield Problem(chain.name, index, "Invalid argument", f"{name} is not possible here")


def _misfit(table: str, rule: Rule, hooks: frozenset[Hook]) -> str:
    """Return the match or target of `rule` that cannot be there, empty if all can."""
    place = None
    for value in (*rule.matches, rule.target):
        kind = type(value)
        if kind in _PLAIN or kind in _ANYWHERE:
            continue
        extension = of_type(kind)
        if extension.fits_anywhere:
            _ANYWHERE.add(kind)
            continue
        if place is None:
            asked = next((match for match in rule.matches if isinstance(match, Protocol)), None)
            place = Place(table, hooks, *((asked.number, asked.inverted) if asked else ()))
        if not extension.fits(value, place):
            return f"-j {extension.name}" if value is rule.target else f"-m {extension.name}"
    return ""


_ANYWHERE: Final[set[type]] = set()
"""Types of which `fits_anywhere` is known."""
