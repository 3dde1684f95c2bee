# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of `ss`.

Source: iproute2 6.1, misc/ss.c `main`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import CommandError
from emu.tools.ip.words import USAGE, Words, not_modelled
from emu.tools.ss import filter as filters

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.kernel.tcp.states import State
    from emu.tools.ss.filter import Filter
    from emu.tools.ss.line import SocketLine


@attrs.frozen
class Request:
    """What `ss` is asked for.

    Attributes:
        netids: `udp`, `raw`, `tcp`: kinds of sockets, in the order in which they are listed.
        states: states of sockets.
        keep: whether a socket is wanted, its kind and state aside.
        numeric: ports as numbers, not names.
        timers: show TCP's timers.
        header: begin with a line of titles.
        nothing: only sockets of IPv6 are wanted.
    """

    netids: tuple[str, ...]
    states: frozenset[State]
    keep: Filter
    numeric: bool = False
    timers: bool = False
    header: bool = True
    nothing: bool = False

    def wants(self, line: SocketLine) -> bool:
        """Return whether `line` is to be shown."""
        return (
            not self.nothing and line.netid in self.netids and line.state in self.states and self.keep(line)
        )


_LONG: Final = {
    "tcp": "t",
    "udp": "u",
    "raw": "w",
    "all": "a",
    "listening": "l",
    "numeric": "n",
    "options": "o",
    "no-header": "H",
    "ipv4": "4",
    "ipv6": "6",
    "oneline": "O",
    "processes": "p",
    "resolve": "r",
    "extended": "e",
    "info": "i",
    "memory": "m",
    "summary": "s",
    "unix": "x",
    "packet": "0",
}
_KINDS: Final = {"u": "udp", "w": "raw", "t": "tcp"}  # in the order of the output
_KNOWN: Final = frozenset("tuwalnoHOp46")


def parse(argv: Sequence[str]) -> Request:
    """Return what the arguments of `ss` ask for.

    Raises:
        CommandError: they make no sense, or something is not modelled.
    """
    words = Words(argv)
    letters: set[str] = set()
    while words.peek().startswith("-"):
        letters |= set(_letters(words.take()))
    wanted = filters.states(words)
    if wanted is None:
        wanted = filters.ALL if "a" in letters else filters.CONNECTED
        if "l" in letters:
            wanted = filters.LISTENING if "a" not in letters else filters.ALL
    return Request(
        netids=tuple(kind for letter, kind in _KINDS.items() if letter in letters) or (*_KINDS.values(),),
        states=wanted,
        keep=filters.expression(words),
        numeric="n" in letters,
        timers="o" in letters,
        header="H" not in letters,
        nothing="6" in letters and "4" not in letters,
    )


def _letters(word: str) -> Iterator[str]:
    if word.startswith("--"):
        if word[2:] not in _LONG:
            raise CommandError(f"ss: unrecognized option '{word}'", USAGE)
        letters = _LONG[word[2:]]
    else:
        letters = word[1:]
    for letter in letters:
        if letter not in _KNOWN:
            if letter in _LONG.values() or letter in "bEfFKMNSTVzZAD":
                raise not_modelled(f"ss -{letter}")
            raise CommandError(f"ss: invalid option -- '{letter}'", USAGE)
        yield letter
