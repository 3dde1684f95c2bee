# SPDX-License-Identifier: GPL-2.0-only
"""The commands of `nft`, and its files: text to requests.

Source: nftables, src/parser_bison.y (`line`, `base_cmd`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import attrs

from emu.kernel.netfilter.nftables import requests as ask
from emu.kernel.netfilter.nftables.ruleset import FAMILIES, Chain
from emu.kernel.netfilter.nftables.statements import Update
from emu.tools.nft import chains, sets
from emu.tools.nft.asked import Listing, Pending, Reset
from emu.tools.nft.blocks import TableReader, take_object
from emu.tools.nft.faults import Fault, NftError, Place, SyntaxFaultError, UnmodelledError
from emu.tools.nft.recovering import MOST, LostError, pass_over
from emu.tools.nft.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Collection

    from emu.kernel.netfilter.nftables.ruleset import Element, Set

Asked: TypeAlias = ask.Request | Pending | Listing | Reset

_VERBS: Final = (
    "add",
    "create",
    "insert",
    "replace",
    "delete",
    "destroy",
    "list",
    "reset",
    "flush",
    "rename",
)
_UNMODELLED_VERBS: Final = ("monitor", "export", "import", "describe", "get", "include")
_DYNAMIC_SIZE: Final = 65535
_MAKING: Final = ("add", "create")
_DELETING: Final = ("delete", "destroy")
_UNMODELLED_OBJECTS: Final = ("flowtable", "ct", "meter", "secmark", "synproxy", "quota")


class Command(NamedTuple):
    """One command, and where the kernel's complaints about it point to."""

    asked: Asked
    place: Place


class Reading(NamedTuple):
    """What was read of a text.

    Attributes:
        commands: those in which nothing is wrong.
        faults: what is wrong.
        doubtful: names that might be there, were nothing wrong.
        is_whole: all of the text was read.
    """

    commands: list[Command]
    faults: list[Fault]
    doubtful: set[str]
    is_whole: bool


def parse(text: str, source: str = "", interfaces: Collection[str] | None = None) -> list[Command]:
    """Return the commands in `text`.

    Args:
        text: of a file, or the arguments of `nft` joined by blanks.
        source: the name of the file for complaints, empty for arguments.
        interfaces: the devices there are; None where nobody knows.

    Raises:
        NftError: something in it is wrong.
    """
    reading = read(text, interfaces)
    if reading.faults:
        raise NftError(sorted(reading.faults)[:MOST], text, source)
    return reading.commands


def read(text: str, interfaces: Collection[str] | None = None) -> Reading:
    """Return the commands in `text`, and what is wrong with others; arguments as those of `parse`."""
    try:
        return Parser(Tokens(text), interfaces).run()
    except SyntaxFaultError as error:
        return Reading([], [error.fault], set(), is_whole=False)
    except RecursionError:
        return Reading([], [Fault(Place(1, 1, 1), "memory exhausted")], set(), is_whole=False)


