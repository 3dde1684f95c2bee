# SPDX-License-Identifier: GPL-2.0-only
"""Tables of a namespace, alive: what a ruleset becomes once it is loaded.

A transaction works on copies of the tables that it changes (`LiveTable.copy`)
and puts them in place when all of it was right. Rules and elements are the same
objects in both, so what they have counted stays.
"""

from __future__ import annotations

from collections import Counter as Multiset
from copy import deepcopy
from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from emu.kernel.netfilter.nftables.lookup import Index, Slot
from emu.kernel.netfilter.nftables.references import Reference, of_element
from emu.kernel.netfilter.nftables.states import CounterState, LimitState, Sequence, state_of, with_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from emu.kernel.netfilter.nftables import ruleset as values
    from emu.kernel.netfilter.nftables.compile import Program
    from emu.kernel.netfilter.nftables.expressions import Key
    from emu.sim.time import Instant

_NEVER: Final = None


class LiveRule:
    """A rule in its place.

    Attributes:
        value: what it says.
        handle: its number in the table.
        states: what its statements remember, by their places.
        program: what it does, once it was needed.
        names: what it names.
        asks: it asks for connections.
        sequences: what its expressions remember.
    """

    __slots__ = ("asks", "handle", "names", "program", "sequences", "states", "value")

    def __init__(self, value: values.Rule, handle: int) -> None:
        self.value = value
        self.handle = handle
        self.states = {at: state for at, one in enumerate(value.statements) if (state := state_of(one))}
        self.program: Program | None = None
        self.names = value.names
        self.asks = value.asks
        self.sequences: dict[object, Sequence] = {}

    def snapshot(self) -> values.Rule:
        """Return it with what it has counted."""
        statements = tuple(
            [with_state(one, self.states.get(at)) for at, one in enumerate(self.value.statements)]
        )
        return attrs.evolve(self.value, statements=statements, handle=self.handle)


class LiveChain:
    """A chain; `value` has no rules, they are in `rules`."""

    __slots__ = ("handle", "rules", "value")
    is_still: ClassVar[bool] = True  # what its rules remember is its table's to put aside

    def __init__(self, value: values.Chain, handle: int) -> None:
        self.value = value
        self.handle = handle
        self.rules: list[LiveRule] = []

    def copy(self) -> LiveChain:
        """Return a chain of the same rules."""
        other = LiveChain(self.value, self.handle)
        other.rules = list(self.rules)
        return other

    def snapshot(self) -> values.Chain:
        """Return it with its rules."""
        rules = tuple([rule.snapshot() for rule in self.rules])
        return attrs.evolve(self.value, rules=rules, handle=self.handle)


class LiveSet:
    """A set or map; `value` has no elements, they are in `slots` by their keys.

    Attributes:
        value: what it is.
        handle: its number in the table.
        slots: the elements.
        index: finds the element for what a packet has.
    """

    __slots__ = ("handle", "index", "slots", "value")

    def __init__(self, value: values.Set, handle: int) -> None:
        self.value = value
        self.handle = handle
        self.slots: dict[Key, Slot] = {}
        self.index = Index(self.slots, interval=value.is_interval, concat=len(value.key) > 1)

    def copy(self) -> LiveSet:
        """Return a set of the same elements."""
        other = LiveSet(self.value, self.handle)
        other.slots.update(self.slots)
        return other

    @property
    def changes(self) -> bool:
        """Whether packets or time change it."""
        return bool(
            {"dynamic", "timeout"} & {*self.value.flags}
            or self.value.timeout
            or self.value.statements
            or any(slot.states or slot.expires is not None for slot in self.slots.values())
        )

    def begin_trial(self) -> Callable[[], None]:
        """Hold copies of the elements from now on, and return how to hold the originals again."""
        before = self.slots, self.index
        self.slots = {key: slot.copy() for key, slot in self.slots.items()}
        self.index = Index(self.slots, interval=self.value.is_interval, concat=len(self.value.key) > 1)

        def put_back() -> None:
            self.slots, self.index = before

        return put_back

    def add(self, element: values.Element, now: Instant) -> Slot:
        """Enter an element and return it."""
        timeout = element.timeout or self.value.timeout
        expires = element.expires if element.expires is not None else timeout
        states = [state_of(one) for one in element.statements or self.value.statements]
        slot = Slot(element, now + expires if timeout else _NEVER, [one for one in states if one])
        self.slots[element.key] = slot
        self.index.changed()
        return slot

    def renew(self, slot: Slot, element: values.Element, now: Instant) -> None:
        """Give an element that is there the time of `element`."""
        timeout = element.timeout or self.value.timeout
        slot.element = attrs.evolve(slot.element, timeout=element.timeout)
        slot.expires = now + (timeout if element.expires is None else element.expires)

    def discard(self, key: Key) -> None:
        """Take an element out."""
        del self.slots[key]
        self.index.changed()

    def expire(self, now: Instant) -> None:
        """Take out what has lived its time."""
        if "timeout" not in self.value.flags and not self.value.timeout:
            return
        gone = [key for key, slot in self.slots.items() if slot.expires is not None and slot.expires <= now]
        for key in gone:
            del self.slots[key]
        if gone:
            self.index.changed()

    def elements(self, now: Instant) -> list[values.Element]:
        """Return the elements that are alive, with what they have counted, as they came."""
        return [slot.snapshot(now) for slot in self.slots.values() if slot.lives(now)]


