# SPDX-License-Identifier: GPL-2.0-only
"""Transactions: requests carried out on copies, all of them or none.

What is refused raises `OSError` with the errno of the kernel.

Source: net/netfilter/nf_tables_api.c.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.nftables import requests as ask
from emu.kernel.netfilter.nftables.live import LiveChain, LiveObject, LiveRule, LiveSet, LiveTable
from emu.kernel.netfilter.nftables.references import Reference, of_element
from emu.kernel.netfilter.nftables.statements import Update

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from emu.kernel.netfilter.nftables.ruleset import Chain, Element, Hooked, Rule, Set
    from emu.sim.time import Instant

Tables = dict[tuple[str, str], LiveTable]

_NAT_HOOKS: Final = ("prerouting", "input", "output", "postrouting")
_HOOKS: Final = ("prerouting", "input", "forward", "output", "postrouting")
_HOOKS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "ip": _HOOKS,
    "ip6": _HOOKS,
    "inet": (*_HOOKS, "ingress"),
    "bridge": _HOOKS,
    "arp": ("input", "output"),
    "netdev": ("ingress", "egress"),
}
_LOWEST_NAT: Final = -200


def refuse(number: int, name: str = "") -> OSError:
    """Return the kernel's refusal with an errno, and the name that it is about (`filename`)."""
    return OSError(number, os.strerror(number), name or None)


