# SPDX-License-Identifier: GPL-2.0-only
"""Chains: what stands between their braces. Source: nftables, src/parser_bison.y (`chain_block`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.kernel.netfilter.nftables.ruleset import Chain, Hooked, Rule
from emu.tools.nft import priorities
from emu.tools.nft.faults import Place, SyntaxFaultError, UnmodelledError
from emu.tools.nft.recovering import pass_over
from emu.tools.nft.rules import take_rule
from emu.tools.nft.values import take_comment

if TYPE_CHECKING:
    from collections.abc import Collection

    from emu.tools.nft.tokens import Tokens

_TYPES: Final = ("filter", "nat", "route")
_HOOKS: Final = ("prerouting", "input", "forward", "output", "postrouting", "ingress", "egress")


class PlacedRule(NamedTuple):
    """A rule and where it stands."""

    rule: Rule
    place: Place


def take_block(
    tokens: Tokens, family: str, name: str, interfaces: Collection[str] | None
) -> tuple[Chain, list[PlacedRule]]:
    """Take a chain in braces; return it without its rules, and them.

    Raises:
        SyntaxFaultError: it makes no sense.
    """
    block = _Block(Chain(name), family, interfaces)
    tokens.expect("{")
    while True:
        while tokens.next.kind == "newline" or tokens.sees(";"):
            tokens.take()
        if tokens.accept("}"):
            return block.chain, block.rules
        begin = tokens.at
        try:
            block.take_one(tokens)
            end_line(tokens)
        except (SyntaxFaultError, UnmodelledError) as error:
            pass_over(tokens, begin, error, is_rule=True)


class _Block:
    """A chain while it is read."""

    def __init__(self, chain: Chain, family: str, interfaces: Collection[str] | None) -> None:
        self.chain = chain
        self.family = family
        self.interfaces = interfaces
        self.rules: list[PlacedRule] = []
        self._names_hook = False

    def take_one(self, tokens: Tokens) -> None:
        """Take one line."""
        chain = self.chain
        if tokens.sees("type") and tokens.second.text in _TYPES:
            self._names_hook = True
            self.chain = attrs.evolve(chain, hooked=_take_hook(tokens, self.family, chain))
        elif tokens.accept("policy"):
            self._take_policy(tokens)
        elif tokens.accept("comment"):
            self.chain = attrs.evolve(chain, comment=take_comment(tokens))
        else:
            self.rules.append(take_placed(tokens, self.family, self.interfaces))

    def _take_policy(self, tokens: Tokens) -> None:
        place = tokens.last.place
        policy = tokens.expect("accept", "drop").text
        hooked = self.chain.hooked
        if hooked is not None:
            self.chain = attrs.evolve(self.chain, hooked=attrs.evolve(hooked, policy=policy))
        elif not self._names_hook:
            raise SyntaxFaultError(place, "a policy is that of a base chain")


def take_placed(tokens: Tokens, family: str, interfaces: Collection[str] | None) -> PlacedRule:
    """Take a rule and remember where it stands."""
    start = tokens.next.place
    rule = take_rule(tokens, family, interfaces)
    return PlacedRule(rule, start.to(tokens.last.place))


def end_line(tokens: Tokens) -> None:
    """Take the end of a line, or a semicolon.

    Raises:
        SyntaxFaultError: something else comes.
    """
    if tokens.next.kind == "newline" or tokens.sees(";"):
        tokens.take()
        return
    fault = tokens.unexpected().fault
    raise SyntaxFaultError(fault.place, f"{fault.message}, expecting newline or semicolon")


def _take_hook(tokens: Tokens, family: str, chain: Chain) -> Hooked:
    tokens.expect("type")
    kind = tokens.expect(*_TYPES).text
    tokens.expect("hook")
    hook = tokens.take_kind("word")
    if hook.text not in _HOOKS:
        raise SyntaxFaultError(hook.place, "unknown chain hook")
    device = ""
    if tokens.accept("device"):
        device = tokens.take_kind("word", "quoted").text
    elif tokens.accept("devices"):
        raise SyntaxFaultError(tokens.last.place, "chains of several devices are not modelled")
    tokens.expect("priority")
    priority = priorities.take(tokens, family, hook.text)
    policy = chain.hooked.policy if chain.hooked else "accept"
    return Hooked(kind, hook.text, priority, policy, device)
