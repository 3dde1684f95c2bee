# SPDX-License-Identifier: GPL-2.0-only
"""Tables in braces, and the objects in them. Source: nftables, src/parser_bison.y (`table_block`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.nftables import requests as ask
from emu.kernel.netfilter.nftables.ruleset import Chain, Object, Table
from emu.kernel.netfilter.nftables.statements import Counter, Limit
from emu.tools.nft import chains, sets
from emu.tools.nft.faults import SyntaxFaultError, UnmodelledError
from emu.tools.nft.limits import take_limit
from emu.tools.nft.recovering import pass_over
from emu.tools.nft.values import take_comment, take_counts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from emu.kernel.netfilter.nftables.ruleset import Element, Set
    from emu.tools.nft.faults import Place
    from emu.tools.nft.tokens import Tokens

_UNMODELLED: Final = ("quota", "secmark", "synproxy", "flowtable", "ct")


def take_object(tokens: Tokens, kind: str, name: str) -> Object:
    """Take what stands behind the name of an object.

    Raises:
        SyntaxFaultError: it makes no sense.
    """
    state: Counter | Limit = Counter()
    comment = ""
    if not tokens.accept("{"):
        if kind == "limit" or tokens.sees("packets"):
            state = _take_state(tokens, kind)
        return Object(kind, name, state)
    while True:
        while tokens.next.kind == "newline" or tokens.sees(";"):
            tokens.take()
        if tokens.accept("}"):
            return Object(kind, name, state, comment)
        if tokens.accept("comment"):
            comment = take_comment(tokens)
        else:
            state = _take_state(tokens, kind)


def _take_state(tokens: Tokens, kind: str) -> Counter | Limit:
    if kind == "limit":
        return take_limit(tokens)
    if not tokens.sees("packets"):
        raise tokens.unexpected()
    return take_counts(tokens)


class TableReader:
    """A table while it is read."""

    def __init__(self, tokens: Tokens, family: str, name: str, interfaces: Collection[str] | None) -> None:
        self.tokens = tokens
        self.table = Table(family, name)
        self.interfaces = interfaces
        self._objects: list[tuple[Object, Place]] = []
        self._sets: list[tuple[Set, Place, tuple[Element, ...]]] = []
        self._chains: list[tuple[Chain, Place, list[chains.PlacedRule]]] = []

    def requests(self, place: Place, *, exclusive: bool) -> Iterator[tuple[ask.Request, Place]]:
        """Yield what makes the table: what can be named before what names it."""
        family, name = self.table.family, self.table.name
        yield ask.AddTable(self.table, exclusive), place
        for chain, where, _ in self._chains:
            yield ask.AddChain(family, name, chain), where
        for found, where in self._objects:
            yield ask.AddObject(family, name, found), where
        for known, where, _ in self._sets:
            yield ask.AddSet(family, name, known), where
        for known, where, members in self._sets:
            if members:
                yield ask.AddElements(family, name, known.name, members), where
        for chain, _, rules in self._chains:
            for rule, where in rules:
                yield ask.AddRule(family, name, chain.name, rule), where

    def take(self) -> None:
        """Take the table in braces."""
        tokens = self.tokens
        tokens.expect("{")
        while True:
            while tokens.next.kind == "newline" or tokens.sees(";"):
                tokens.take()
            if tokens.accept("}"):
                return
            begin = tokens.at
            try:
                self._take_one()
                chains.end_line(tokens)
            except (SyntaxFaultError, UnmodelledError) as error:
                pass_over(tokens, begin, error)

    def _take_one(self) -> None:
        tokens = self.tokens
        word = tokens.take_kind("word")
        match word.text:
            case "comment":
                self.table = attrs.evolve(self.table, comment=take_comment(tokens))
            case "flags":
                tokens.expect("dormant")
                self.table = attrs.evolve(self.table, dormant=True)
            case "chain":
                name = self._name()
                place = tokens.last.place
                chain, rules = chains.take_block(tokens, self.table.family, name, self.interfaces)
                self._chains.append((chain, place, rules))
            case "set" | "map":
                self._take_set(is_map=word.text == "map")
            case "counter" | "limit":
                name = self._name()
                place = tokens.last.place
                self._objects.append((take_object(tokens, word.text, name), place))
            case kind if kind in _UNMODELLED:
                self._take_unmodelled(kind)
            case _:
                tokens.at -= 1
                raise tokens.unexpected()

    def _name(self) -> str:
        return self.tokens.take_name().text

    def _take_set(self, *, is_map: bool) -> None:
        name = self._name()
        place = self.tokens.last.place
        block = sets.take_block(self.tokens, self.table.family, name, place, is_map=is_map)
        if block.is_whole:
            self._sets.append((block.set, place, sets.take_members(self.tokens, block)))

    def _take_unmodelled(self, kind: str) -> None:
        tokens = self.tokens
        if kind == "ct":
            kind = f"ct {tokens.take_kind('word').text}"
        name = self._name()
        place = tokens.last.place
        start = tokens.next.end
        sets.skip_braces(tokens)
        lines = tokens.text[start : tokens.last.start].split("\n")
        text = "\n".join(filter(None, (re.sub(r"\s+", " ", line).strip() for line in lines)))
        self._objects.append((Object(kind, name, text), place))