class Transaction:
    """Requests under way; `tables` is what there will be."""

    def __init__(self, tables: Tables, now: Instant, next_handle: Callable[[], int]) -> None:
        self.tables = dict(tables)
        self.now = now
        self._next_handle = next_handle
        self._own: set[tuple[str, str]] = set()
        self._copies: dict[int, object] = {}  # chains and sets that are this transaction's own, by identity

    def do(self, request: ask.Request) -> None:
        """Carry out a request.

        Raises:
            OSError: it cannot be done.
        """
        _DOERS[type(request)](self, request)

    def changed(self) -> list[LiveTable]:
        """Return the tables that are not those that there were."""
        return [self.tables[key] for key in sorted(self._own) if key in self.tables]

    # --- finding ---

    def table(self, family: str, name: str) -> LiveTable:
        """Return a table that can be changed."""
        found = self.tables.get((family, name))
        if found is None:
            raise refuse(errno.ENOENT, name)
        if (family, name) not in self._own:
            self._own.add((family, name))
            found = self.tables[family, name] = found.copy()
        return found

    def chain(self, family: str, table: str, name: str) -> LiveChain:
        """Return a chain that can be changed."""
        chains = self.table(family, table).chains
        found = chains.get(name)
        if found is None:
            raise refuse(errno.ENOENT, name)
        if id(found) not in self._copies:
            found = chains[name] = found.copy()
            self._copies[id(found)] = found
        return found

    def find_set(self, family: str, table: str, name: str) -> Set | None:
        """Return what a set is, without its elements; None if there is none."""
        found = self.tables.get((family, table))
        known = None if found is None else found.sets.get(name)
        return None if known is None else known.value

    def set(self, family: str, table: str, name: str) -> LiveSet:
        """Return a set that can be changed."""
        sets = self.table(family, table).sets
        found = sets.get(name)
        if found is None:
            raise refuse(errno.ENOENT, name)
        if id(found) not in self._copies:
            found = sets[name] = found.copy()
            self._copies[id(found)] = found
        found.expire(self.now)
        return found

    # --- tables ---

    def _add_table(self, request: ask.AddTable) -> None:
        key = request.table.family, request.table.name
        if key in self.tables:
            if request.exclusive:
                raise refuse(errno.EEXIST)
            found = self.table(*key)
            found.value = attrs.evolve(found.value, dormant=request.table.dormant)
            return
        self._own.add(key)
        self.tables[key] = LiveTable(
            attrs.evolve(request.table, chains=(), sets=(), objects=()), self._next_handle()
        )

    def _delete_table(self, request: ask.DeleteTable) -> None:
        keys = [
            key
            for key, table in self.tables.items()
            if key[0] == request.family and (key[1] == request.name or table.handle == (request.handle or -1))
        ]
        if not keys and not request.if_there:
            raise refuse(errno.ENOENT, request.name)
        for key in keys:
            del self.tables[key]

    def _flush_ruleset(self, request: ask.FlushRuleset) -> None:
        for key in [key for key in self.tables if request.family in ("", key[0])]:
            del self.tables[key]

    def _flush_table(self, request: ask.FlushTable) -> None:
        table = self.table(request.family, request.table)
        for name in list(table.chains):
            _empty(table, self.chain(request.family, request.table, name))

    # --- chains ---

    def _add_chain(self, request: ask.AddChain) -> None:
        table = self.table(request.family, request.table)
        chain = request.chain
        known = table.chains.get(chain.name)
        if known is None:
            _check_hook(request.family, chain.hooked)
            made = LiveChain(attrs.evolve(chain, rules=()), table.next_handle())
            table.chains[chain.name] = self._copies[id(made)] = made
            return
        if request.exclusive:
            raise refuse(errno.EEXIST)
        if chain.hooked is not None:
            known = self.chain(request.family, request.table, chain.name)
            known.value = attrs.evolve(known.value, hooked=_updated(known.value, chain.hooked))

    def _delete_chain(self, request: ask.DeleteChain) -> None:
        table = self.table(request.family, request.table)
        name = request.name or _by_handle(table.chains, request.handle)
        if name not in table.chains:
            if request.if_there:
                return
            raise refuse(errno.ENOENT, name)
        _empty(table, self.chain(request.family, request.table, name))
        if table.uses[Reference("chain", name)] > 0:
            raise refuse(errno.EBUSY)
        del table.chains[name]

    def _flush_chain(self, request: ask.FlushChain) -> None:
        chain = self.chain(request.family, request.table, request.chain)
        _empty(self.table(request.family, request.table), chain)

    def _rename_chain(self, request: ask.RenameChain) -> None:
        table = self.table(request.family, request.table)
        chain = self.chain(request.family, request.table, request.chain)
        if request.name in table.chains:
            raise refuse(errno.EEXIST)
        chain.value = attrs.evolve(chain.value, name=request.name)
        table.chains = {known.value.name: known for known in table.chains.values()}

    # --- rules ---

    def _add_rule(self, request: ask.AddRule) -> None:
        table = self.table(request.family, request.table)
        chain = self.chain(request.family, request.table, request.chain)
        at = 0 if request.first else len(chain.rules)
        if request.handle:
            at = _place(chain, request.handle) + (not request.first)
        elif request.index is not None:
            if request.index >= len(chain.rules):
                raise refuse(errno.ENOENT)
            at = request.index + (not request.first)
        rule = LiveRule(request.rule, table.next_handle(request.rule.unnamed_sets))
        _check_names(table, rule.names)
        _check_updates(table, request.rule)
        table.use(rule.names)
        chain.rules.insert(at, rule)

    def _replace_rule(self, request: ask.ReplaceRule) -> None:
        table = self.table(request.family, request.table)
        chain = self.chain(request.family, request.table, request.chain)
        at = _place(chain, request.handle)
        rule = LiveRule(request.rule, table.next_handle(request.rule.unnamed_sets))
        _check_names(table, rule.names)
        table.release(chain.rules[at].names)
        table.use(rule.names)
        chain.rules[at] = rule

    def _delete_rule(self, request: ask.DeleteRule) -> None:
        chain = self.chain(request.family, request.table, request.chain)
        at = _place(chain, request.handle)
        self.table(request.family, request.table).release(chain.rules[at].names)
        del chain.rules[at]

    # --- sets ---

    def _add_set(self, request: ask.AddSet) -> None:
        table = self.table(request.family, request.table)
        known = table.sets.get(request.set.name)
        if known is None:
            value = attrs.evolve(request.set, elements=())
            made = LiveSet(value, table.next_handle())
            table.sets[request.set.name] = self._copies[id(made)] = made
            return
        if request.exclusive or (known.value.key, known.value.data) != (request.set.key, request.set.data):
            raise refuse(errno.EEXIST)

    def _delete_set(self, request: ask.DeleteSet) -> None:
        table = self.table(request.family, request.table)
        name = request.name or _by_handle(table.sets, request.handle)
        found = table.sets.get(name)
        if found is None:
            if request.if_there:
                return
            raise refuse(errno.ENOENT, name)
        if table.uses[Reference("set", name)] > 0:
            raise refuse(errno.EBUSY)
        table.release(table.elements_names(found))
        del table.sets[name]

    def _flush_set(self, request: ask.FlushSet) -> None:
        found = self.set(request.family, request.table, request.set)
        self.table(request.family, request.table).release(table_names(found))
        found.slots.clear()
        found.index.changed()

    def _add_elements(self, request: ask.AddElements) -> None:
        table = self.table(request.family, request.table)
        found = self.set(request.family, request.table, request.set)
        for element in request.elements:
            known = found.slots.get(element.key)
            if known is not None:
                if request.exclusive or known.element.data != element.data:
                    raise refuse(errno.EEXIST)
                if element.timeout or element.expires is not None:
                    found.renew(known, element, self.now)
                continue
            if found.value.size and len(found.slots) >= found.value.size:
                raise refuse(errno.ENFILE)
            names = of_element(element, found.value.object)
            _check_names(table, names)
            table.use(names)
            found.add(_complete(element, found), self.now)

    def _delete_elements(self, request: ask.DeleteElements) -> None:
        table = self.table(request.family, request.table)
        found = self.set(request.family, request.table, request.set)
        for element in request.elements:
            known = found.slots.get(element.key)
            if known is None:
                if request.if_there:
                    continue
                raise refuse(errno.ENOENT)
            table.release(of_element(known.element, found.value.object))
            found.discard(element.key)

    # --- objects ---

    def _add_object(self, request: ask.AddObject) -> None:
        table = self.table(request.family, request.table)
        key = request.object.kind, request.object.name
        if key not in table.objects:
            table.objects[key] = LiveObject(request.object, table.next_handle())
        elif request.exclusive:
            raise refuse(errno.EEXIST)

    def _delete_object(self, request: ask.DeleteObject) -> None:
        table = self.table(request.family, request.table)
        keys = [
            key
            for key, found in table.objects.items()
            if key[0] == request.kind and (key[1] == request.name or found.handle == (request.handle or -1))
        ]
        if not keys and not request.if_there:
            raise refuse(errno.ENOENT, request.name)
        for key in keys:
            if table.uses[Reference(*key)] > 0:
                raise refuse(errno.EBUSY)
            del table.objects[key]


