# SPDX-License-Identifier: GPL-2.0-only
"""The words of a command line, taken one by one, and how iproute2 complains of them.

Many words may be shortened: the first known word that begins with what was
written is meant. Source: iproute2 6.1, lib/utils.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from emu.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

SpecT = TypeVar("SpecT")

USAGE: Final = 255  # exit status for arguments that make no sense


class Words:
    """The words that are left."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = list(words)[::-1]

    def __bool__(self) -> bool:
        return bool(self._words)

    def take(self) -> str:
        """Return the next word.

        Raises:
            CommandError: there is none.
        """
        if not self._words:
            raise CommandError('Command line is not complete. Try option "help"', USAGE)
        return self._words.pop()

    def peek(self) -> str:
        """Return the next word without taking it, empty if there is none."""
        return self._words[-1] if self._words else ""


def is_short_for(word: str, *full: str) -> bool:
    """Return whether `word` is one of the `full` words, or the beginning of one."""
    return bool(word) and any(known.startswith(word) for known in full)


def choose(word: str, known: Iterable[str]) -> str | None:
    """Return the first of the `known` words that begins with `word`, None if none does."""
    return next((full for full in known if is_short_for(word, full)), None)


# --- complaints ---


def wrong(argument: str, message: str) -> CommandError:
    """Return the complaint of a value. Source: `invarg`."""
    return CommandError(f'Error: argument "{argument}" is wrong: {message}', USAGE)


def garbage(key: str, argument: str) -> CommandError:
    """Return the complaint of a word that nobody expects. Source: `duparg2`."""
    return CommandError(f'Error: either "{key}" is duplicate, or "{argument}" is a garbage.', USAGE)


def expected(what: str, argument: str) -> CommandError:
    """Return the complaint of a text that is no address or prefix."""
    return CommandError(f'Error: {what} is expected rather than "{argument}".', 1)


def not_modelled(what: str) -> CommandError:
    """Return the complaint of something that Linux has and emu does not."""
    return CommandError(f"{what} is not modelled", USAGE)


def no_device(name: str, status: int = 1) -> CommandError:
    """Return the complaint of a device that does not exist."""
    return CommandError(f'Cannot find device "{name}"', status)


def no_such_device(name: str) -> CommandError:
    """Return the complaint of a device that does not exist, as what lists devices words it."""
    return CommandError(f'Device "{name}" does not exist.', 1)


# --- options ---


class Option(NamedTuple):
    """An option of a command.

    Attributes:
        words: what it may be called.
        field: the attribute that it sets.
        read: takes its value from the words behind it.
        short: its words may be shortened.
    """

    words: tuple[str, ...]
    field: str
    read: Callable[[Words], object]
    short: bool = False

    def is_meant(self, word: str) -> bool:
        """Return whether `word` calls it."""
        return word in self.words or (self.short and is_short_for(word, *self.words))


class Grammar(NamedTuple, Generic[SpecT]):
    """What a command takes, in any order.

    Attributes:
        of: what it is about, for complaints.
        options: words with a value.
        operand: takes a word that is no option; called with what is being
            filled, the word, and the words behind it.
        unmodelled: options that Linux has and emu does not.
    """

    of: str
    options: Sequence[Option]
    operand: Callable[[SpecT, str, Words], None]
    unmodelled: Sequence[str] = ()

    def fill(self, spec: SpecT, words: Words) -> SpecT:
        """Set the attributes of `spec` as the `words` say, and return it.

        Raises:
            CommandError: one makes no sense.
        """
        while words:
            word = words.take()
            option = next((known for known in self.options if known.is_meant(word)), None)
            if option is not None:
                setattr(spec, option.field, option.read(words))
            elif word in self.unmodelled:
                raise not_modelled(f"{word} of {self.of}")
            else:
                self.operand(spec, word, words)
        return spec


def text(words: Words) -> str:
    """Take a word as it is."""
    return words.take()


def yes(_words: Words) -> bool:
    """Take nothing: that the option is there says it."""
    return True
