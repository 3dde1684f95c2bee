# SPDX-License-Identifier: GPL-2.0-only
"""Rules as kube-proxy writes them, and what iptables-restore makes of them.

A line is what stands behind `-A CHAIN`. Nodes with the same rules share one
`Written`, so each line is read once, however many nodes load it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import attrs

from emu.kernel.netfilter.ruleset import Chain
from emu.tools.iptables import command, lines, plain

if TYPE_CHECKING:
    from emu.kernel.netfilter.ruleset import Rule


def read_rule(chain: str, line: str) -> Rule:
    """Return the rule that `-A chain line` makes.

    Raises:
        CommandError: it makes none.
    """
    words = lines.split(f"-A {chain} {line}")
    return plain.read(words) or command.parse(words).rules[0]


@attrs.frozen(eq=False)
class Written:
    """A chain with its rules, as they are written.

    Attributes:
        name: of the chain.
        given: its rules, in order; none if it is put together from others.
        parts: what it is put together from, if it is: their rules are read once for all such chains.
    """

    name: str
    given: tuple[str, ...] = ()
    parts: tuple[Written, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """Its rules as they are written, in order."""
        return self.given + tuple([line for part in self.parts for line in part.lines])

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """Its rules as values."""
        if self.parts:
            return tuple([rule for part in self.parts for rule in part.rules])
        return tuple([read_rule(self.name, line) for line in self.given])

    @cached_property
    def chain(self) -> Chain:
        """The chain as a value, the same object each time."""
        return Chain(self.name, self.rules)