_DOERS: Final[dict[type, Callable[..., None]]] = {
    ask.AddTable: Transaction._add_table,  # noqa: SLF001 - its own table of methods
    ask.DeleteTable: Transaction._delete_table,  # noqa: SLF001
    ask.FlushRuleset: Transaction._flush_ruleset,  # noqa: SLF001
    ask.FlushTable: Transaction._flush_table,  # noqa: SLF001
    ask.AddChain: Transaction._add_chain,  # noqa: SLF001
    ask.DeleteChain: Transaction._delete_chain,  # noqa: SLF001
    ask.FlushChain: Transaction._flush_chain,  # noqa: SLF001
    ask.RenameChain: Transaction._rename_chain,  # noqa: SLF001
    ask.AddRule: Transaction._add_rule,  # noqa: SLF001
    ask.ReplaceRule: Transaction._replace_rule,  # noqa: SLF001
    ask.DeleteRule: Transaction._delete_rule,  # noqa: SLF001
    ask.AddSet: Transaction._add_set,  # noqa: SLF001
    ask.DeleteSet: Transaction._delete_set,  # noqa: SLF001
    ask.FlushSet: Transaction._flush_set,  # noqa: SLF001
    ask.AddElements: Transaction._add_elements,  # noqa: SLF001
    ask.DeleteElements: Transaction._delete_elements,  # noqa: SLF001
    ask.AddObject: Transaction._add_object,  # noqa: SLF001
    ask.DeleteObject: Transaction._delete_object,  # noqa: SLF001
}


def table_names(found: LiveSet) -> list[Reference]:
    """Return what the elements of a set name."""
    return [name for slot in found.slots.values() for name in of_element(slot.element, found.value.object)]


def _empty(table: LiveTable, chain: LiveChain) -> None:
    for rule in chain.rules:
        table.release(rule.names)
    chain.rules.clear()


def _place(chain: LiveChain, handle: int) -> int:
    for at, rule in enumerate(chain.rules):
        if rule.handle == handle:
            return at
    raise refuse(errno.ENOENT)


def _by_handle(found: Mapping[str, LiveChain] | Mapping[str, LiveSet], handle: int) -> str:
    return next((name for name, one in found.items() if one.handle == handle), "")


def _check_names(table: LiveTable, names: Iterable[Reference]) -> None:
    for kind, name in names:
        if kind == "chain":
            target = table.chains.get(name)
            if target is not None and target.value.hooked is not None:
                raise refuse(errno.EOPNOTSUPP, name)
            is_there = target is not None
        elif kind == "set":
            is_there = name in table.sets
        else:
            is_there = (kind, name) in table.objects
        if not is_there:
            raise refuse(errno.ENOENT, f"@{name}" if kind == "set" else name)


def _check_updates(table: LiveTable, rule: Rule) -> None:
    """Refuse elements that end, in a set whose elements do not. Source: `nft_dynset_init`."""
    for statement in rule.statements:
        if isinstance(statement, Update) and statement.timeout:
            known = table.sets[statement.set].value
            if "timeout" not in known.flags and not known.timeout:
                raise refuse(errno.EOPNOTSUPP)


def _check_hook(family: str, hooked: Hooked | None) -> None:
    if hooked is None:
        return
    allowed = _HOOKS_OF[family]
    if hooked.type == "nat":
        allowed = _NAT_HOOKS if family in ("ip", "ip6", "inet") else ()
    elif hooked.type == "route":
        allowed = ("output",) if family in ("ip", "ip6", "inet") else ()
    if hooked.hook not in allowed or (hooked.type == "nat" and hooked.priority <= _LOWEST_NAT):
        raise refuse(errno.EOPNOTSUPP)


def _updated(known: Chain, hooked: Hooked) -> Hooked:
    if known.hooked is None or attrs.evolve(hooked, policy=known.hooked.policy) != known.hooked:
        raise refuse(errno.EOPNOTSUPP)
    return hooked


def _complete(element: Element, found: LiveSet) -> Element:
    """Return an element with what the set gives each of its elements."""
    if found.value.statements and not element.statements:
        return attrs.evolve(element, statements=found.value.statements)
    return element