class Parser:
    """Reads commands one after the other."""

    def __init__(self, tokens: Tokens, interfaces: Collection[str] | None) -> None:
        self.tokens = tokens
        self.interfaces = interfaces
        self.commands: list[Command] = []
        self.knows_all = True

    def run(self) -> Reading:
        """Read all of them, or as far as is sure."""
        tokens = self.tokens
        try:
            self._read()
        except LostError:
            self.knows_all = False
        commands = _with_dynamic_sets(self.commands)
        return Reading(commands, tokens.faults, tokens.doubtful, self.knows_all)

    def _read(self) -> None:
        tokens = self.tokens
        while True:
            while tokens.next.kind == "newline" or tokens.sees(";"):
                tokens.take()
            if tokens.next.kind == "end":
                return
            begin = tokens.at
            self.knows_all = self.knows_all and not tokens.sees("include")
            is_rule = tokens.sees("rule") or tokens.second.text == "rule"
            try:
                self._command()
                if tokens.next.kind not in ("newline", "end") and not tokens.sees(";"):
                    raise tokens.unexpected()
            except (SyntaxFaultError, UnmodelledError) as error:
                pass_over(tokens, begin, error, is_rule=is_rule)

    def _command(self) -> None:
        tokens = self.tokens
        if tokens.sees(*_UNMODELLED_VERBS):
            raise UnmodelledError(tokens.next.text, tokens.next.place)
        verb = tokens.take().text if tokens.sees(*_VERBS) else "add"
        if verb in ("list", "reset"):
            self._list(verb)
            return
        if tokens.sees(*_UNMODELLED_OBJECTS) and verb != "rename":
            raise UnmodelledError(tokens.next.text, tokens.next.place)
        readers = {
            "table": self._table,
            "chain": self._chain,
            "rule": self._rule,
            "set": self._set,
            "map": self._set,
            "element": self._element,
            "counter": self._object,
            "limit": self._object,
        }
        word = tokens.next.text if tokens.next.kind == "word" else ""
        if word in readers:
            readers[word](verb)
        elif word == "ruleset" and verb == "flush":
            tokens.take()
            family = tokens.take().text if tokens.sees(*FAMILIES) else ""
            self._add(ask.FlushRuleset(family), tokens.last.place)
        elif word and verb in ("add", "insert", "replace") and tokens.second.kind == "word":
            self._rule(verb)  # the word `rule` may be left out
        else:
            raise tokens.unexpected()

    def _add(self, asked: Asked, place: Place) -> None:
        self.commands.append(Command(asked, place))

    # --- names ---

    def _family(self) -> str:
        tokens = self.tokens
        if tokens.sees(*FAMILIES):
            return tokens.take().text
        return "ip"

    def _name(self) -> str:
        return self.tokens.take_name().text

    def _handle(self) -> int:
        return self.tokens.take_number() if self.tokens.accept("handle") else 0

    # --- tables ---

    def _table(self, verb: str) -> None:
        tokens = self.tokens
        tokens.take()
        family = self._family()
        if verb in _DELETING:
            handle = self._handle()
            name = "" if handle else self._name()
            self._add(ask.DeleteTable(family, name, handle, verb == "destroy"), tokens.last.place)
            return
        name = self._name()
        if verb == "flush":
            self._add(ask.FlushTable(family, name), tokens.last.place)
        elif verb in _MAKING:
            place = tokens.last.place
            reader = TableReader(tokens, family, name, self.interfaces)
            if tokens.sees("{"):
                reader.take()
            for asked, where in reader.requests(place, exclusive=verb == "create"):
                self._add(asked, where)
        else:
            raise UnmodelledError(f"{verb} table", tokens.last.place)

    # --- chains and rules ---

    def _chain(self, verb: str) -> None:
        tokens = self.tokens
        tokens.take()
        family, table = self._family(), self._name()
        if verb in _DELETING:
            handle = self._handle()
            name = "" if handle else self._name()
            self._skip_block()
            self._add(ask.DeleteChain(family, table, name, handle, verb == "destroy"), tokens.last.place)
            return
        name = self._name()
        place = tokens.last.place
        if verb == "flush":
            self._add(ask.FlushChain(family, table, name), place)
        elif verb == "rename":
            self._add(ask.RenameChain(family, table, name, self._name()), place)
        elif verb in _MAKING:
            chain, rules = Chain(name), list[chains.PlacedRule]()
            if tokens.sees("{"):
                chain, rules = chains.take_block(tokens, family, name, self.interfaces)
            self._add(ask.AddChain(family, table, chain, verb == "create"), place)
            for rule, where in rules:
                self._add(ask.AddRule(family, table, name, rule), where)
        else:
            raise UnmodelledError(f"{verb} chain", place)

    def _skip_block(self) -> None:
        if self.tokens.sees("{"):
            sets.skip_braces(self.tokens)

    def _rule(self, verb: str) -> None:
        tokens = self.tokens
        tokens.accept("rule")
        family, table, chain = self._family(), self._name(), self._name()
        handle, index = 0, None
        while tokens.sees("handle", "position", "index"):
            word = tokens.take().text
            place = tokens.next.place
            if word == "index":
                index = tokens.take_number()
            else:
                handle = tokens.take_number()
        if verb in _DELETING:
            if not handle:
                raise tokens.unexpected()
            self._add(ask.DeleteRule(family, table, chain, handle), tokens.last.place)
            return
        if verb == "replace" and not handle:
            raise tokens.unexpected()
        rule, where = chains.take_placed(tokens, family, self.interfaces)
        place = place if handle or index is not None else where
        if verb == "replace":
            self._add(ask.ReplaceRule(family, table, chain, handle, rule), place)
        elif verb in ("add", "insert", "create"):
            self._add(ask.AddRule(family, table, chain, rule, verb == "insert", handle, index), place)
        else:
            raise UnmodelledError(f"{verb} rule", place)

    # --- sets and elements ---

    def _set(self, verb: str) -> None:
        tokens = self.tokens
        is_map = tokens.take().text == "map"
        family, table = self._family(), self._name()
        if verb in _DELETING:
            handle = self._handle()
            name = "" if handle else self._name()
            self._add(ask.DeleteSet(family, table, name, handle, verb == "destroy"), tokens.last.place)
            return
        name = self._name()
        place = tokens.last.place
        if verb == "flush":
            self._add(ask.FlushSet(family, table, name), place)
        elif verb in _MAKING:
            block = sets.take_block(tokens, family, name, place, is_map=is_map)
            if not block.is_whole:
                return
            self._add(ask.AddSet(family, table, block.set, verb == "create"), place)
            found = sets.take_members(tokens, block)
            if found:
                self._add(ask.AddElements(family, table, name, found), place)
        else:
            raise UnmodelledError(f"{verb} {'map' if is_map else 'set'}", place)

    def _element(self, verb: str) -> None:
        tokens = self.tokens
        tokens.take()
        if verb not in (*_MAKING, *_DELETING):
            raise UnmodelledError(f"{verb} element", tokens.last.place)
        family, table, name = self._family(), self._name(), self._name()
        place, at = tokens.last.place, tokens.at
        sets.skip_braces(tokens)

        def read(known: Set) -> tuple[Element, ...]:
            """Read the elements, now that it is known of which types they are."""
            end, tokens.at = tokens.at, at
            try:
                kind = known if verb in _MAKING else _as_set(known)
                return sets.take_named(tokens, kind)
            finally:
                tokens.at = end

        self._add(Pending(verb, family, table, name, read, tokens.text), place)

    # --- objects ---

    def _object(self, verb: str) -> None:
        tokens = self.tokens
        kind = tokens.take().text
        family, table = self._family(), self._name()
        if verb in _DELETING:
            handle = self._handle()
            name = "" if handle else self._name()
            request = ask.DeleteObject(family, table, kind, name, handle, verb == "destroy")
            self._add(request, tokens.last.place)
            return
        if verb not in _MAKING:
            raise UnmodelledError(f"{verb} {kind}", tokens.last.place)
        name = self._name()
        place = tokens.last.place
        found = take_object(tokens, kind, name)
        self._add(ask.AddObject(family, table, found, verb == "create"), place)

    # --- lists ---

    def _list(self, verb: str) -> None:
        tokens = self.tokens
        token = tokens.take_kind("word")
        what = token.text
        if verb == "reset" and what not in ("counter", "counters"):
            raise UnmodelledError(f"reset {what}", token.place)
        kind = Reset if verb == "reset" else Listing
        if what in ("ruleset", "tables", "chains", "sets", "maps", "counters", "limits"):
            family = tokens.take().text if tokens.sees(*FAMILIES) else ""
            table = ""
            if tokens.accept("table"):
                family, table = self._family(), self._name()
            self._add(kind(what, family, table), tokens.last.place)
        elif what in ("table", "chain", "set", "map", "counter", "limit"):
            family, table = self._family(), self._name()
            name = self._name() if what != "table" else ""
            self._add(kind(what, family, table, name), tokens.last.place)
        elif what in ("flowtables", "flowtable", "quotas", "quota", "meters", "meter", "ct", "hooks"):
            raise UnmodelledError(f"{verb} {what}", token.place)
        else:
            raise SyntaxFaultError(token.place, f"syntax error, unexpected {token.said}")


def _with_dynamic_sets(commands: list[Command]) -> list[Command]:
    """Have the sets that rules change made for that. Source: `stmt_evaluate_set`."""
    updated = {
        (asked.family, asked.table, statement.set)
        for asked, _ in commands
        if isinstance(asked, ask.AddRule)
        for statement in asked.rule.statements
        if isinstance(statement, Update)
    }
    if not updated:
        return commands
    return [
        command._replace(asked=attrs.evolve(command.asked, set=_dynamic(command.asked.set)))
        if isinstance(command.asked, ask.AddSet)
        and (command.asked.family, command.asked.table, command.asked.set.name) in updated
        else command
        for command in commands
    ]


def _dynamic(known: Set) -> Set:
    flags = {*known.flags, "dynamic"}
    ordered = tuple(flag for flag in sets.FLAGS if flag in flags)
    return attrs.evolve(known, flags=ordered, size=known.size or _DYNAMIC_SIZE)


def _as_set(known: Set) -> Set:
    """Return a map as a set: to delete an element its key is enough."""
    return attrs.evolve(known, data=())
