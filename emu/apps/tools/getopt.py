# SPDX-License-Identifier: GPL-2.0-only
"""Options as curl, wget and nc take them: short ones in a bunch, a value beside or behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from emu.errors import CommandError


class Option(NamedTuple):
    """An option that was given: its long (or only) name, and its value, empty if it takes none."""

    name: str
    value: str = ""


class Syntax(NamedTuple):
    """The options of a tool.

    `flags` and `valued` map what is typed (`-s`, `--silent`) to a name;
    `unknown` and `lacking` make the complaint about an option.
    """

    flags: Mapping[str, str]
    valued: Mapping[str, str]
    unknown: Callable[[str], CommandError]
    lacking: Callable[[str], CommandError]

    def read(self, argv: Sequence[str]) -> Iterator[Option | str]:
        """Yield the options and the other arguments, in order.

        Raises:
            CommandError: an option is unknown, or has no value.
        """
        words = iter(argv)
        for word in words:
            if word == "--":
                yield from words
            elif word.startswith("--"):
                yield self._long(word, words)
            elif word.startswith("-") and len(word) > 1:
                yield from self._short(word, words)
            else:
                yield word

    def _long(self, word: str, words: Iterator[str]) -> Option:
        if word in self.flags:
            return Option(self.flags[word])
        name, equals, value = word.partition("=")
        if name not in self.valued:
            raise self.unknown(word)
        return Option(self.valued[name], value if equals else self._next(word, words))

    def _short(self, word: str, words: Iterator[str]) -> Iterator[Option]:
        for at in range(1, len(word)):
            letter = f"-{word[at]}"
            if letter in self.flags:
                yield Option(self.flags[letter])
            elif letter in self.valued:
                yield Option(self.valued[letter], word[at + 1 :] or self._next(letter, words))
                return
            else:
                raise self.unknown(letter)

    def _next(self, word: str, words: Iterator[str]) -> str:
        value = next(words, None)
        if value is None:
            raise self.lacking(word)
        return value