class LiveObject:
    """A counter or limit with a name."""

    __slots__ = ("handle", "state", "value")

    def __init__(self, value: values.Object, handle: int) -> None:
        self.value = value
        self.handle = handle
        self.state: CounterState | LimitState | None = (
            None if isinstance(value.state, str) else state_of(value.state)
        )

    def snapshot(self) -> values.Object:
        """Return it with what it has counted."""
        if isinstance(self.value.state, str):
            return attrs.evolve(self.value, handle=self.handle)
        return attrs.evolve(self.value, state=with_state(self.value.state, self.state), handle=self.handle)


class LiveTable:
    """A table.

    Attributes:
        value: the table with nothing in it.
        handle: its number in the namespace.
        chains: by name.
        sets: by name.
        objects: by kind and name.
        uses: how often something is named.
    """

    __slots__ = ("_changing", "_handles", "chains", "handle", "objects", "sets", "uses", "value")

    def __init__(self, value: values.Table, handle: int) -> None:
        self.value = value
        self.handle = handle
        self.chains: dict[str, LiveChain] = {}
        self.sets: dict[str, LiveSet] = {}
        self.objects: dict[tuple[str, str], LiveObject] = {}
        self.uses: Multiset[Reference] = Multiset()
        self._handles = 0
        self._changing: tuple[tuple[LiveRule, ...], tuple[LiveSet, ...]] | None = None

    def begin_trial(self) -> Callable[[], None]:
        """Let packets change copies from now on, and return how to go back.

        Of a table with the rules of ten thousand Services they change next to
        nothing: what that is, is found once, as a table that is walked gets no
        other chains, rules or sets (a transaction makes another table).
        """
        if self._changing is None:
            every = [rule for chain in self.chains.values() for rule in chain.rules]
            self._changing = (
                tuple([rule for rule in every if rule.value.remembers]),
                tuple([each for each in self.sets.values() if each.changes]),
            )
        rules, sets = self._changing
        undo = [each.begin_trial() for each in sets]
        kept = [(rule, rule.states, rule.sequences) for rule in rules]
        for rule, states, sequences in kept:
            rule.states, rule.sequences = deepcopy(states), deepcopy(sequences)
        objects = [(found, found.state) for found in self.objects.values()]
        for found, state in objects:
            found.state = deepcopy(state)

        def put_back() -> None:
            for each in undo:
                each()
            for rule, states, sequences in kept:
                rule.states, rule.sequences = states, sequences
            for found, state in objects:
                found.state = state

        return put_back

    def copy(self) -> LiveTable:
        """Return a table of the same chains and sets, to be changed without changing this one.

        A chain or set in it is to be copied, too, before it is changed.
        """
        other = LiveTable(self.value, self.handle)
        other.chains = dict(self.chains)
        other.sets = dict(self.sets)
        other.objects = dict(self.objects)
        other.uses = self.uses.copy()
        other._handles = self._handles
        return other

    def next_handle(self, behind: int = 0) -> int:
        """Return a number that nothing else in the table has, `behind` so many things without a name."""
        self._handles += behind + 1
        return self._handles

    def use(self, names: Iterable[Reference]) -> None:
        """Count that these are named once more."""
        self.uses.update(names)

    def release(self, names: Iterable[Reference]) -> None:
        """Count that these are named once less."""
        self.uses.subtract(names)

    def elements_names(self, found: LiveSet) -> list[Reference]:
        """Return what the elements of a set name."""
        kind = found.value.object
        if not found.value.is_map:
            return []
        return [name for slot in found.slots.values() for name in of_element(slot.element, kind)]

    def snapshot(self, now: Instant) -> values.Table:
        """Return it with all in it."""
        return attrs.evolve(
            self.value,
            handle=self.handle,
            objects=tuple([found.snapshot() for found in self.objects.values()]),
            sets=tuple(
                [
                    attrs.evolve(found.value, elements=tuple(found.elements(now)), handle=found.handle)
                    for found in self.sets.values()
                ]
            ),
            chains=tuple([found.snapshot() for found in self.chains.values()]),
        )
