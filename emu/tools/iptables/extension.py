# SPDX-License-Identifier: GPL-2.0-only
"""How a match or a target declares its options, and what it makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar

import attrs

from emu.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emu.kernel.netfilter.hooks import Hook
    from emu.kernel.netfilter.ruleset import Action, Match

T = TypeVar("T")


@attrs.frozen
class Option:
    """One option of an extension.

    Attributes:
        name: its long name without the dashes, as complaints show it (`destination-port`).
        aliases: other long names (`dport`).
        arguments: how many words follow.
        invertible: `!` may stand before it.
        required: the extension makes no sense without it.
        excludes: names of options that cannot stand beside it.
        repeated: what is said when it is given twice, where that is not what
            iptables says as a rule; empty for that.
        too_few: likewise, when too few words follow.
    """

    name: str
    aliases: tuple[str, ...] = ()
    arguments: int = 1
    invertible: bool = False
    required: bool = False
    excludes: tuple[str, ...] = ()
    repeated: str = ""
    too_few: str = ""


class Written(NamedTuple):
    """An option as it was written: the words behind it, and whether `!` stood before."""

    values: tuple[str, ...] = ()
    inverted: bool = False

    @property
    def value(self) -> str:
        """The only word, or the first."""
        return self.values[0]


@attrs.frozen
class Options:
    """The options given to an extension within one rule.

    Attributes:
        extension: its name, with which most complaints begin.
        given: what was written, by the option's name (never by an alias), in that order.
        protocol: number behind `-p` in the rule, wherever that stands; 0 for any.
        protocol_inverted: it was `! -p`.
    """

    extension: str
    given: Mapping[str, Written]
    protocol: int = 0
    protocol_inverted: bool = False

    def __contains__(self, name: str) -> bool:
        """Return whether the option `name` was given."""
        return name in self.given

    def get(self, name: str) -> Written | None:
        """Return the option `name` as written, None if it was not given."""
        return self.given.get(name)

    def text(self, name: str, default: str = "") -> str:
        """Return the first word behind the option `name`, or `default`."""
        written = self.given.get(name)
        return default if written is None else written.values[0]

    def is_inverted(self, name: str) -> bool:
        """Return whether the option `name` was given with `!` before it."""
        written = self.given.get(name)
        return written is not None and written.inverted

    def is_for(self, *protocols: int) -> bool:
        """Return whether the rule is for one of these `protocols` alone."""
        return not self.protocol_inverted and self.protocol in protocols


class Place(NamedTuple):
    """Where a rule is, for those whom the kernel does not accept everywhere.

    Attributes:
        table: name of the table.
        hooks: those from which the rule's chain can be reached; none for a chain nobody jumps to.
        protocol: what the rule says with `-p`, 0 for nothing.
        protocol_inverted: it is `! -p`.
    """

    table: str
    hooks: frozenset[Hook]
    protocol: int = 0
    protocol_inverted: bool = False


@attrs.frozen(eq=False)
class Extension(Generic[T]):
    """A match or a target as iptables knows it.

    Attributes:
        name: as behind `-m` or `-j`.
        type: what `build` returns; `render` and `describe` are found by it. Where
            the options make one of several types, there is an `Extension` for each
            under the same name, all with the same `options` and `build`.
        build: makes the value of the options, which have been checked as far as
            `options` tells. It raises `CommandError` by `wrong`.
        render: the options of a value as iptables-save writes them behind the
            name: canonical, without spaces around, empty for none.
        describe: what `iptables -nL` shows of it, without spaces around.
        options: what may be written.
        protocols: the rule has to be for one of these (`-p`, not inverted);
            empty for all. A match of this name is what `-p tcp --dport 1` means.
        tables: where the kernel takes it; None for all.
        hooks: every hook that reaches the rule has to be one of these; None for all.
        refuses: whether the kernel does not take this value there, though
            `protocols`, `tables` and `hooks` fit.
    """

    name: str
    type: type[T]
    build: Callable[[Options], Match | Action]
    render: Callable[[T], str]
    describe: Callable[[T], str]
    options: tuple[Option, ...] = ()
    protocols: frozenset[int] = frozenset()
    tables: frozenset[str] | None = None
    hooks: frozenset[Hook] | None = None
    refuses: Callable[[T, Place], bool] | None = None
    by_option: Mapping[str, Option] = attrs.field(init=False, repr=False, eq=False)

    @by_option.default
    def _by_option(self) -> Mapping[str, Option]:
        return {name: option for option in self.options for name in (option.name, *option.aliases)}

    @property
    def fits_anywhere(self) -> bool:
        """Whether the kernel takes any value in any rule."""
        nowhere_refused = self.tables is None and self.hooks is None and self.refuses is None
        return nowhere_refused and not self.protocols

    def fits(self, value: T, place: Place) -> bool:
        """Return whether the kernel takes `value` in a rule at `place`."""
        if self.protocols and (place.protocol_inverted or place.protocol not in self.protocols):
            return False
        if self.tables is not None and place.table not in self.tables:
            return False
        if self.hooks is not None and not place.hooks <= self.hooks:
            return False
        return self.refuses is None or not self.refuses(value, place)


AnyExtension: TypeAlias = Extension[Any]
"""One of a table of extensions, each of which has its own type of values."""


def wrong(message: str) -> CommandError:
    """Return the exception for options that make no sense.

    Args:
        message: as iptables words it, with the newline at its end where it
            prints one (most complaints that begin with `NAME: ` have it).
    """
    return CommandError(message, 2)
