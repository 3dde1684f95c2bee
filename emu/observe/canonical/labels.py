# SPDX-License-Identifier: GPL-2.0-only
"""Labels for numbers that are drawn at random: equal labels mean equal numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Collection

_WORD: Final = 1 << 32
_AFTER: Final = 1 << 20  # how far behind an initial sequence number a value still belongs to it
_BEFORE: Final = 1 << 16


@attrs.define
class Labels:
    """`n1`, `n2`, ... in order of first appearance."""

    prefix: str
    _seen: dict[int, str] = attrs.field(factory=dict, init=False)

    def of(self, number: int) -> str:
        """Return the label of `number`."""
        return self._seen.setdefault(number, f"{self.prefix}{len(self._seen) + 1}")


Ends = tuple[bytes, int, bytes, int]
"""Source address and port, destination address and port."""


@attrs.define
class Sequences:
    """Sequence numbers as offsets from the initial ones that were seen in a capture."""

    _initial: list[int] = attrs.field(factory=list, init=False)
    _flows: dict[Ends, int] = attrs.field(factory=dict, init=False)

    def learn(self, ends: Ends, number: int) -> None:
        """Note that a connection's numbers begin at `number`; copies of one SYN share it."""
        known = self._flows.get(ends)
        if known is not None and (number - self._initial[known]) % _WORD < _AFTER:
            return
        if number not in self._initial:
            self._initial.append(number)
        self._flows[ends] = self._initial.index(number)

    def knows(self, ends: Ends) -> bool:
        """Whether the connection was seen to begin."""
        return ends in self._flows

    def find(self, number: int, ends: Ends) -> str | None:
        """Return `number` like `s1+12`, preferring the connection's own; None if it is near none."""
        if number == 0 and 0 not in self._initial:
            return "0"
        indices = list(range(len(self._initial)))
        if ends in self._flows:
            indices.insert(0, self._flows[ends])
        for index in indices:
            ahead = (number - self._initial[index]) % _WORD
            if ahead < _AFTER:
                return f"s{index + 1}+{ahead}"
            if _WORD - ahead < _BEFORE:
                return f"s{index + 1}-{_WORD - ahead}"
        return None

    def text(self, number: int, ends: Ends) -> str:
        """Return `number` as it stands in a canonical frame."""
        return self.find(number, ends) or ("0" if number == 0 else "other")


@attrs.define
class Context:
    """The labels of one capture.

    `random_ports` makes ports and ICMP identifiers that are not among
    `known_ports` anonymous.
    """

    random_ports: bool = False
    known_ports: Collection[int] = ()
    identifications: Labels = attrs.field(factory=lambda: Labels("n"), init=False)
    tunnels: Labels = attrs.field(factory=lambda: Labels("v"), init=False)
    ephemeral: Labels = attrs.field(factory=lambda: Labels("e"), init=False)
    sequences: Sequences = attrs.field(factory=Sequences, init=False)

    def port(self, number: int) -> int | str:
        """Return a port or its label."""
        if self.random_ports and number not in self.known_ports:
            return self.ephemeral.of(number)
        return number

    def identification(self, number: int) -> int | str:
        """Return the label of an IP identification; 0 stays 0."""
        return self.identifications.of(number) if number else 0
