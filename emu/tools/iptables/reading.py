# SPDX-License-Identifier: GPL-2.0-only
"""A command line of iptables while it is read, option by option."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from emu.kernel.netfilter.ruleset import UnknownMatch, UnknownTarget
from emu.kernel.netfilter.xtables import Count
from emu.tools.iptables.extension import Options, Written, wrong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kernel.netfilter.matches.ip import Destination, Fragment, InInterface, OutInterface, Source
    from emu.kernel.netfilter.ruleset import Target
    from emu.tools.iptables.extension import AnyExtension, Option

_ANY_SOURCE: Final[tuple[Source | None, ...]] = (None,)
_ANY_DESTINATION: Final[tuple[Destination | None, ...]] = (None,)
_ZERO: Final = Count()


class Reading:
    """The words of one command, and what has been read of them.

    Attributes:
        words: all words behind the program's name.
        at: number of the next one.
        inverted: `!` was read, and waits for an option.
        given: the letters of the options read so far.
        sources: conditions of `-s`, one for each rule.
        destinations: likewise of `-d`.
        iif: condition of `-i`.
        oif: condition of `-o`.
        protocol: number behind `-p`, 0 for any.
        protocol_inverted: it was `! -p`.
        fragment: condition of `-f`.
        loaded: the extensions named so far, the target's among them.
        target: a target that is none of the extensions.
        count: behind `-c`.
        operation: letter of what is to be done; empty before that is known.
        chain: where.
        number: the rule's number, counted from 1; 0 for none.
        other: new name of a chain, or its policy.
        table: behind `-t`.
    """

    __slots__ = (
        "at",
        "chain",
        "count",
        "destinations",
        "fragment",
        "given",
        "iif",
        "inverted",
        "loaded",
        "number",
        "oif",
        "operation",
        "other",
        "protocol",
        "protocol_inverted",
        "sources",
        "table",
        "target",
        "words",
    )

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words
        self.at = 0
        self.inverted = False
        self.given: set[str] = set()
        self.sources = _ANY_SOURCE
        self.destinations = _ANY_DESTINATION
        self.iif: InInterface | None = None
        self.oif: OutInterface | None = None
        self.protocol = 0
        self.protocol_inverted = False
        self.fragment: Fragment | None = None
        self.loaded: list[Loaded] = []
        self.target: Target | None = None
        self.count = _ZERO
        self.operation = ""
        self.chain = ""
        self.number = 0
        self.other = ""
        self.table = ""

    def argument(self, option: str) -> str:
        """Take and return the word behind `option`.

        Raises:
            CommandError: there is none.
        """
        if self.at >= len(self.words):
            raise wrong(f'option "{option}" requires an argument')
        word = self.words[self.at]
        self.at += 1
        return word

    def optional(self) -> str:
        """Take and return the next word if it is no option, else nothing."""
        if self.at >= len(self.words) or self.words[self.at][:1] in {"-", "!"}:
            return ""
        self.at += 1
        return self.words[self.at - 1]

    def take_inversion(self) -> bool:
        """Return whether `!` stands before the option that is read."""
        inverted, self.inverted = self.inverted, False
        return inverted


class Loaded:
    """An extension that a rule names, with its options so far.

    Attributes:
        name: behind `-m` or `-j`.
        extension: None if it is not modelled.
        is_target: it stands behind `-j`.
        given: its options, by name.
        words: all its words, where it is not modelled.
    """

    __slots__ = ("extension", "given", "is_target", "name", "words")

    def __init__(self, name: str, extension: AnyExtension | None, *, is_target: bool = False) -> None:
        self.name = name
        self.extension = extension
        self.is_target = is_target
        self.given: dict[str, Written] = {}
        self.words: list[str] = []

    def add(self, option: Option, word: str, reading: Reading) -> None:
        """Take the words behind `option`, which was written as `word`.

        Raises:
            CommandError: they are missing, or the option makes no sense there.
        """
        inverted = reading.take_inversion()
        if inverted and not option.invertible:
            raise wrong(f'{self.name}: option "--{option.name}" cannot be inverted.\n')
        values = self._take(option, word, reading)
        if option.name in self.given:
            raise wrong(option.repeated or f'{self.name}: option "--{option.name}" can only be used once.\n')
        self.given[option.name] = Written(values, inverted)

    @staticmethod
    def _take(option: Option, word: str, reading: Reading) -> tuple[str, ...]:
        at, arguments = reading.at, option.arguments
        values = tuple(reading.words[at : at + arguments])
        if len(values) < arguments or (arguments > 1 and any(value.startswith("-") for value in values[1:])):
            raise wrong(option.too_few or f'option "{word}" requires an argument')
        reading.at = at + arguments
        return values

    def value(self, protocol: int, *, protocol_inverted: bool) -> Any:  # noqa: ANN401 - whatever the extension makes
        """Return what the options mean in a rule for `protocol`.

        Raises:
            CommandError: they make no sense together.
        """
        if self.extension is None:
            unknown = UnknownTarget if self.is_target else UnknownMatch
            return unknown(self.name, tuple(self.words))
        return built(self.extension, tuple(self.given.items()), protocol, protocol_inverted)


@lru_cache(maxsize=1 << 16)
def built(
    extension: AnyExtension,
    given: tuple[tuple[str, Written], ...],
    protocol: int,
    protocol_inverted: bool,  # noqa: FBT001 - part of a key
) -> Any:  # noqa: ANN401 - whatever the extension makes
    """Return what the options `given` to an extension mean in a rule for `protocol`.

    Raises:
        CommandError: they make no sense together.
    """
    options = Options(extension.name, dict(given), protocol, protocol_inverted)
    for option in extension.options:
        if option.name in options:
            for other in option.excludes:
                if other in options:
                    raise wrong(
                        f'{extension.name}: option "--{option.name}" '
                        f'cannot be used together with "--{other}".\n'
                    )
        elif option.required:
            raise wrong(f'{extension.name}: option "--{option.name}" must be specified\n')
    return extension.build(options)
